import { sizeOf } from '../../tensor.js';
import type { Pass } from '../rule.js';

/** The sliding window of a convolution or pooling, with all its attributes resolved. */
export interface Window {
  /** Number of spatial axes. */
  readonly rank: number;
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly begin: readonly number[];
  readonly end: readonly number[];
}

/** Windows with more cells than this do not occur; a damaged model may speak of them. */
const mostCells = 2 ** 20;

/** Size of the window along each spatial axis: the weights' dims, or the attribute where those are not known. */
export function kernelOf(pass: Pass, weight: number): readonly number[] {
  const name = pass.x[weight];
  return pass.isStatic(name, 2) ? pass.sizes(name, 2) : (pass.ints('kernel_shape') ?? pass.sizes(name, 2));
}

/** The window of a Conv or a pooling; SAME paddings of a pooling with strides need fixed spatial dims. */
export function windowOf(pass: Pass, kernel: readonly number[]): Window {
  const window = explicit(pass, kernel);
  const auto = pass.string('auto_pad', 'NOTSET');
  if (auto === 'NOTSET') return window;
  const length = reach(window);
  if (auto === 'VALID')
    return share(
      window,
      auto,
      kernel.map(() => 0),
    );
  const total = length.map((size, i) => {
    if (window.strides[i] === 1) return size;
    const [from] = pass.sizes(pass.x[0], i + 2);
    const steps = Math.ceil(from / window.strides[i]) - 1;
    return steps * window.strides[i] + size + 1 - from;
  });
  return share(window, auto, total);
}

/**
 * The window of a ConvTranspose. `output_shape` fixes what is cut off from s(X − 1) + d(k − 1) + 1 + output_padding;
 * SAME without it means an output of s·X.
 */
export function transposedWindowOf(pass: Pass, kernel: readonly number[]): Window {
  const window = explicit(pass, kernel);
  const auto = pass.string('auto_pad', 'NOTSET');
  const shape = pass.ints('output_shape');
  if (!shape && auto === 'NOTSET') return window;
  if (!shape && auto === 'VALID')
    return share(
      window,
      auto,
      kernel.map(() => 0),
    );
  const extra = pass.ints('output_padding') ?? kernel.map(() => 0);
  const total = reach(window).map((length, i) => {
    const stride = window.strides[i];
    if (!shape) return length + 1 + extra[i] - stride;
    const [from] = pass.sizes(pass.x[0], i + 2);
    return stride * (from - 1) + length + 1 + extra[i] - shape[i + shape.length - kernel.length];
  });
  return share(window, auto, total);
}

function explicit(pass: Pass, kernel: readonly number[]): Window {
  const rank = kernel.length;
  if (!(sizeOf(kernel) >= 1 && sizeOf(kernel) <= mostCells))
    throw pass.unsupported(`has a window of [${kernel.join(', ')}]`);
  const ones = kernel.map(() => 1);
  const pads = pass.ints('pads') ?? Array<number>(2 * rank).fill(0);
  return {
    rank,
    kernel,
    strides: pass.ints('strides') ?? ones,
    dilations: pass.ints('dilations') ?? ones,
    begin: pads.slice(0, rank),
    end: pads.slice(rank),
  };
}

/** Distributes padding to both ends; what is odd goes behind for SAME_UPPER, in front otherwise. */
function share(window: Window, auto: string, total: readonly number[]): Window {
  const whole = total.map((pad) => Math.max(pad, 0));
  const small = whole.map((pad) => Math.floor(pad / 2));
  const large = whole.map((pad, i) => pad - small[i]);
  return auto === 'SAME_UPPER'
    ? { ...window, begin: small, end: large }
    : { ...window, begin: large, end: small };
}

/** How far a window reaches: d(k − 1). */
export function reach({ kernel, dilations }: Window): number[] {
  return kernel.map((k, i) => dilations[i] * (k - 1));
}

export const isUnit = (values: readonly number[]): boolean => values.every((value) => value === 1);

/** Spatial axes of a [N, C, ...] tensor. */
export function spatialAxes(rank: number): number[] {
  return Array.from({ length: rank }, (_, i) => i + 2);
}

/** Position of the tap-th weight along each spatial axis, row-major. */
export function offsets(tap: number, kernel: readonly number[]): number[] {
  const result: number[] = [];
  let rest = tap;
  for (const size of kernel.toReversed()) {
    result.unshift(rest % size);
    rest = Math.floor(rest / size);
  }
  return result;
}
