import { DataType } from '../../onnx/types.js';
import type { Name } from '../../graph/builder.js';
import { type Extent, extent, extents, reshapeTo, zerosLike } from '../extent.js';
import type { Pass, Rule } from '../rule.js';
import { item } from './shape.js';

/** How one axis was cut. `before` and `after` are what dY lacks once it is spread by `step`: numbers or int64 [1]. */
interface Cut {
  readonly axis: number;
  readonly step: number;
  readonly before: number | Name;
  readonly after: number | Name;
}

/** Puts dY back where it was taken from, zeros elsewhere. */
export const slice: Rule = (pass) => {
  const { b, x } = pass;
  const rank = pass.rank(x[0]);
  const count = pass.dims(x[1])[0];
  const given = pass.has(3) ? pass.numbers(3) : undefined;
  if (typeof count !== 'number' || (pass.has(3) && !given) || (pass.has(4) && !pass.numbers(4)))
    throw pass.unsupported('has axes or steps that are computed when the model runs');
  const axes = Array.from({ length: count }, (_, i) => pass.axis(given?.[i] ?? i, rank));
  const steps = pass.numbers(4) ?? axes.map(() => 1);
  const isFast = b.type !== DataType.DOUBLE; // ConvTranspose has no double kernel
  const cuts: Cut[] = [];
  for (const [i, axis] of axes.entries()) {
    const cut = fixedCut(pass, i, axis, steps[i], isFast) ?? computedCut(pass, i, axis, steps[i], isFast);
    if (cut === 'nothing') return [zerosLike(pass, x[0])];
    cuts.push(cut);
  }
  let dX = flipped(pass, cuts);
  dX = isFast ? spreadByConv(pass, dX, cuts, rank) : spreadByPadding(pass, dX, cuts, rank);
  return [padded(pass, dX, cuts, rank)];
};

function fixedCut(
  pass: Pass,
  i: number,
  axis: number,
  step: number,
  isFast: boolean,
): Cut | 'nothing' | undefined {
  const { x, y } = pass;
  const dim = pass.dims(x[0])[axis];
  if (dim !== '' && dim === pass.dims(y[0])[axis] && Math.abs(step) === 1)
    return { axis, step, before: 0, after: 0 };
  const [starts, ends] = [pass.numbers(1), pass.numbers(2)];
  if (!starts || !ends || typeof dim !== 'number') return undefined;
  const { first, count } = taken(dim, starts[i], ends[i], step);
  if (count === 0) return 'nothing';
  const before = Math.min(first, first + (count - 1) * step);
  return { axis, step, before, after: dim - before - spreadLength(count, step, isFast) };
}

/** Length of m values spread by a step: the last one is followed by zeros only in the slower way. */
function spreadLength(m: number, step: number, isFast: boolean): number {
  return isFast ? (m - 1) * Math.abs(step) + 1 : m * Math.abs(step);
}

/** The same with dims or bounds that are known when the model runs. */
function computedCut(pass: Pass, i: number, axis: number, step: number, isFast: boolean): Cut {
  const { b, x, y } = pass;
  const dimOf = (name: Name) => b.op('Shape', [name], { start: axis, end: axis + 1 });
  const dim = dimOf(x[0]);
  const start = item(pass, x[1], i);
  const absolute = b.where(b.op('Less', [start, b.ints([0])]), b.add(start, dim), start);
  const last = step > 0 ? dim : b.sub(dim, b.ints([1]));
  const first = b.op('Min', [b.op('Max', [absolute, b.ints([0])]), last]);
  const m = dimOf(y[0]);
  const reach = b.mul(b.sub(m, b.ints([1])), b.ints([Math.abs(step)]));
  const before = step > 0 ? first : b.sub(first, reach);
  const length = b.add(reach, b.ints([spreadLength(1, step, isFast)]));
  return { axis, step, before, after: b.sub(b.sub(dim, before), length) };
}

