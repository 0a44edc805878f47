import { percent } from '../../metric.js';
import type { FaithfulnessMetric } from '../shown-map.js';

export const averageDrop: FaithfulnessMetric = {
  asked: 'average-drop',
  key: 'averageDrop',
  name: 'Average drop',
  hint: () => 'confidence lost when only the explanation is shown',
  definition:
    '`100/N · Σ max(0, Y − O) / Y` with the explanation map `E = L ⊙ I` (Chattopadhyay et al., arXiv 1710.11063). `--masking pixels` masks pixels at the input’s size instead, before range, mean and std: `E = L ⊙ I + (1 − L) ⊙ black`; `mean` and `blur` put the picture’s mean colour or the blurred picture there',
  column: 'drop',
  better: 'lower',
  ...percent,
  byChance:
    'no fixed number: 0 % for a map that shows everything, nearly 100 % for an empty one; the random control shows noise',
  measure: async (shown) => ({ value: drop(shown.picture.full, await shown.masked()) }),
};

/**
 * Drop of confidence of one picture, in 0 … 1: max(0, Y − O) / Y. `full` is Y, the softmax probability of the
 * explained class on the picture, `masked` is O, its probability on the explanation map E = L ⊙ I. Averaged over
 * pictures and times 100 it is the paper's average drop %. Y = 0 leaves nothing to drop: 0.
 */
export function drop(full: number, masked: number): number {
  return full > 0 ? Math.max(0, full - masked) / full : 0;
}
