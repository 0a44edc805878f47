import { energyInside } from '../../localization/metrics/energy.js';
import { percent } from '../../metric.js';
import { mean } from '../../statistics.js';
import type { TubeMetric } from '../tube-place.js';

export const energyInSpace: TubeMetric = {
  key: 'energyInSpace',
  name: 'Energy in space',
  hint: 'of each frame of the action, the share of its map’s sum in its boxes, mean',
  definition:
    'mean over the frames that have boxes of the share of the frame’s own sum that lies in them; 0 for a frame that the map leaves empty',
  column: 'energy in space',
  better: 'higher',
  ...percent,
  byChance: 'the share of such a frame that its boxes cover',
  chance: ({ areas }) => mean(areas.filter((area) => area > 0)),
  measure: (map, { inside, areas }) => {
    const plane = map.length / areas.length;
    const shares = areas.flatMap((area, t) => {
      const of = <A extends Float32Array | Uint8Array>(all: A) =>
        all.subarray(t * plane, (t + 1) * plane) as A;
      return area > 0 ? [energyInside(of(map), of(inside))] : [];
    });
    return mean(shares);
  },
};
