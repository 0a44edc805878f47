import { numberIn, oneOf } from '../../check.js';
import { GradcamppError, show } from '../../errors.js';
import { pictureKey } from '../annotations/annotation.js';
import {
  commonOf,
  type Evaluated,
  type EvaluateOptions,
  finish,
  recordsOf,
  runOptions,
  withMeasurer,
} from '../evaluation.js';
import { localizationGallery } from '../galleries.js';
import { chooseShown, galleryLimit } from '../report/gallery.js';
import { runJobs } from '../run.js';
import { type LocalizationJob, type LocalizationSettings, localizationDefaults } from './measure.js';
import { localizationTable, summarizeLocalization } from './summarize.js';
import { mappingOf, readTruth, type TruthSource } from './truth.js';

export interface LocalizationOptions
  extends EvaluateOptions,
    TruthSource,
    Partial<Omit<LocalizationSettings, 'mapping' | 'variants' | 'seed'>> {
  /** A mapping file or a shipped one; default: classes of equal names. */
  readonly mapping?: string;
}

/** Loc(δ), box IoU, pointing game and energy on annotated pictures. */
export async function evaluateLocalization(options: LocalizationOptions): Promise<Evaluated> {
  const common = commonOf(options);
  const truth = await readTruth(options);
  return withMeasurer(options, async (measurer, images) => {
    const { subject } = measurer;
    const jobs = images.map((image): LocalizationJob => ({ image, ...truth.of(image) }));
    if (jobs.every((job) => !job.objects && !job.masks))
      throw new GradcamppError(
        'INVALID_OPTION',
        `None of the ${images.length} pictures is annotated in ${show(options.annotationPath)}: annotations are found by the picture's file name, without its extension (here ${show(pictureKey(images[0]))}).`,
      );
    const mapping = await mappingOf(options.mapping, subject.classes, truth.classes);
    const settings: LocalizationSettings = {
      ...common,
      deltas: (options.deltas ?? localizationDefaults.deltas).map((delta) => numberIn('deltas', delta, 0, 1)),
      tolerance: numberIn('tolerance', options.tolerance ?? localizationDefaults.tolerance, 0, 1000),
      boxThreshold: numberIn('boxThreshold', options.boxThreshold ?? localizationDefaults.boxThreshold, 0, 1),
      target: oneOf('target', options.target ?? localizationDefaults.target, ['top', 'annotated']),
      mapping: subject.classes.map((_, i) => mapping(i) ?? null),
    };
    const shown = {
      jobs: chooseShown(images, settings.seed),
      pictures: Math.min(images.length, galleryLimit),
    };
    const run = await runJobs(measurer, 'localization', jobs, settings, {
      ...runOptions(options, 'localization', 'pictures'),
      shown,
    });
    const records = recordsOf(run);
    return finish(options, 'localization', settings, run, measurer, {
      images: records.length,
      report: summarizeLocalization(records, settings),
      gallery: localizationGallery(run.measured, settings.deltas, {
        subject,
        variants: settings.variants,
        total: records.filter((record) => !record.excluded).length,
      }),
      table: localizationTable(records, subject.classes, settings),
    });
  });
}
