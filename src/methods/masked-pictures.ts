import { sizeOf } from '../tensor.js';
import type { Evidence } from './evidence.js';

/**
 * Writes picture n ⊙ mask, the same for every channel. The mask has the picture's spatial dims, or the last of them, and is then
 * the same for all of those before.
 */
export function maskPicture(
  { input, inputDims, channelAxis }: Pick<Evidence, 'input' | 'inputDims' | 'channelAxis'>,
  n: number,
  mask: ArrayLike<number>,
  out: Float32Array,
): void {
  const axis = Math.max(0, channelAxis);
  const channels = channelAxis < 0 ? 1 : inputDims[axis];
  const inner = channelAxis < 0 ? out.length : sizeOf(inputDims.slice(axis + 1));
  const outer = out.length / (channels * inner);
  const from = n * out.length;
  for (let o = 0, at = 0; o < outer; o++)
    for (let c = 0; c < channels; c++) {
      let place = (o * inner) % mask.length;
      for (let i = 0; i < inner; i++, at++) {
        out[at] = input[from + at] * mask[place];
        place = place + 1 === mask.length ? 0 : place + 1;
      }
    }
}

/** (values − min) / (max − min), in place; a constant becomes 0. */
export function normalize(values: Float64Array): Float64Array {
  let [least, most] = [values[0], values[0]];
  for (const value of values) {
    if (value < least) least = value;
    else if (value > most) most = value;
  }
  const scale = most > least ? 1 / (most - least) : 0;
  for (let i = 0; i < values.length; i++) values[i] = (values[i] - least) * scale;
  return values;
}
