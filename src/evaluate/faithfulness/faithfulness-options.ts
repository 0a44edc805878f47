import { choice, count, type SettingsOf, type Stage } from '../../options.js';
import { type Baseline, baselines } from '../masking.js';
import type { CommonSettings } from '../measurement.js';

/** The two ways of masking by the names that the documentation uses. */
const spoken: Readonly<Record<string, Baseline>> = { tensor: 'zero', pixels: 'black' };

function baseline<const R extends { help: string; flag: string; default?: Baseline; otherwise?: string }>(
  rest: R,
) {
  return choice(baselines, { ...rest, parse: (typed: string) => spoken[typed] ?? typed });
}

/** What is hidden, how, and how finely curves are sampled. */
export const maskingOptions = {
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
  /** Masked pictures in one forward pass. */
  batch: count({ help: 'masked pictures in one pass', flag: '--batch <n>', default: 4, from: 1, to: 1024 }),
} satisfies Stage;

export type MaskingSettings = SettingsOf<typeof maskingOptions>;
export type FaithfulnessSettings = CommonSettings & MaskingSettings & { readonly deletionBaseline: Baseline };

/** The settings of a run: what is deleted becomes black where masked pixels do. */
export function faithfulnessSettings(
  { variants, seed }: CommonSettings,
  { masking, steps, deletionBaseline, insertionBaseline, batch }: MaskingSettings,
): FaithfulnessSettings {
  return {
    variants,
    seed,
    masking,
    steps,
    deletionBaseline: deletionBaseline ?? (masking === 'black' ? 'black' : 'zero'),
    insertionBaseline,
    batch,
  };
}
