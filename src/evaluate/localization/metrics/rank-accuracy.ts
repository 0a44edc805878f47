import { percent } from '../../metric.js';
import { saliencyOrder } from '../../saliency-order.js';
import type { LocalizationMetric } from '../place.js';

export const rankAccuracy: LocalizationMetric = {
  key: 'rankAccuracy',
  name: 'Relevance rank accuracy',
  hint: 'of the K most salient positions, K as many as are inside, the share that is inside',
  definition:
    'of the K positions with the highest values, where K positions are inside, the share that is inside (Arras et al., arXiv 2003.07258, Eq. 2). Of positions that tie at the last place as many count as are expected of a draw',
  column: 'rank accuracy',
  better: 'higher',
  ...percent,
  byChance: 'the share of the input that the places cover, which an empty map gets, too',
  chance: ({ area }) => area,
  measure: ({ data }, { inside }) => rankedInside(data, inside),
};

/** Share of the K highest positions that is inside, 0 … 1, with K as many as are inside. */
export function rankedInside(map: Float32Array, inside: Uint8Array): number {
  const count = inside.reduce((sum, value) => sum + value, 0);
  if (count === 0) return 0;
  const last = map[saliencyOrder(map)[count - 1]];
  let [above, hits, tied, tiedInside] = [0, 0, 0, 0];
  for (let p = 0; p < map.length; p++) {
    if (map[p] > last) {
      above++;
      hits += inside[p];
    } else if (map[p] === last) {
      tied++;
      tiedInside += inside[p];
    }
  }
  return (hits + ((count - above) * tiedInside) / tied) / count;
}
