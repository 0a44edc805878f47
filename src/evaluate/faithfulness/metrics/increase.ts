import { percent } from '../../metric.js';
import type { FaithfulnessMetric } from '../shown-map.js';

export const increaseInConfidence: FaithfulnessMetric = {
  asked: 'increase',
  key: 'increaseInConfidence',
  name: 'Increase in confidence',
  hint: () => 'pictures on which the explanation alone is more certain',
  definition: 'share of pictures with `O > Y` (Chattopadhyay et al.)',
  better: 'higher',
  ...percent,
  byChance:
    'no fixed number: 0 % for a map that shows everything; hiding things at random makes some networks more certain, as the random control shows',
  measure: async (shown) => ({ value: increase(shown.picture.full, await shown.masked()) }),
};

/** 1 where the explanation map is more certain than the picture (O > Y), else 0: the paper's increase in confidence. */
export function increase(full: number, masked: number): number {
  return masked > full ? 1 : 0;
}
