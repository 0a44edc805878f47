import { numberIn, wholeNumber } from '../../check.js';
import {
  commonOf,
  type Evaluated,
  type EvaluateOptions,
  finish,
  recordsOf,
  runOptions,
  withMeasurer,
} from '../evaluation.js';
import { gridGallery } from '../galleries.js';
import { chooseShown, galleryLimit } from '../report/gallery.js';
import { runJobs } from '../run.js';
import { drawGrids, type GridSettings, gridDefaults } from './measure.js';
import { gridTable, summarizeGrids } from './summarize.js';

/** The grid pointing game on single-class pictures. */
export async function evaluateGrid(options: EvaluateOptions & Partial<GridSettings>): Promise<Evaluated> {
  const settings: GridSettings = {
    ...commonOf(options),
    size: wholeNumber('size', options.size ?? gridDefaults.size, 2, 8),
    grids: wholeNumber('grids', options.grids ?? gridDefaults.grids, 1, 100_000),
    minProbability: numberIn('minProbability', options.minProbability ?? gridDefaults.minProbability, 0, 1),
  };
  return withMeasurer(options, async (measurer, images) => {
    const { subject } = measurer;
    const candidates = await runJobs(
      measurer,
      'candidate',
      images.map((image) => ({ image })),
      settings,
      runOptions(options, 'candidates', 'candidates'),
    );
    const jobs = drawGrids(recordsOf(candidates), settings);
    const cells = settings.size ** 2;
    const names = jobs.map((job) => job.image);
    const shownGrids = chooseShown(names, settings.seed, Math.max(1, Math.floor(galleryLimit / cells)));
    const run = await runJobs(measurer, 'grid', jobs, settings, {
      ...runOptions(options, 'grids', 'grids'),
      shown: { jobs: shownGrids, pictures: shownGrids.size * cells },
    });
    const records = recordsOf(run);
    await candidates.finish();
    return finish(options, 'grid', settings, run, measurer, {
      images: candidates.measured.length,
      failures: [...candidates.failures, ...run.failures],
      report: summarizeGrids(records, settings),
      gallery: gridGallery(run.measured, settings, {
        subject,
        variants: settings.variants,
        total: records.length * cells,
      }),
      table: gridTable(records, subject.classes, settings),
    });
  });
}
