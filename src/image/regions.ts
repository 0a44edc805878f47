import { invalid, numberIn, onlyKeys } from '../check.js';
import { kernels } from './kernels.js';
import type { Rectangle } from './pixels.js';

/** A connected part of a map, in whole map positions. */
export interface Region {
  /** The box's left column and top row. */
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  /** How many positions of the box belong to the region. */
  readonly area: number;
  /** The sum of the map over them. */
  readonly mass: number;
}

export interface RegionOptions {
  /** A share of the map's maximum, 0…1. Default 0.15, as Grad-CAM (arXiv 1610.02391) takes for boxes. */
  readonly threshold?: number;
}

/**
 * The 8-connected regions of positive values of at least `threshold · max`, largest area first, then largest
 * mass, then in reading order. One pass over runs of such values (runs.ts), each joined to those it touches in the
 * row above. None where the map has no positive value.
 * @param dims [h, w]
 */
export function regions(map: Float32Array, dims: readonly number[], options: RegionOptions = {}): Region[] {
  onlyKeys('regions', options, ['threshold']);
  const share = numberIn('threshold', options.threshold ?? 0.15, 0, 1);
  if (!(map instanceof Float32Array)) throw invalid('map', "a map's data, a Float32Array", map);
  if (!Array.isArray(dims) || dims.length !== 2 || map.length !== dims[0] * dims[1])
    throw invalid('dims', `[h, w] of the map's ${map.length} values`, dims);
  const [height, width] = dims as readonly number[];
  if (map.length === 0) return [];
  const runs = kernels().salientRuns(map, width, share);
  const all: Part[] = [];
  let above: Run[] = [];
  for (let y = 0, r = 0; y < height; y++) {
    const row: Run[] = [];
    const offset = y * width;
    for (let at = 0; r < runs.length && runs[r] < offset + width; r += 3) {
      const [start, end] = [runs[r] - offset, runs[r + 1] - offset];
      let part: Part | undefined;
      while (at < above.length && above[at].end < start) at++; // ends two columns before, or earlier
      for (let i = at; i < above.length && above[i].start <= end; i++)
        part = part ? join(part, rootOf(above[i].part)) : rootOf(above[i].part);
      if (!part) all.push((part = { left: start, right: end, top: y, bottom: y, area: 0, mass: 0 }));
      part.left = Math.min(part.left, start);
      part.right = Math.max(part.right, end);
      part.bottom = y;
      part.area += end - start;
      part.mass += runs[r + 2];
      row.push({ start, end, part });
    }
    above = row;
  }
  return all
    .filter((part) => !part.joined)
    .map(({ left, right, top, bottom, area, mass }) => ({
      x: left,
      y: top,
      width: right - left,
      height: bottom - top + 1,
      area,
      mass,
    }))
    .sort((a, b) => b.area - a.area || b.mass - a.mass || a.y - b.y || a.x - b.x);
}

/** Columns start … end − 1 of a row, all above the threshold. */
interface Run {
  readonly start: number;
  readonly end: number;
  readonly part: Part;
}

/** A region so far; `joined` once it turned out to be part of another. */
interface Part {
  left: number;
  right: number;
  top: number;
  bottom: number;
  area: number;
  mass: number;
  joined?: Part;
}

function rootOf(part: Part): Part {
  let root = part;
  while (root.joined) root = root.joined;
  for (let at = part; at.joined; ) {
    const next: Part = at.joined;
    at.joined = root;
    at = next;
  }
  return root;
}

/** Adds the smaller to the larger. */
function join(a: Part, b: Part): Part {
  if (a === b) return a;
  const [large, small] = a.area >= b.area ? [a, b] : [b, a];
  large.left = Math.min(large.left, small.left);
  large.right = Math.max(large.right, small.right);
  large.top = Math.min(large.top, small.top);
  large.bottom = Math.max(large.bottom, small.bottom);
  large.area += small.area;
  large.mass += small.mass;
  small.joined = large;
  return large;
}

/** A box of a map [h, w] as a rectangle of the picture that the map covers at `geometry`. */
export function toPicture(box: Rectangle, [h, w]: readonly number[], geometry: Rectangle): Rectangle {
  const [scaleX, scaleY] = [geometry.width / w, geometry.height / h];
  return {
    x: geometry.x + box.x * scaleX,
    y: geometry.y + box.y * scaleY,
    width: box.width * scaleX,
    height: box.height * scaleY,
  };
}