/** What a slice takes along one axis, by the ONNX rules for negative and overlong bounds. */
function taken(dim: number, start: number, end: number, step: number): { first: number; count: number } {
  const clamp = (value: number, low: number, high: number) => Math.min(Math.max(value, low), high);
  const absolute = (value: number) => (value < 0 ? value + dim : value);
  const first = step > 0 ? clamp(absolute(start), 0, dim) : clamp(absolute(start), 0, dim - 1);
  const last = step > 0 ? clamp(absolute(end), 0, dim) : clamp(absolute(end), -1, dim - 1);
  return { first, count: Math.max(Math.ceil((last - first) / step), 0) };
}

function flipped(pass: Pass, cuts: readonly Cut[]): Name {
  const axes = cuts.filter(({ step }) => step < 0).map(({ axis }) => axis);
  return axes.length > 0 ? flip(pass, pass.dY, axes) : pass.dY;
}

/** The values in reverse order along some axes. */
export function flip({ b }: Pick<Pass, 'b'>, value: Name, axes: readonly number[]): Name {
  const each = (bound: number) => b.ints(axes.map(() => bound));
  return b.op('Slice', [value, each(-1), each(-Number.MAX_SAFE_INTEGER), b.ints(axes), each(-1)]);
}

/** A transposed convolution with a single one: the fastest way to put zeros between values. */
function spreadByConv(pass: Pass, dY: Name, cuts: readonly Cut[], rank: number): Name {
  const { b, y } = pass;
  const strided = cuts.filter(({ step }) => Math.abs(step) > 1);
  if (strided.length === 0) return dY;
  const first = Math.min(...strided.map(({ axis }) => axis));
  const last = Math.max(...strided.map(({ axis }) => axis));
  const dims = pass.dims(y[0]);
  const rest = dims.slice(last + 1);
  const isFlat = rest.length > 1 && rest.every((dim) => typeof dim === 'number');
  const inner: Extent[] = isFlat
    ? [
        ...extents(pass, y[0], first, last + 1),
        rest.reduce((product: number, dim) => product * Number(dim), 1),
      ]
    : extents(pass, y[0], first);
  const strides = inner.map((_, i) => Math.abs(strided.find(({ axis }) => axis === first + i)?.step ?? 1));
  const one = b.floats([1], [1, 1, ...inner.map(() => 1)]);
  const full = b.op('ConvTranspose', [reshapeTo(pass, dY, [-1, 1, ...inner]), one], { strides });
  const lengths = Array.from({ length: rank }, (_, axis): Extent => {
    const dim = extent(pass, y[0], axis);
    if (axis < first || axis > last || strides[axis - first] === 1) return dim;
    return typeof dim === 'number'
      ? (dim - 1) * strides[axis - first] + 1
      : { of: full, axis: 2 + axis - first };
  });
  return reshapeTo(pass, full, lengths);
}

/** The same with kernels that exist for doubles: an axis of zeros beside each value. */
function spreadByPadding(pass: Pass, dY: Name, cuts: readonly Cut[], rank: number): Name {
  const { b, y } = pass;
  let dX = dY;
  const lengths = extents(pass, y[0]);
  for (const { axis, step } of cuts) {
    const width = Math.abs(step);
    if (width === 1) continue;
    const pads = Array<number>(2 * rank + 2).fill(0);
    pads[rank + axis + 2] = width - 1;
    const apart = b.op('Pad', [b.op('Unsqueeze', [dX, b.ints([axis + 1])]), b.ints(pads)]);
    const dim = lengths[axis];
    const isFixed = typeof dim === 'number';
    if (isFixed) lengths[axis] = dim * width;
    dX = reshapeTo(pass, apart, isFixed ? lengths : lengths.with(axis, -1));
    if (!isFixed) lengths[axis] = { of: dX, axis };
  }
  return dX;
}

function padded(pass: Pass, dX: Name, cuts: readonly Cut[], rank: number): Name {
  const { b } = pass;
  const pads = Array<number | Name>(2 * rank).fill(0);
  for (const { axis, before, after } of cuts) {
    pads[axis] = before;
    pads[rank + axis] = after;
  }
  if (pads.every((size) => size === 0)) return dX;
  if (pads.every((size) => typeof size === 'number')) return b.op('Pad', [dX, b.ints(pads)]);
  const parts = pads.map((size) => (typeof size === 'number' ? b.ints([size]) : size));
  return b.op('Pad', [dX, b.op('Concat', parts, { axis: 0 })]);
}
