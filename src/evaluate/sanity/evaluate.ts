import { wholeNumber } from '../../check.js';
import {
  commonOf,
  type Evaluated,
  type EvaluateOptions,
  finish,
  recordsOf,
  runOptions,
  withMeasurer,
} from '../evaluation.js';
import { sanityGallery } from '../galleries.js';
import { chooseShown, galleryLimit } from '../report/gallery.js';
import { runJobs } from '../run.js';
import { type SanitySettings, sanityDefaults, stagesOf } from './measure.js';
import { sanityTable, summarizeSanity } from './summarize.js';

/** Pictures that share the opening of the randomised networks. */
const sanityChunk = 50;

/** Model randomisation and class sensitivity. */
export async function evaluateSanity(options: EvaluateOptions & Partial<SanitySettings>): Promise<Evaluated> {
  const settings: SanitySettings = {
    ...commonOf(options),
    stages: wholeNumber('stages', options.stages ?? sanityDefaults.stages, 1, 1000),
  };
  return withMeasurer(options, async (measurer, images) => {
    const { subject } = measurer;
    const chunks = Array.from({ length: Math.ceil(images.length / sanityChunk) }, (_, c) => ({
      image: `chunk-${c + 1}`,
      images: images.slice(c * sanityChunk, (c + 1) * sanityChunk),
    }));
    const chosen = chooseShown(
      chunks.map((chunk) => chunk.image),
      settings.seed,
      Math.ceil(galleryLimit / sanityChunk),
    );
    const run = await runJobs(measurer, 'sanity', chunks, settings, {
      ...runOptions(options, 'sanity', `groups of ${sanityChunk} pictures`),
      shown: { jobs: chosen, pictures: Math.min(images.length, galleryLimit) },
    });
    const stages = stagesOf(subject.randomization?.groups ?? [], settings.stages);
    const records = recordsOf(run).flatMap((chunk) => chunk.records);
    const lastStage = stages.filter((stage) => stage.kind === 'cascading').length - 1;
    return finish(options, 'sanity', settings, run, measurer, {
      images: records.length,
      failures: [...run.failures, ...recordsOf(run).flatMap((chunk) => chunk.failures)],
      report: summarizeSanity(records, stages, settings),
      gallery: sanityGallery(run.measured, lastStage, {
        subject,
        variants: settings.variants,
        total: records.length,
      }),
      table: sanityTable(records, subject.classes, stages, settings),
    });
  });
}
