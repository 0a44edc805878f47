import type { PictureSource } from '../data/picture-source.js';
import type { Job, RunPlan } from './plan.js';
import type { JobOutcome } from './training-service.js';
import { metricFor } from '../metrics/index.js';
import type { Measure } from '../metrics/metric.js';
import { type Interval, meanInterval } from './student-t.js';

/** The pictures that students are measured on. */
export interface Measured {
  readonly on: 'test' | 'validation';
  readonly pictures: readonly PictureSource[];
  readonly labels: readonly (readonly number[])[];
}

/** One student of an arm. */
export interface SeedResult {
  readonly seed: number;
  /** The metric on the measured pictures. */
  readonly value: number;
  /** In the order of the classes; null in results.json where no measured picture has the class. */
  readonly byClass: readonly number[];
  /** The metric on the validation pictures, where there are some. */
  readonly validation?: number;
  /** Maps of the student that were zero everywhere while it was trained. */
  readonly zeroMaps: number;
}

export interface ArmResult {
  readonly name: string;
  readonly layer: string;
  readonly seeds: readonly SeedResult[];
  readonly value: Interval;
}

/** What is in results.json. */
export interface Results {
  /** What `value` is: the share of pictures whose best class is not theirs, or mAP where pictures have several classes; 0…1. */
  readonly metric: 'error' | 'mAP';
  /** What the values are of. */
  readonly measured: { readonly on: 'test' | 'validation'; readonly pictures: number };
  readonly trainedOn: number;
  readonly classes: readonly string[];
  readonly teacher?: Measure;
  readonly arms: readonly ArmResult[];
  /** Every arm minus the first, seed by seed: below 0 where errors are fewer, above 0 where mAP is higher. */
  readonly differences: readonly {
    readonly arm: string;
    readonly against: string;
    readonly each: readonly number[];
    readonly difference: Interval;
  }[];
  /** The student at the top of the folder: of the last arm, the best on the validation pictures, or of the first seed. */
  readonly best: { readonly arm: string; readonly seed: number; readonly folder: string };
  /** What was understood of the pictures, a sentence each. */
  readonly pictures: readonly string[];
  /** What should be known. */
  readonly notes: readonly string[];
}

export function resultsOf(own: {
  readonly plan: RunPlan;
  readonly outcomes: ReadonlyMap<Job, JobOutcome>;
  readonly measured: Measured;
  readonly teacher: Measure | undefined;
  readonly understood: readonly string[];
  readonly notes: readonly string[];
}): Results {
  const { plan, outcomes, measured, teacher, understood, notes } = own;
  const { classes } = plan;
  const metric = metricFor(plan.isMultiLabel);
  const names = [...new Set([...outcomes.keys()].map(({ arm }) => arm))];
  const arms = names.map((name): ArmResult => {
    const mine = [...outcomes].filter(([{ arm }]) => arm === name);
    const seeds = mine.map(([{ seed }, { log, measure }]): SeedResult => {
      const validation = log.at(-1)?.validation;
      return {
        seed,
        ...measure,
        ...(validation === undefined ? {} : { validation }),
        zeroMaps: log.reduce((sum, { terms }) => sum + (terms['zero maps'] ?? 0), 0),
      };
    });
    return { name, layer: mine[0][1].layer, seeds, value: meanInterval(seeds.map(({ value }) => value)) };
  });
  const [first, ...others] = arms;
  const last = arms[arms.length - 1];
  const sign = metric.better === 'lower' ? 1 : -1;
  const best = last.seeds.reduce((a, b) => (sign * (b.validation ?? 0) < sign * (a.validation ?? 0) ? b : a));
  const job = [...outcomes.keys()].find(({ arm, seed }) => arm === last.name && seed === best.seed) as Job;
  return {
    metric: metric.key as Results['metric'],
    measured: { on: measured.on, pictures: measured.labels.length },
    trainedOn: plan.train.length,
    classes,
    ...(teacher ? { teacher } : {}),
    arms,
    differences: others.map(({ name, seeds }) => {
      const each = seeds.map(({ value }, i) => value - first.seeds[i].value);
      return { arm: name, against: first.name, each, difference: meanInterval(each) };
    }),
    best: { arm: last.name, seed: best.seed, folder: job.folder },
    pictures: understood,
    notes: [...new Set([...notes, ...[...outcomes.values()].flatMap((outcome) => outcome.notes)])],
  };
}
