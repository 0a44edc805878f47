import { sizeOf } from '../../tensor.js';
import type { Builder, Name } from '../../graph/builder.js';
import { reshapeTo } from '../extent.js';
import type { Rule } from '../rule.js';
import { maxPool } from './pool.js';
import { offsets, reach, windowOf } from './window.js';

/** Windows with more cells are left to their indices. */
const mostTaps = 27;
const lowest = -3.4028234663852886e38;

/**
 * All of dY to the first maximum, as `maxPool`, without the node's indices, which GPUs do not give: cell by cell of the window, a
 * strided slice of the padded input that equals the maximum, where no cell before it did, takes dY, and transposed convolutions
 * with one weight a cell put it back: one over the last two axes, and one over the first of three, as GPUs have no volumes of them.
 */
export const maxPoolByTaps: Rule = (pass) => {
  const { b, dY, x, y } = pass;
  const axes = (pass.rank(x[0]) ?? 0) - 2;
  const isFixed = axes >= 1 && axes <= 3 && pass.isStatic(x[0], 2) && pass.isStatic(y[0], 2);
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
  const [depth, ...plane] = inVolume(to, 1);
  const size = sizeOf(plane);
  const found: Name[] = [];
  let left: Name | undefined; // 1 where no cell was the maximum so far
  for (let tap = 0; tap < taps; tap++) {
    const starts = offsets(tap, kernel).map((offset, i) => offset * dilations[i]);
    const ends = starts.map((start, i) => start + (to[i] - 1) * strides[i] + 1);
    const where = starts.map((_, i) => i + 2);
    const cell = b.op('Slice', [whole, b.ints(starts), b.ints(ends), b.ints(where), b.ints(strides)]);
    const equal = b.asFloat(b.op('Equal', [cell, y[0]]));
    const own: Name = left === undefined ? equal : b.mul(equal, left);
    left = left === undefined ? b.from(1, equal) : b.sub(left, own);
    found.push(reshapeTo(pass, own, [-1, 1, depth, 1, size]));
  }
  // [N·K, taps along the first axis, steps along it, taps of the plane, places of the plane]
  const [layers, ...cells] = inVolume(kernel, 1);
  const inPlane = sizeOf(cells);
  const rows = Array.from({ length: layers }, (_, l) =>
    joined(b, found.slice(l * inPlane, (l + 1) * inPlane), 3),
  );
  const shares = b.mul(joined(b, rows, 1), reshapeTo(pass, dY, [-1, 1, depth, 1, size]));
  const put = (value: Name, count: number, kernelDims: readonly number[], part: Put): Name =>
    b.op('ConvTranspose', [value, b.floats(oneHot(count), [count, 1, ...kernelDims])], {
      strides: part.strides,
      dilations: part.dilations,
      pads: [...part.begin, ...part.behind],
      output_padding: part.rest,
    });
  const parts: Put = {
    strides: inVolume(strides, 1),
    dilations: inVolume(dilations, 1),
    begin: inVolume(begin, 0),
    behind: inVolume(behind, 0),
    rest: inVolume(
      lack.map((length) => Math.max(-length, 0)),
      0,
    ),
  };
  const ofPlane = mapped(parts, (list) => list.slice(1));
  const planes = put(reshapeTo(pass, shares, [-1, inPlane, ...plane]), inPlane, cells, ofPlane);
  if (axes < 3) return [pass.reshapeLike(planes, x[0])];
  const ofDepth = mapped(parts, ([first], empty) => [first, empty]);
  const columns = reshapeTo(pass, planes, [-1, layers, depth, sizeOf(from.slice(1))]);
  return [pass.reshapeLike(put(columns, layers, [layers, 1], ofDepth), x[0])];
};

/**
 * All of dY to the first maximum of a channel, as `globalMaxPool`, without an array of zeros that it is written into, which GPUs do not
 * make: to the one that equals the maximum where only one did so far.
 */
export const globalMaxPoolByPlace: Rule = (pass) => {
  const { b, dY, x, y } = pass;
  const rows = b.ints([0, 0, -1]);
  const [values, maxima, shares] = [x[0], y[0], dY].map((name) => b.op('Reshape', [name, rows]));
  const hit = b.asFloat(b.op('Equal', [values, maxima]));
  const first = b.mul(hit, b.asFloat(b.op('Equal', [b.op('CumSum', [hit, b.int(2)]), b.scalar(1)])));
  return [pass.reshapeLike(b.mul(first, shares), x[0])];
};

/** How a transposed convolution lays out what it puts back. */
type Put = Readonly<Record<'strides' | 'dilations' | 'begin' | 'behind' | 'rest', readonly number[]>>;

function mapped(put: Put, of: (list: readonly number[], empty: number) => readonly number[]): Put {
  const { strides, dilations, begin, behind, rest } = put;
  return {
    strides: of(strides, 1),
    dilations: of(dilations, 1),
    begin: of(begin, 0),
    behind: of(behind, 0),
    rest: of(rest, 0),
  };
}

/** Numbers of one to three axes as those of three: axes that are not there are in front. */
function inVolume(numbers: readonly number[], missing: number): readonly number[] {
  return [...Array<number>(3 - numbers.length).fill(missing), ...numbers];
}

/** Weights [count, 1, …cells of count] that put channel i into cell i. */
function oneHot(count: number): Float32Array {
  return Float32Array.from({ length: count * count }, (_, i) => (i % (count + 1) === 0 ? 1 : 0));
}

function joined(b: Builder, values: readonly Name[], axis: number): Name {
  return values.length > 1 ? b.op('Concat', [...values], { axis }) : values[0];
}
