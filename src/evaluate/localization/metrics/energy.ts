import { percent } from '../../metric.js';
import type { LocalizationMetric } from '../place.js';

export const energy: LocalizationMetric = {
  key: 'energy',
  name: 'Energy inside',
  hint: 'share of the map’s sum that lies inside',
  definition:
    'share of the map’s sum inside; 0 for an empty map (Wang et al., arXiv 1910.01279). It is the relevance mass accuracy of Arras et al. (arXiv 2003.07258, Eq. 1)',
  column: 'energy',
  better: 'higher',
  ...percent,
  byChance: 'the share of the input that the places cover',
  chance: ({ area }) => area,
  measure: ({ data }, { inside }) => energyInside(data, inside),
};

/** Share of the map's sum that lies inside, 0 … 1; 0 for an empty map. */
export function energyInside(map: Float32Array, inside: Uint8Array): number {
  let total = 0;
  let within = 0;
  for (let p = 0; p < map.length; p++) {
    total += map[p];
    if (inside[p]) within += map[p];
  }
  return total > 0 ? within / total : 0;
}
