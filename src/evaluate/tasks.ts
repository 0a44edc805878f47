import { evaluations } from './evaluations.js';
import type { AnyEvaluation } from './definition.js';
import type { CommonSettings, Job, Measure, Measured } from './measurement.js';
import type { OnStep } from '../explain/progress.js';
import { showPicture } from './report/gallery.js';
import type { ShownPicture } from './report/report.js';
import type { Thumbnails } from './report/thumbnail.js';
import type { Subject } from './subject.js';

/** What workers can be asked, by name. */
const measures = new Map<string, Measure<Job, CommonSettings, unknown>>(
  Object.values<AnyEvaluation>(evaluations)
    .flatMap(({ first, ...own }) => (first ? [own, first] : [own]))
    .map(({ name, measure }) => [name, measure]),
);

/** Measures a job and, where thumbnails are given, keeps what a report shows. */
export async function measureJob(
  subject: Subject,
  task: string,
  job: Job,
  settings: CommonSettings,
  thumbnails?: Thumbnails,
  onStep?: OnStep,
): Promise<Measured<unknown>> {
  const measure = measures.get(task);
  if (!measure) throw new RangeError(`no evaluation measures "${task}"`);
  const { record, pictures } = await measure(subject, job, settings, onStep);
  if (!thumbnails) return { record, shown: [] };
  const isControl = settings.variants.map((variant) => variant.method === 'random');
  const shown: ShownPicture[] = [];
  for (const picture of pictures) shown.push(await showPicture(thumbnails, picture, isControl, subject.size));
  return { record, shown };
}
