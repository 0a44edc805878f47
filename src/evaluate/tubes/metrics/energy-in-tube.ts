import { energyInside } from '../../localization/metrics/energy.js';
import { percent } from '../../metric.js';
import type { TubeMetric } from '../tube-place.js';

export const energyInTube: TubeMetric = {
  key: 'energyInTube',
  name: 'Energy inside the tube',
  hint: 'share of the map’s sum in the boxes of the frames of the action',
  definition:
    'share of the map’s sum over space and time that lies in the boxes, in the frames that have some; 0 for an empty map (Wang et al., arXiv 1910.01279, with time as a third axis)',
  column: 'energy in tube',
  better: 'higher',
  ...percent,
  byChance: 'the share of the clip that the boxes cover',
  chance: ({ area }) => area,
  measure: (map, { inside }) => energyInside(map, inside),
};
