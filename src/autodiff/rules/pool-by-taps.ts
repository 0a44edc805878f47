import { sizeOf } from '../../tensor.js';
import type { Name } from '../../graph/builder.js';
import { reshapeTo } from '../extent.js';
import type { Rule } from '../rule.js';
import { maxPool } from './pool.js';
import { offsets, reach, windowOf } from './window.js';

/** Windows with more cells are left to their indices. */
const mostTaps = 25;
const lowest = -3.4028234663852886e38;

/**
 * All of dY to the first maximum, as `maxPool`, without the node's indices, which GPUs do not give: cell by cell of the window, a
 * strided slice of the padded input that equals the maximum, where no cell before it did, takes dY, and a transposed convolution
 * with one weight a cell puts it back.
 */
export const maxPoolByTaps: Rule = (pass) => {
  const { b, dY, x, y } = pass;
  const isFixed = pass.rank(x[0]) === 4 && pass.isStatic(x[0], 2) && pass.isStatic(y[0], 2);
  const window = isFixed ? windowOf(pass, pass.ints('kernel_shape') ?? []) : undefined;
  const taps = sizeOf(window?.kernel ?? []);
  if (!window || taps > mostTaps) return maxPool(pass);
  const { kernel, strides, dilations, begin } = window;
  const [from, to] = [pass.sizes(x[0], 2), pass.sizes(y[0], 2)];
  const covered = reach(window).map((length, i) => (to[i] - 1) * strides[i] + length + 1);
  const lack = covered.map((size, i) => size - begin[i] - from[i]); // below 0: cells that no window reaches
  const behind = lack.map((size) => Math.max(size, 0));
  const isPadded = [...begin, ...behind].some((pad) => pad > 0);
  const whole = isPadded
    ? b.op('Pad', [x[0], b.ints([0, 0, ...begin, 0, 0, ...behind]), b.scalar(lowest)])
    : x[0];
  const found: Name[] = [];
  let left: Name | undefined; // 1 where no cell was the maximum so far
  for (let tap = 0; tap < taps; tap++) {
    const starts = offsets(tap, kernel).map((offset, i) => offset * dilations[i]);
    const ends = starts.map((start, i) => start + (to[i] - 1) * strides[i] + 1);
    const cell = b.op('Slice', [whole, b.ints(starts), b.ints(ends), b.ints([2, 3]), b.ints(strides)]);
    const equal = b.asFloat(b.op('Equal', [cell, y[0]]));
    const own: Name = left === undefined ? equal : b.mul(equal, left);
    left = left === undefined ? b.from(1, equal) : b.sub(left, own);
    found.push(reshapeTo(pass, own, [-1, 1, ...to]));
  }
  const masks = taps > 1 ? b.op('Concat', found, { axis: 1 }) : found[0];
  const shares = b.mul(masks, reshapeTo(pass, dY, [-1, 1, ...to]));
  const weights = Float32Array.from({ length: taps * taps }, (_, i) => (i % (taps + 1) === 0 ? 1 : 0));
  const dX = b.op('ConvTranspose', [shares, b.floats(weights, [taps, 1, ...kernel])], {
    strides,
    dilations,
    pads: [...begin, ...behind],
    output_padding: lack.map((size) => Math.max(-size, 0)),
  });
  return [pass.reshapeLike(dX, x[0])];
};
