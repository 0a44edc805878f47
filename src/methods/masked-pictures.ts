import { sizeOf } from '../tensor.js';
import { rangeOf } from './arrays.js';
import type { Evidence } from './evidence.js';

/**
 * Writes picture n ⊙ mask, the same for every channel. The mask has the picture's spatial dims, or the last of them, and is then
 * the same for all of those before.
 */
export function maskPicture(
  { input, inputDims, channelAxis }: Pick<Evidence, 'input' | 'inputDims' | 'channelAxis'>,
  n: number,
  mask: Float64Array,
  out: Float32Array,
): void {
  const axis = Math.max(0, channelAxis);
  const channels = channelAxis < 0 ? 1 : inputDims[axis];
  const inner = channelAxis < 0 ? out.length : sizeOf(inputDims.slice(axis + 1));
  const size = mask.length;
  const run = Math.min(inner, size); // one divides the other
  const from = n * out.length;
  for (let at = 0, place = 0; at < out.length; place = (place + run) % size)
    for (let c = 0; c < channels; c++)
      for (let i = 0; i < inner; i += run)
        for (let j = 0; j < run; j++, at++) out[at] = input[from + at] * mask[place + j];
}

/** (values − min) / (max − min), in place; a constant becomes 0. */
export function normalize(values: Float64Array): Float64Array {
  const { least, most } = rangeOf(values);
  const scale = most > least ? 1 / (most - least) : 0;
  for (let i = 0; i < values.length; i++) values[i] = (values[i] - least) * scale;
  return values;
}
