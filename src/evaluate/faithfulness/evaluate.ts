import { oneOf, wholeNumber } from '../../check.js';
import {
  commonOf,
  type Evaluated,
  type EvaluateOptions,
  finish,
  recordsOf,
  runOptions,
  withMeasurer,
} from '../evaluation.js';
import { faithfulnessGallery } from '../galleries.js';
import { baselines } from '../masking.js';
import { chooseShown, galleryLimit } from '../report/gallery.js';
import { runJobs } from '../run.js';
import { type FaithfulnessSettings, faithfulnessDefaults } from './measure.js';
import { faithfulnessTable, summarizeFaithfulness } from './summarize.js';

export interface FaithfulnessOptions
  extends EvaluateOptions,
    Partial<Omit<FaithfulnessSettings, 'variants' | 'seed'>> {
  /** Of the report; default "Faithfulness". */
  readonly title?: string;
}

/** Average drop, increase, wins, and the curves; `docs/evaluating.md` defines them. */
export async function evaluateFaithfulness(options: FaithfulnessOptions): Promise<Evaluated> {
  const settings: FaithfulnessSettings = {
    ...commonOf(options),
    masking: oneOf('masking', options.masking ?? faithfulnessDefaults.masking, baselines),
    steps: wholeNumber('steps', options.steps ?? faithfulnessDefaults.steps, 0, 1000),
    deletionBaseline: oneOf(
      'deletionBaseline',
      options.deletionBaseline ?? faithfulnessDefaults.deletionBaseline,
      baselines,
    ),
    insertionBaseline: oneOf(
      'insertionBaseline',
      options.insertionBaseline ?? faithfulnessDefaults.insertionBaseline,
      baselines,
    ),
    batch: wholeNumber('batch', options.batch ?? faithfulnessDefaults.batch, 1, 1024),
  };
  return withMeasurer(options, async (measurer, images) => {
    const jobs = images.map((image) => ({ image }));
    const shown = {
      jobs: chooseShown(images, settings.seed),
      pictures: Math.min(images.length, galleryLimit),
    };
    const run = await runJobs(measurer, 'faithfulness', jobs, settings, {
      ...runOptions(options, 'faithfulness', 'pictures'),
      shown,
    });
    const records = recordsOf(run);
    const { subject } = measurer;
    return finish(options, 'faithfulness', settings, run, measurer, {
      images: records.length,
      report: summarizeFaithfulness(records, subject.classes, settings, options.title),
      gallery: faithfulnessGallery(run.measured, {
        subject,
        variants: settings.variants,
        total: images.length,
      }),
      table: faithfulnessTable(records, subject.classes, settings),
    });
  });
}
