import { percent } from '../../metric.js';
import type { FaithfulnessMetric } from '../shown-map.js';

export const emptyMaps: FaithfulnessMetric = {
  asked: 'empty',
  key: 'emptyMaps',
  name: 'Empty maps',
  hint: () => 'nothing is marked; counted like any other map',
  definition: 'share of maps that mark nothing; in all other metrics they count like any other map',
  ...percent,
  byChance: 'noise is never empty',
  chance: 0,
  measure: async ({ map }) => ({ value: map.empty ? 1 : 0 }),
};
