import type { Blocks } from '../../upsample.js';
import type { Evidence } from './evidence.js';

/**
 * Writes picture n ⊙ scale (mask − least), the same for every channel. The mask has the picture's spatial dims, or the last of
 * them, and is then the same for all of those before.
 */
export function maskPicture(
  { input, inputDims, channelAxis }: Pick<Evidence, 'input' | 'inputDims' | 'channelAxis'>,
  n: number,
  mask: Blocks,
  out: Float32Array,
  { least, scale } = { least: 0, scale: 1 },
): void {
  const from = n * out.length;
  const channels = channelAxis < 0 ? 1 : inputDims[channelAxis];
  const isLast = channelAxis > 0;
  const positions = out.length / channels;
  const { count, length } = mask;
  const [step, run] = isLast ? [1, channels] : [positions, 1];
  for (let block = 0; block < count; block++) {
    const values = mask.at(block);
    for (let i = 0; i < length; i++) values[i] = (values[i] - least) * scale;
    for (let place = block * length; place < positions; place += count * length)
      for (let c = 0; c < channels; c++) {
        let at = place * run + c * step;
        for (let i = 0; i < length; i++, at += run) out[at] = input[from + at] * values[i];
      }
  }
}

/** What brings a mask into 0…1, (mask − least) · scale; a constant becomes 0. */
export function maskRange(mask: Blocks): { readonly least: number; readonly scale: number } {
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let block = 0; block < mask.count; block++) {
    const values = mask.at(block);
    for (let i = 0; i < mask.length; i++) {
      least = Math.min(least, values[i]);
      most = Math.max(most, values[i]);
    }
  }
  return { least, scale: most > least ? 1 / (most - least) : 0 };
}

/** A mask that is there as a whole, as one block. */
export function wholeMask(values: Float64Array): Blocks {
  return { count: 1, length: values.length, at: () => values };
}
