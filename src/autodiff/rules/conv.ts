import { DataType } from '../../onnx/types.js';
import { floatsOf } from '../../onnx/constant.js';
import { sizeOf } from '../../tensor.js';
import type { Name } from '../../graph/builder.js';
import { extent, extents, reshapeTo, shapeFrom } from '../extent.js';
import type { Pass, Rule } from '../rule.js';
import { flip } from './slice.js';
import {
  isUnit,
  kernelOf,
  offsets,
  reach,
  spatialAxes,
  transposedWindowOf,
  type Window,
  windowOf,
} from './window.js';

/**
 * Stride 1: a convolution of dY with the rotated weights, which ONNX Runtime runs through its direct path.
 * Else: a transposed convolution, extended to the input's dims.
 */
export const conv: Rule = (pass) => {
  const { b, dY, x, y } = pass;
  const window = windowOf(pass, kernelOf(pass, 1));
  const group = pass.int('group', 1);
  const dX = pass.needs(0) ? inputGradient(pass, window, group) : undefined;
  const operands = { input: x[0], gradient: dY, weight: x[1], inputLike: x[0], gradientLike: y[0] };
  const dW = pass.needs(1) ? weightGradient(pass, operands, window, group) : undefined;
  return [dX, dW, b.reduceSum(dY, [0, ...spatialAxes(window.rank)], 0)];
};

/** The transpose of the rule above: dX is a convolution, and in dW input and gradient change places. */
export const convTranspose: Rule = (pass) => {
  const { b, dY, x, y } = pass;
  const window = transposedWindowOf(pass, kernelOf(pass, 1));
  const { strides, dilations, begin, end } = window;
  const group = pass.int('group', 1);
  const pads = [...begin, ...end];
  const dX = pass.needs(0)
    ? cropped(pass, b.op('Conv', [dY, x[1]], { strides, dilations, pads, group }), window)
    : undefined;
  const operands = { input: dY, gradient: x[0], weight: x[1], inputLike: y[0], gradientLike: x[0] };
  const dW = pass.needs(1) ? weightGradient(pass, operands, window, group) : undefined;
  return [dX, dW, b.reduceSum(dY, [0, ...spatialAxes(window.rank)], 0)];
};

/** A given output shape can be larger than what the windows cover: then there are windows too many. */
function cropped(pass: Pass, dX: Name, { rank }: Window): Name {
  const { b, x } = pass;
  if (!pass.ints('output_shape')) return dX;
  const axes = spatialAxes(rank);
  return b.op('Slice', [
    dX,
    b.ints(axes.map(() => 0)),
    shapeFrom(pass, extents(pass, x[0], 2)),
    b.ints(axes),
  ]);
}

function inputGradient(pass: Pass, window: Window, group: number): Name {
  return isUnit(window.strides) ? byRotation(pass, window, group) : byTransposedConv(pass, window, group);
}

/** Pads become d(k − 1) − p; where that is negative the result is cropped instead. */
function byRotation(pass: Pass, window: Window, group: number): Name {
  const { b, dY, x } = pass;
  const full = reach(window);
  const begin = full.map((length, i) => length - window.begin[i]);
  const end = full.map((length, i) => length - window.end[i]);
  const positive = (pads: number[]) => pads.map((pad) => Math.max(pad, 0));
  const dX = b.op('Conv', [dY, rotated(pass, x[1], window.rank, group)], {
    dilations: window.dilations,
    pads: [...positive(begin), ...positive(end)],
    group,
  });
  if ([...begin, ...end].every((pad) => pad >= 0)) return dX;
  const negative = (pads: number[]) => [0, 0, ...pads.map((pad) => Math.min(pad, 0))];
  return b.op('Pad', [dX, b.ints([...negative(begin), ...negative(end)])]);
}

/** W [M, C/g, k] → [C, M/g, k], channels swapped within each group and every spatial axis reversed. */
function rotated(pass: Pass, weight: Name, rank: number, group: number): Name {
  const { b } = pass;
  const constant = pass.constant(weight);
  if (constant && constant.type === DataType.FLOAT && !pass.keepsPath(weight))
    return b.floats(rotate(floatsOf(constant), constant.dims, group), rotatedDims(constant.dims, group));
  const axes = spatialAxes(rank);
  const flipped = flip(pass, weight, axes);
  if (group === 1) return b.transpose(flipped, [1, 0, ...axes]);
  const dims = pass.sizes(weight);
  const [outputs, inputs, ...kernel] = dims;
  const grouped = b.reshape(flipped, [group, outputs / group, inputs, ...kernel]);
  const swapped = b.transpose(grouped, [0, 2, 1, ...axes.map((axis) => axis + 1)]);
  return b.reshape(swapped, rotatedDims(dims, group));
}

function rotatedDims([outputs, inputs, ...kernel]: readonly number[], group: number): number[] {
  return [inputs * group, outputs / group, ...kernel];
}

