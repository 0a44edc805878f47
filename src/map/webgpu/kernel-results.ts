import type { MapResult } from '../backend.js';
import { type Batch, headLength, type Shape } from './plan.js';

/** A result that batches fill. */
export interface FillableResult extends MapResult {
  readonly raw: readonly Float32Array[];
  readonly maps: readonly Float32Array[];
  readonly empty: readonly Uint8Array[];
}

const largestFloat = 3.4028234663852886e38;

export function emptyResult({ images, targets, positions, pixels }: Shape): FillableResult {
  const each = <T>(make: () => T): T[] => Array.from({ length: targets }, make);
  return {
    raw: each(() => new Float32Array(images * positions)),
    maps: each(() => new Float32Array(images * pixels)),
    empty: each(() => new Uint8Array(images)),
  };
}

/** Copies the kernel's `results` of a batch to their places; false where the kernel met numbers that are not finite. */
export function unpack(results: Float32Array, shape: Shape, batch: Batch, into: FillableResult): boolean {
  const { positions, pixels } = shape;
  const units = batch.images * batch.targets;
  const raws = results.subarray(units * headLength, units * (headLength + positions));
  const maps = results.subarray(units * (headLength + positions));
  for (let i = 0; i < batch.targets; i++) {
    const target = batch.firstTarget + i;
    const unit = i * batch.images;
    into.raw[target].set(
      raws.subarray(unit * positions, (unit + batch.images) * positions),
      batch.firstImage * positions,
    );
    into.maps[target].set(
      maps.subarray(unit * pixels, (unit + batch.images) * pixels),
      batch.firstImage * pixels,
    );
    for (let j = 0; j < batch.images; j++) {
      const [exponent, empty, finite] = results.subarray((unit + j) * headLength);
      if (finite !== 1) return false;
      const image = batch.firstImage + j;
      into.empty[target][image] = empty;
      if (exponent !== 0) rescale(into, target, image, 2 ** exponent, shape);
    }
  }
  return true;
}

/** Multiplies a raw map that the kernel computed divided by a power of two; here float32 neither flushes nor overflows. */
function rescale(
  { raw, maps, empty }: FillableResult,
  target: number,
  image: number,
  scale: number,
  { positions, pixels }: Shape,
): void {
  const map = raw[target].subarray(image * positions, (image + 1) * positions);
  for (let p = 0; p < positions; p++) map[p] = Math.min(map[p] * scale, largestFloat);
  if (map.some((value) => value !== 0)) return;
  empty[target][image] = 1;
  maps[target].fill(0, image * pixels, (image + 1) * pixels);
}
