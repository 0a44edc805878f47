import { plain } from '../../metric.js';
import type { FaithfulnessMetric } from '../shown-map.js';

export const sparseness: FaithfulnessMetric = {
  asked: 'sparseness',
  key: 'sparseness',
  name: 'Sparseness',
  hint: () => 'Gini index of the map: 0 the same everywhere, 1 all in one position',
  definition:
    'Gini index of the map’s values (Chalasani et al., arXiv 1810.06583): 0 where all are equal, nearly 1 where one position holds all. It says how short an explanation is, not how right; empty maps have none and are left out',
  column: 'sparseness',
  ...plain,
  byChance:
    'no fixed number: 0 for a map that is the same everywhere, what the random control gets for noise',
  measure: async ({ map }) => ({ value: map.empty ? NaN : giniIndex(map.data) }),
};

/** 1 − 2 Σ v₍ₖ₎ / |v|₁ · (n − k + ½) / n over the values in ascending order, k = 1 … n; values are not negative. */
export function giniIndex(values: Float32Array): number {
  const ascending = values.slice().sort();
  const n = ascending.length;
  let [sum, weighted] = [0, 0];
  for (let k = 1; k <= n; k++) {
    sum += ascending[k - 1];
    weighted += (ascending[k - 1] * (n - k + 0.5)) / n;
  }
  return 1 - (2 * weighted) / sum;
}
