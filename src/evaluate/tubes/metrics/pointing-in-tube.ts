import { pointing } from '../../localization/metrics/pointing-game.js';
import { percent } from '../../metric.js';
import type { TubeMetric } from '../tube-place.js';

export const pointingInTube: TubeMetric = {
  key: 'pointingInTube',
  name: 'Pointing game of clips',
  hint: 'the maximum lies in a box of its frame',
  definition:
    'does the map’s maximum, over space and time, lie in a box of its frame (as the pointing game)?',
  column: 'pointing',
  better: 'higher',
  ...percent,
  byChance: 'the share of the clip that the boxes cover',
  chance: ({ area }) => area,
  measure: (map, { inside }) => pointing(map, inside),
};
