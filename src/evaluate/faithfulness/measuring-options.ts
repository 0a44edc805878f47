import { choice, count, number, numbers, option, type SettingsOf, type Stage } from '../../options.js';
import { kindOf, parseTarget, type Target } from '../../targets/index.js';
import { type Baseline, baselines } from '../masking.js';
import type { CommonSettings } from '../measurement.js';

/** The two ways of masking by the names that the documentation uses. */
const spoken: Readonly<Record<string, Baseline>> = { tensor: 'zero', pixels: 'black' };

function baseline<const R extends { help: string; flag: string; default?: Baseline; otherwise?: string }>(
  rest: R,
) {
  return choice(baselines, { ...rest, parse: (typed: string) => spoken[typed] ?? typed });
}

/** What is explained, what is hidden and how, and how finely. */
export const measuringOptions = {
  /** One target, the same for every picture: of several goals the first. It needs a probability, or a value in 0 … 1. */
  target: option(checkTarget, {
    help: 'what is explained, KIND:WHAT as gradcampp explain takes it',
    flag: '--target <target>',
    otherwise: 'the top class, or what fits the output',
    parse: parseTarget,
  }),
  /** Explanation map E = L ⊙ I on the preprocessed tensor as in the paper ('zero'), on pixels ('black'), or over another baseline. */
  masking: baseline({
    help: 'what is hidden becomes zero, black, mean or blur; tensor = zero, pixels = black',
    flag: '--masking <baseline>',
    default: 'zero',
  }),
  /** Intervals of every curve over 0 … 1; 0 leaves the curves out. */
  steps: count({
    help: 'intervals of the curves, 0 for none',
    flag: '--steps <n>',
    default: 10,
    to: 1000,
  }),
  /** What replaces pixels in the area and deletion curves, and what insertion starts from. */
  deletionBaseline: baseline({
    help: 'what deleted pixels become',
    flag: '--deletion-baseline <baseline>',
    otherwise: 'black where masked pixels are, else zero',
  }),
  insertionBaseline: baseline({
    help: 'what insertion begins with',
    flag: '--insertion-baseline <baseline>',
    default: 'blur',
  }),
  /** Percentages of the pixels that ROAD removes. */
  percentiles: numbers({
    help: 'of the pixels, that ROAD removes',
    flag: '--percentile <number>',
    default: [10, 20, 30, 40, 50, 60, 70, 80, 90],
    from: 0,
    to: 100,
  }),
  /** Squares that infidelity removes. */
  perturbations: count({
    help: 'squares that infidelity removes',
    flag: '--perturbations <n>',
    default: 100,
    from: 2,
    to: 100_000,
  }),
  /** Noisy pictures that max-sensitivity explains again. */
  repeats: count({
    help: 'noisy pictures that max-sensitivity explains again',
    flag: '--repeats <n>',
    default: 10,
    from: 1,
    to: 10_000,
  }),
  /** How far noise may go in max-sensitivity, in parts of the range of the picture's values. */
  radius: number({
    help: 'noise of max-sensitivity, in parts of the range of the picture’s values',
    flag: '--radius <number>',
    default: 0.02,
    above: 0,
    to: 1,
  }),
  /** Masked pictures in one forward pass. */
  batch: count({ help: 'masked pictures in one pass', flag: '--batch <n>', default: 4, from: 1, to: 1024 }),
} satisfies Stage;

function checkTarget(value: unknown): Target {
  kindOf(value as Target).check(value as Target);
  return value as Target;
}

/** What metrics are measured with. */
export interface FaithfulnessSettings extends CommonSettings, SettingsOf<typeof measuringOptions> {
  readonly deletionBaseline: Baseline;
  /** By the names that `--metric` takes, in the order of the report. */
  readonly metrics: readonly string[];
  /** T of the network's clips; absent for pictures. */
  readonly frames?: number;
}