function rotate(data: Float32Array, dims: readonly number[], group: number): Float32Array {
  const [outputs, inputs, ...kernel] = dims;
  const taps = sizeOf(kernel);
  const perGroup = outputs / group;
  const result = new Float32Array(data.length);
  for (let m = 0; m < outputs; m++) {
    const g = Math.floor(m / perGroup);
    for (let c = 0; c < inputs; c++) {
      const from = (m * inputs + c) * taps;
      const to = ((g * inputs + c) * perGroup + (m % perGroup)) * taps;
      for (let t = 0; t < taps; t++) result[to + taps - 1 - t] = data[from + t];
    }
  }
  return result;
}

function byTransposedConv(pass: Pass, window: Window, group: number): Name {
  const { b, dY, x, y } = pass;
  const { strides, dilations, begin, end } = window;
  const attributes = { strides, dilations, group, pads: [...begin, ...end] };
  if (pass.isStatic(x[0], 2) && pass.isStatic(y[0], 2)) {
    const from = pass.sizes(x[0], 2);
    const to = pass.sizes(y[0], 2);
    const length = reach(window);
    const output_padding = from.map(
      (size, i) => size - ((to[i] - 1) * strides[i] + length[i] + 1 - begin[i] - end[i]),
    );
    return b.op('ConvTranspose', [dY, x[1]], { ...attributes, output_padding });
  }
  const output_padding = strides.map((stride) => stride - 1);
  const dX = b.op('ConvTranspose', [dY, x[1]], { ...attributes, output_padding });
  const axes = spatialAxes(window.rank);
  const ends = shapeFrom(pass, extents(pass, x[0], 2));
  return b.op('Slice', [dX, b.ints(axes.map(() => 0)), ends, b.ints(axes)]);
}

interface Operands {
  readonly input: Name;
  readonly gradient: Name;
  readonly weight: Name;
  /** Forward values with the dims of input and gradient. */
  readonly inputLike: Name;
  readonly gradientLike: Name;
}

/** One Gemm a tap where dims allow it (fastest); else one convolution with batch and channels swapped. */
function weightGradient(pass: Pass, operands: Operands, window: Window, group: number): Name {
  const isFixed = pass.isStatic(operands.gradientLike, 2) && pass.isStatic(operands.weight);
  return group === 1 && isFixed
    ? byTaps(pass, operands, window)
    : bySwappedConv(pass, operands, window, group);
}

function byTaps(pass: Pass, { input, gradient, weight, gradientLike }: Operands, window: Window): Name {
  const { b } = pass;
  const { rank, kernel, strides, dilations, begin, end } = window;
  const axes = spatialAxes(rank);
  const sizes = pass.sizes(gradientLike, 2);
  const [outputs, inputs] = pass.sizes(weight);
  const swap = [1, 0, ...axes];
  const pads = [0, 0, ...begin, 0, 0, ...end];
  const padded = pads.some((pad) => pad !== 0) ? b.op('Pad', [input, b.ints(pads)]) : input;
  const channelsFirst = b.transpose(padded, swap);
  const rows = b.reshape(b.transpose(gradient, swap), [outputs, -1]);
  const parts = Array.from({ length: sizeOf(kernel) }, (_, tap) => {
    const starts = offsets(tap, kernel).map((offset, i) => offset * dilations[i]);
    const ends = starts.map((start, i) => start + (sizes[i] - 1) * strides[i] + 1);
    const slice = b.op('Slice', [channelsFirst, b.ints(starts), b.ints(ends), b.ints(axes), b.ints(strides)]);
    const product = b.op('Gemm', [rows, b.reshape(slice, [inputs, -1])], { transB: 1 });
    return b.op('Unsqueeze', [product, b.ints([2])]);
  });
  const stacked = parts.length > 1 ? b.op('Concat', parts, { axis: 2 }) : parts[0];
  return b.reshape(stacked, [outputs, inputs, ...kernel]);
}

/** Conv(Xᵀ, dYᵀ) with strides and dilations exchanged; its result can be larger than the kernel, hence the Slice. */
function bySwappedConv(pass: Pass, operands: Operands, window: Window, group: number): Name {
  const { b } = pass;
  const { rank, strides, dilations, begin, end, kernel } = window;
  const axes = spatialAxes(rank);
  const swap = [1, 0, ...axes];
  let input: Name;
  if (group === 1) input = b.transpose(operands.input, swap);
  else {
    const perGroup = extent(pass, operands.weight, 1);
    const spatial = extents(pass, operands.inputLike, 2);
    const split = reshapeTo(pass, operands.input, [-1, group, perGroup, ...spatial]);
    const grouped = b.transpose(split, [2, 1, 0, ...axes.map((axis) => axis + 1)]);
    input = reshapeTo(pass, grouped, [perGroup, -1, ...spatial]);
  }
  const attributes = { strides: dilations, dilations: strides, pads: [...begin, ...end], group };
  const swapped = b.op('Conv', [input, b.transpose(operands.gradient, swap)], attributes);
  const zeros = b.ints(axes.map(() => 0));
  const cut = b.op('Slice', [swapped, zeros, b.ints(kernel), b.ints(axes)]);
  return b.transpose(cut, swap);
}
