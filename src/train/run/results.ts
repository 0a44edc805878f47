import type { Job, RunPlan } from './plan.js';
import type { JobOutcome } from './training-service.js';
import { type Interval, meanInterval } from './student-t.js';

/** The pictures that students are measured on. */
export interface Measured {
  readonly on: 'test' | 'validation';
  readonly files: readonly string[];
  readonly labels: readonly number[];
}

/** One student of an arm. */
export interface SeedResult {
  readonly seed: number;
  /** Share of the measured pictures whose class is not the best one. */
  readonly error: number;
  readonly validationError?: number;
  /** Maps of the student that were zero everywhere while it was trained. */
  readonly zeroMaps: number;
  /** In the order of the classes. */
  readonly errorByClass: readonly number[];
}

export interface ArmResult {
  readonly name: string;
  readonly layer: string;
  readonly seeds: readonly SeedResult[];
  readonly error: Interval;
}

/** What is in results.json. Errors are shares. */
export interface Results {
  /** What the errors are of. */
  readonly measured: { readonly on: 'test' | 'validation'; readonly pictures: number };
  readonly trainedOn: number;
  readonly classes: readonly string[];
  readonly teacher?: { readonly error: number; readonly errorByClass: readonly number[] };
  readonly arms: readonly ArmResult[];
  /** Every arm against the first, seed by seed: below 0 where it is better. */
  readonly differences: readonly {
    readonly arm: string;
    readonly against: string;
    readonly each: readonly number[];
    readonly difference: Interval;
  }[];
  /** The student at the top of the folder: of the last arm, that of the least validation error, or of the first seed. */
  readonly best: { readonly arm: string; readonly seed: number; readonly folder: string };
  readonly notes: readonly string[];
}

export function resultsOf(own: {
  readonly plan: RunPlan;
  readonly outcomes: ReadonlyMap<Job, JobOutcome>;
  readonly measured: Measured;
  readonly teacher: readonly number[] | undefined;
}): Results {
  const { plan, outcomes, measured, teacher } = own;
  const { classes } = plan;
  const errors = (predicted: readonly number[]) => errorsOf(predicted, measured.labels, classes.length);
  const names = [...new Set([...outcomes.keys()].map(({ arm }) => arm))];
  const arms = names.map((name): ArmResult => {
    const mine = [...outcomes].filter(([{ arm }]) => arm === name);
    const seeds = mine.map(([{ seed }, { log, predicted }]): SeedResult => {
      const last = log.at(-1)?.validationError;
      return {
        seed,
        ...errors(predicted),
        ...(last === undefined ? {} : { validationError: last }),
        zeroMaps: log.reduce((sum, { terms }) => sum + (terms['zero maps'] ?? 0), 0),
      };
    });
    return { name, layer: mine[0][1].layer, seeds, error: meanInterval(seeds.map(({ error }) => error)) };
  });
  const [first, ...others] = arms;
  const last = arms[arms.length - 1];
  const best = last.seeds.reduce((a, b) => ((b.validationError ?? 0) < (a.validationError ?? 0) ? b : a));
  const job = [...outcomes.keys()].find(({ arm, seed }) => arm === last.name && seed === best.seed) as Job;
  return {
    measured: { on: measured.on, pictures: measured.labels.length },
    trainedOn: plan.train.length,
    classes,
    ...(teacher ? { teacher: errors(teacher) } : {}),
    arms,
    differences: others.map(({ name, seeds }) => {
      const each = seeds.map(({ error }, i) => error - first.seeds[i].error);
      return { arm: name, against: first.name, each, difference: meanInterval(each) };
    }),
    best: { arm: last.name, seed: best.seed, folder: job.folder },
    notes: [...new Set([...outcomes.values()].flatMap(({ notes }) => notes))],
  };
}

function errorsOf(predicted: readonly number[], labels: readonly number[], classes: number) {
  const counts = Array<number>(classes).fill(0);
  const wrong = Array<number>(classes).fill(0);
  for (const [i, label] of labels.entries()) {
    counts[label]++;
    if (predicted[i] !== label) wrong[label]++;
  }
  const sum = wrong.reduce((total, count) => total + count, 0);
  return {
    error: sum / Math.max(labels.length, 1),
    errorByClass: wrong.map((count, label) => count / Math.max(counts[label], 1)),
  };
}
