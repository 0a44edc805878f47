import { percent } from '../../metric.js';
import type { LocalizationMetric } from '../place.js';

export function pointingGame(tolerance: number): LocalizationMetric {
  return {
    key: 'pointing',
    name: 'Pointing game',
    hint: `the maximum lies inside${tolerance > 0 ? `, or at most ${tolerance} pixels beside it` : ''}`,
    definition:
      'is the maximum inside (Zhang et al., arXiv 1608.00507)? Where positions tie, the share of them that is inside; an empty map is a miss. No tolerance unless one is given',
    column: 'pointing',
    better: 'higher',
    ...percent,
    byChance: `the share of the input that the places cover${tolerance > 0 ? ', with what is near enough' : ''}`,
    chance: ({ area, inside, width }) => (tolerance > 0 ? shareNear(inside, width, tolerance) : area),
    measure: ({ data }, { inside, width }) => pointing(data, inside, tolerance, width),
  };
}

/**
 * Is the map's maximum inside? Where several positions share the maximum the score is the share of them that is
 * inside, the expected hit of picking one at random; an empty map points nowhere and is a miss.
 *
 * @param tolerance positions up to this far (Euclidean, in pixels of the network's input) from the ground truth
 *   count as inside; the original game used 15 pixels of the picture, here the default is 0
 * @param width of the map, only needed with a tolerance
 */
export function pointing(map: Float32Array, inside: Uint8Array, tolerance = 0, width = map.length): number {
  let maximum = 0;
  let tied: number[] = [];
  for (let p = 0; p < map.length; p++) {
    if (map[p] > maximum) {
      maximum = map[p];
      tied = [p];
    } else if (map[p] === maximum && maximum > 0) tied.push(p);
  }
  if (tied.length === 0) return 0;
  return tied.filter(nearTo(inside, width, tolerance)).length / tied.length;
}

/** Share of the positions that a pointing map would hit. */
export function shareNear(inside: Uint8Array, width: number, tolerance: number): number {
  const isNear = nearTo(inside, width, tolerance);
  let near = 0;
  for (let p = 0; p < inside.length; p++) if (isNear(p)) near++;
  return near / inside.length;
}

/** Whether a position lies inside or so near. Distances along the row are known first; then one look a row is enough. */
function nearTo(inside: Uint8Array, width: number, tolerance: number): (p: number) => boolean {
  if (!(tolerance > 0)) return (p) => inside[p] === 1;
  const height = inside.length / width;
  const reach = Math.floor(tolerance);
  const alongRow = rowDistances(inside, width);
  return (p) => {
    const x = p % width;
    const y = (p - x) / width;
    for (let v = Math.max(0, y - reach); v <= Math.min(height - 1, y + reach); v++)
      if (alongRow[v * width + x] ** 2 + (v - y) ** 2 <= tolerance ** 2) return true;
    return false;
  };
}

/** From each position to the nearest one inside in its row; Infinity where there is none. */
function rowDistances(inside: Uint8Array, width: number): Float64Array {
  const distances = new Float64Array(inside.length).fill(Infinity);
  for (let start = 0; start < inside.length; start += width) {
    let last = -Infinity;
    for (let x = 0; x < width; x++) {
      if (inside[start + x]) last = x;
      distances[start + x] = x - last;
    }
    last = Infinity;
    for (let x = width - 1; x >= 0; x--) {
      if (inside[start + x]) last = x;
      distances[start + x] = Math.min(distances[start + x], last - x);
    }
  }
  return distances;
}
