import { percent } from '../../metric.js';
import type { TubeMetric } from '../tube-place.js';

export const energyInTime: TubeMetric = {
  key: 'energyInTime',
  name: 'Energy in time',
  hint: 'share of the map’s sum in the frames of the action',
  definition:
    'share of the map’s sum that lies in the frames that have boxes, wherever in them; 0 for an empty map',
  column: 'energy in time',
  better: 'higher',
  ...percent,
  byChance: 'the share of the frames that have boxes',
  chance: ({ areas }) => areas.filter((area) => area > 0).length / areas.length,
  measure: (map, { areas }) => {
    const plane = map.length / areas.length;
    let [total, within] = [0, 0];
    for (let p = 0; p < map.length; p++) {
      total += map[p];
      if (areas[Math.floor(p / plane)] > 0) within += map[p];
    }
    return total > 0 ? within / total : 0;
  },
};
