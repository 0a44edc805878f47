import { plain } from '../../metric.js';
import type { FaithfulnessMetric } from '../shown-map.js';

export const complexity: FaithfulnessMetric = {
  asked: 'complexity',
  key: 'complexity',
  name: 'Complexity',
  hint: () => 'entropy of the map: 0 all in one position, ln of their number the same everywhere',
  definition:
    'entropy `−Σ P ln P` of the map’s values as shares of their sum, in nats (Bhatt et al., arXiv 2005.00631, Sec. 3.3): 0 where one position holds all, ln of the number of positions where all are equal. Like sparseness it says how short an explanation is, not how right; empty maps have none and are left out',
  column: 'complexity',
  ...plain,
  byChance:
    'no fixed number: the ln of the number of positions for a map that is the same everywhere, what the random control gets for noise',
  measure: async ({ map }) => ({ value: map.empty ? NaN : entropy(map.data) }),
};

/** −Σ P_i ln P_i with P = |v| / Σ |v|, in nats; 0 ln 0 is 0. */
export function entropy(values: Float32Array): number {
  let [sum, weighted] = [0, 0];
  for (const value of values) {
    const size = Math.abs(value);
    if (size === 0) continue;
    sum += size;
    weighted += size * Math.log(size);
  }
  return Math.log(sum) - weighted / sum;
}
