import { regions } from '../../image/regions.js';

/**
 * How well a map marks the annotated places. `map` is normalised (0 … 1, at the network's input size), `inside` is
 * 1 at the positions of the ground truth (all boxes or masks of the class united), 0 elsewhere.
 */
export interface Areas {
  /** Marked positions inside the ground truth. */
  readonly internal: number;
  /** Marked positions outside of it. */
  readonly external: number;
  /** Positions of the ground truth. */
  readonly truth: number;
}

/**
 * Areas after binarising at L ≥ δ. A position whose value is 0 is never marked, so at δ = 0 the marked positions
 * are the non-zero ones: the paper counts "non-zero pixels", and L ≥ 0 would mark the whole picture for every method.
 */
export function areasAt(map: Float32Array, inside: Uint8Array, delta: number): Areas {
  let internal = 0;
  let external = 0;
  let truth = 0;
  for (let p = 0; p < map.length; p++) {
    const marked = map[p] >= delta && map[p] > 0;
    truth += inside[p];
    if (marked && inside[p]) internal++;
    else if (marked) external++;
  }
  return { internal, external, truth };
}

/**
 * The paper's Loc(δ) = internal / (box area + external area), 0 … 1. Written out this is the intersection over the
 * union of the marked positions and the ground truth.
 */
export function localization({ internal, external, truth }: Areas): number {
  return truth + external > 0 ? internal / (truth + external) : 0;
}

/** Share of the map's sum that lies inside, 0 … 1; 0 for an empty map (Wang et al. 2020, arXiv 1910.01279). */
export function energyInside(map: Float32Array, inside: Uint8Array): number {
  let total = 0;
  let within = 0;
  for (let p = 0; p < map.length; p++) {
    total += map[p];
    if (inside[p]) within += map[p];
  }
  return total > 0 ? within / total : 0;
}

/**
 * Pointing game (Zhang et al. 2016, arXiv 1608.00507): is the map's maximum inside? Where several positions share
 * the maximum the score is the share of them that is inside, the expected hit of picking one at random; an empty
 * map points nowhere and is a miss.
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
  const hits = tied.filter((p) => inside[p] || (tolerance > 0 && isNear(inside, width, p, tolerance)));
  return hits.length / tied.length;
}

function isNear(inside: Uint8Array, width: number, p: number, tolerance: number): boolean {
  const height = inside.length / width;
  const x = p % width;
  const y = (p - x) / width;
  const reach = Math.floor(tolerance);
  for (let v = Math.max(0, y - reach); v <= Math.min(height - 1, y + reach); v++)
    for (let u = Math.max(0, x - reach); u <= Math.min(width - 1, x + reach); u++)
      if (inside[v * width + u] && (u - x) ** 2 + (v - y) ** 2 <= tolerance ** 2) return true;
  return false;
}

/** A rectangle in pixels of the network's input; x1 and y1 lie just outside. */
export interface Box {
  readonly x0: number;
  readonly y0: number;
  readonly x1: number;
  readonly y1: number;
}

/** Plain intersection over union of two boxes, 0 … 1. */
export function boxIoU(a: Box, b: Box): number {
  const width = Math.min(a.x1, b.x1) - Math.max(a.x0, b.x0);
  const height = Math.min(a.y1, b.y1) - Math.max(a.y0, b.y0);
  if (!(width > 0 && height > 0)) return 0;
  const intersection = width * height;
  const area = (box: Box): number => (box.x1 - box.x0) * (box.y1 - box.y0);
  return intersection / (area(a) + area(b) - intersection);
}

/**
 * The box a map proposes: around the largest region of values of at least `threshold` of its maximum, the rule of
 * weakly supervised localisation (Zhou et al., arXiv 1512.04150; 15 % as in Grad-CAM). None where the map is empty.
 */
export function proposeBox(map: Float32Array, width: number, threshold = 0.15): Box | undefined {
  const [largest] = regions(map, [map.length / width, width], { threshold });
  return (
    largest && { x0: largest.x, y0: largest.y, x1: largest.x + largest.width, y1: largest.y + largest.height }
  );
}
