import { invalid } from '../../check.js';
import { asTyped, option, type SettingsOf, type Stage } from '../../options.js';
import type { CommonSettings } from '../measurement.js';
import type { Subject } from '../subject.js';
import { type FaithfulnessSettings, measuringOptions } from './measuring-options.js';
import { frameDeletion } from './metrics/frame-deletion.js';
import { checkMetrics, metricNames, namesOf, usualMetrics } from './metrics/index.js';

/** What is measured, and with what. */
export const faithfulnessOptions = {
  ...measuringOptions,
  /** Metrics by name; 'usual' are those that need few passes, 'all' is everything. Average drop is always measured. */
  metrics: option(checkMetrics, {
    help: `what is measured: usual, all, or of ${metricNames.join(', ')}`,
    flag: '--metric <name>',
    many: true,
    parse: asTyped,
    default: ['usual'] as readonly string[],
    otherwise: `usual, which is ${usualMetrics.join(', ')}`,
  }),
} satisfies Stage;

/** The settings of a run: what is deleted becomes black where masked pixels do. */
export function faithfulnessSettings(
  { variants, seed }: CommonSettings,
  chosen: SettingsOf<typeof faithfulnessOptions>,
  { takesClips = false, size }: Pick<Subject, 'takesClips' | 'size'>,
): FaithfulnessSettings {
  if (!takesClips && chosen.metrics.includes(frameDeletion.asked))
    throw invalid('metrics', 'without frame-deletion where the model takes pictures', frameDeletion.asked);
  const { target, masking, steps, insertionBaseline, percentiles, perturbations, repeats, radius, batch } =
    chosen;
  const deletionBaseline = chosen.deletionBaseline ?? (masking === 'black' ? 'black' : 'zero');
  return {
    variants,
    seed,
    target,
    metrics: namesOf(chosen.metrics),
    ...(takesClips ? { frames: size[0] } : {}),
    masking,
    steps,
    deletionBaseline,
    insertionBaseline,
    percentiles,
    perturbations,
    repeats,
    radius,
    batch,
  };
}
