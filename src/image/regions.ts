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
  return largestFirst(partsOf(kernels().salientRuns(map, width, share), height, width));
}

/** Connected parts, one for each run at first. Numbers in arrays, since a picture has thousands of runs. */
interface Parts {
  /** The part that it turned out to be a piece of; itself while there is none. */
  readonly whole: Int32Array;
  /** Left column, the column behind the right one, top row, bottom row, area. */
  readonly boxes: Int32Array;
  readonly masses: Float64Array;
}
const box = 5;

/** The runs (runs.ts: start, end and sum of each) joined where they touch, also at a corner. */
function partsOf(runs: Float64Array, height: number, width: number): Parts {
  const count = runs.length / 3;
  const parts: Parts = {
    whole: new Int32Array(count),
    boxes: new Int32Array(count * box),
    masses: new Float64Array(count),
  };
  for (let y = 0, run = 0, above = 0; y < height; y++) {
    const first = run;
    const offset = y * width;
    for (; run < count && runs[run * 3] < offset + width; run++) {
      const start = runs[run * 3] - offset;
      const end = runs[run * 3 + 1] - offset;
      parts.whole[run] = run;
      parts.boxes[run * box] = start;
      parts.boxes[run * box + 1] = end;
      parts.boxes[run * box + 2] = y;
      parts.boxes[run * box + 3] = y;
      parts.boxes[run * box + 4] = end - start;
      parts.masses[run] = runs[run * 3 + 2];
      while (above < first && runs[above * 3 + 1] - offset + width < start) above++; // ends two columns before, or earlier
      let part = run;
      for (let i = above; i < first && runs[i * 3] - offset + width <= end; i++)
        part = join(parts, part, wholeOf(parts, i));
    }
    above = first;
  }
  return parts;
}

function wholeOf({ whole }: Parts, part: number): number {
  let root = part;
  while (whole[root] !== root) root = whole[root];
  for (let at = part; at !== root; ) {
    const next = whole[at];
    whole[at] = root;
    at = next;
  }
  return root;
}

/** Adds the smaller to the larger, which is returned. */
function join({ whole, boxes, masses }: Parts, a: number, b: number): number {
  if (a === b) return a;
  const isLarger = boxes[a * box + 4] > boxes[b * box + 4];
  const large = isLarger ? a : b;
  const small = isLarger ? b : a;
  const to = large * box;
  const from = small * box;
  boxes[to] = Math.min(boxes[to], boxes[from]);
  boxes[to + 1] = Math.max(boxes[to + 1], boxes[from + 1]);
  boxes[to + 2] = Math.min(boxes[to + 2], boxes[from + 2]);
  boxes[to + 3] = Math.max(boxes[to + 3], boxes[from + 3]);
  boxes[to + 4] += boxes[from + 4];
  masses[large] += masses[small];
  whole[small] = large;
  return large;
}

function largestFirst({ whole, boxes, masses }: Parts): Region[] {
  const all: Region[] = [];
  for (let part = 0; part < whole.length; part++) {
    if (whole[part] !== part) continue;
    const [left, right, top, bottom, area] = boxes.subarray(part * box, (part + 1) * box);
    all.push({ x: left, y: top, width: right - left, height: bottom - top + 1, area, mass: masses[part] });
  }
  return all.sort((a, b) => b.area - a.area || b.mass - a.mass || a.y - b.y || a.x - b.x);
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
