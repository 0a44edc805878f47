import { measureFaithfulness } from './faithfulness/measure.js';
import { measureGeneralization } from './generalization/measure.js';
import { measureCandidate, measureGrid } from './grid/measure.js';
import { measureLocalization } from './localization/measure.js';
import type { Job, Measure, Measurement } from './measurement.js';
import { type ShownPicture, showPicture } from './report/gallery.js';
import type { Thumbnails } from './report/thumbnail.js';
import { measureSanity } from './sanity/measure.js';
import type { Subject } from './subject.js';

/** What workers can be asked, by name. */
export const tasks = {
  faithfulness: measureFaithfulness,
  localization: measureLocalization,
  candidate: measureCandidate,
  grid: measureGrid,
  sanity: measureSanity,
  generalization: measureGeneralization,
} as const;
export type TaskName = keyof typeof tasks;

export type JobOf<T extends TaskName> = Parameters<(typeof tasks)[T]>[1];
export type SettingsOf<T extends TaskName> = Parameters<(typeof tasks)[T]>[2];
export type RecordOf<T extends TaskName> = Awaited<ReturnType<(typeof tasks)[T]>>['record'];

/** One job's numbers, and its pictures as a report keeps them; plain data that can be sent and stored. */
export interface Measured<R> {
  readonly record: R;
  readonly shown: readonly ShownPicture[];
}

/** Measures a job and, where thumbnails are given, keeps what a report shows. */
export async function measureJob<T extends TaskName>(
  subject: Subject,
  task: T,
  job: JobOf<T>,
  settings: SettingsOf<T>,
  thumbnails: Thumbnails | undefined,
): Promise<Measured<RecordOf<T>>> {
  const measure = tasks[task] as unknown as Measure<Job, SettingsOf<T>, RecordOf<T>>;
  const { record, pictures }: Measurement<RecordOf<T>> = await measure(subject, job, settings);
  if (!thumbnails) return { record, shown: [] };
  const isControl = settings.variants.map((variant) => variant.method === 'random');
  const shown: ShownPicture[] = [];
  for (const picture of pictures) shown.push(await showPicture(thumbnails, picture, isControl));
  return { record, shown };
}
