import { basename } from 'node:path';
import { wholeNumber } from '../../check.js';
import { GradcamppError, show } from '../../errors.js';
import { labelsOf } from '../annotations/labels.js';
import {
  commonOf,
  type Evaluated,
  type EvaluateOptions,
  expand,
  openMeasurer,
  recordsOf,
  runOptions,
} from '../evaluation.js';
import { type Failure, type Outcome, writeOutcome } from '../report/files.js';
import { type Measurer, runJobs } from '../run.js';
import { type GeneralizationJob, type GeneralizationSettings, generalizationDefaults } from './measure.js';
import { generalizationTable, type ModelRecords, summarizeGeneralization } from './summarize.js';

export interface GeneralizationOptions
  extends Omit<EvaluateOptions, 'model' | 'images'>,
    Partial<Omit<GeneralizationSettings, 'variants' | 'seed'>> {
  readonly models: readonly (string | Measurer)[];
  readonly train: readonly string[];
  readonly test: readonly string[];
  /** Where the true classes are; see `labelsOf`. Default 'folder'. */
  readonly labels?: string;
}

/** Average drop of several networks against their train/test gap. */
export async function evaluateGeneralization(options: GeneralizationOptions): Promise<Evaluated> {
  const settings: GeneralizationSettings = {
    ...commonOf(options),
    batch: wholeNumber('batch', options.batch ?? generalizationDefaults.batch, 1, 1024),
  };
  const twice = options.models.find((model, i) => options.models.indexOf(model) < i);
  if (twice !== undefined)
    throw new GradcamppError(
      'INVALID_OPTION',
      `"models" must not name a network twice; received ${show(twice)} again.`,
    );
  const sets = { train: await expand(options.train), test: await expand(options.test) };
  const models: ModelRecords[] = [];
  const failures: Failure[] = [];
  const provenance: [string, string][] = [];
  const finishes: (() => Promise<void>)[] = [];
  for (const model of options.models) {
    const measurer = await openMeasurer(model, options, sets.train.length + sets.test.length);
    try {
      const { subject } = measurer;
      const jobs: GeneralizationJob[] = [];
      for (const set of ['train', 'test'] as const) {
        const labels = await labelsOf(sets[set], subject.classes, options.labels ?? 'folder');
        jobs.push(...sets[set].map((image, i) => ({ image, label: labels[i], set })));
      }
      const name = nameOf(options.models, models.length, subject.description[0]?.[1]);
      const run = await runJobs(
        measurer,
        'generalization',
        jobs,
        settings,
        runOptions(options, `generalization-${models.length + 1}`, name),
      );
      models.push({ model: name, records: recordsOf(run) });
      failures.push(...run.failures);
      finishes.push(run.finish);
      provenance.push(
        ...subject.description.map(([key, value]): [string, string] => [`${name}: ${key}`, value]),
      );
    } finally {
      await measurer.close();
    }
  }
  const outcome: Outcome = {
    evaluation: 'generalization',
    images: sets.train.length + sets.test.length,
    failures,
    settings,
    report: { ...summarizeGeneralization(models, settings), provenance },
    table: generalizationTable(models, settings),
  };
  const files = await writeOutcome(outcome, options.out, options.table);
  for (const done of finishes) await done();
  return { report: outcome.report, images: outcome.images, failures, files };
}

/** The file's name, or as much of its path as it takes where several are called alike. */
function nameOf(models: GeneralizationOptions['models'], index: number, short: string | undefined): string {
  const model = models[index];
  if (typeof model !== 'string') return short ?? `model ${index + 1}`;
  const alike = models.filter((other) => typeof other === 'string' && basename(other) === basename(model));
  return alike.length > 1 ? model : basename(model);
}
