import type { ClipCrops } from '../clip/read-clips.js';
import type { Scores } from '../graph/scores.js';
import type { Row } from '../targets/target.js';
import { sizeOf } from '../tensor.js';
import { linearUpsampler } from '../upsample.js';
import { factsOfMap } from './map-facts.js';
import type { Explanation, TargetExplanation } from './explanation.js';
import type { PreparedImage } from './input.js';

/**
 * The crops of a clip as pictures of their own. Targets are found in what `judge` says of an output, the same for all.
 */
export function viewsOf(
  { crops, ...image }: PreparedImage & { readonly crops: ClipCrops },
  judge: (scores: Scores) => Promise<Row>,
): PreparedImage[] {
  const rows = new Map<string, Promise<Row>>();
  const judged = (scores: Scores) => {
    const { name } = scores.info;
    if (!rows.has(name)) rows.set(name, judge(scores));
    return rows.get(name) as Promise<Row>;
  };
  return crops.views.map(({ tensor }) => ({ ...image, tensor, judged }));
}

/** The mean of rows, value by value. */
export function meanRow(rows: readonly Row[]): Row {
  const [{ data, dims }] = rows;
  return {
    dims,
    data: data.map((_, i) => rows.reduce((sum, row) => sum + row.data[i], 0) / rows.length),
  };
}

/** The explanations of a clip's crops as one: everything but the maps is the same. */
export function mergedCrops(views: readonly Explanation[], crops: ClipCrops, threshold: number): Explanation {
  const [first] = views;
  return {
    ...first,
    targets: first.targets.map((_, t) =>
      mergedTarget(
        views.map(({ targets }) => targets[t]),
        crops,
        threshold,
      ),
    ),
  };
}

/**
 * At every place the mean of the maps of those crops that see it, before they are normalised, so that a crop in which little speaks
 * for the target weighs little; then min–max normalised. Where there are no such maps (methods of the input, several layers)
 * the mean of the normalised ones. Places that no crop sees are 0.
 */
function mergedTarget(
  views: readonly TargetExplanation[],
  { views: places, size }: ClipCrops,
  threshold: number,
): TargetExplanation {
  const { raw: _, attribution: __, evidence: ___, ...first } = views[0];
  const [count, height, width] = first.map.dims;
  const dims = [count, ...size];
  const sum = new Float64Array(sizeOf(dims));
  const seen = new Uint8Array(sizeOf(size));
  for (const [i, { map, raw, layers }] of views.entries()) {
    const isRaw = raw !== undefined && layers.length === 1 && raw.dims.length === map.dims.length;
    const values = isRaw ? linearUpsampler(raw.dims, map.dims)(Float64Array.from(raw.data)) : map.data;
    const { x, y } = places[i];
    for (let row = 0; row < height; row++) {
      const at = (y + row) * size[1] + x;
      for (let column = 0; column < width; column++) seen[at + column]++;
      for (let t = 0; t < count; t++) {
        const [from, to] = [(t * height + row) * width, t * seen.length + at];
        for (let column = 0; column < width; column++) sum[to + column] += values[from + column];
      }
    }
  }
  const data = normalized(sum.map((value, i) => value / (seen[i % seen.length] || 1)));
  const empty = views.every(({ map }) => map.empty);
  return {
    ...first,
    map: { ...first.map, ...factsOfMap({ data, dims, empty }, threshold), data, dims, empty },
  };
}

/** (M − min M) / (max M − min M); of one value everywhere 1, or 0 where that is 0. */
function normalized(map: Float64Array): Float32Array {
  let [least, most] = [map[0], map[0]];
  for (const value of map) {
    if (value < least) least = value;
    if (value > most) most = value;
  }
  if (least === most) return new Float32Array(map.length).fill(most > 0 ? 1 : 0);
  return Float32Array.from(map, (value) => (value - least) / (most - least));
}
