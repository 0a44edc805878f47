import { DataType } from '../../onnx/types.js';
import type { Name } from '../../graph/builder.js';
import type { Pass, Rule } from '../rule.js';

/** Smallest and largest numbers of the types that are quantised to. */
const ranges: Partial<Record<DataType, readonly [number, number]>> = {
  [DataType.UINT8]: [0, 255],
  [DataType.INT8]: [-128, 127],
  [DataType.UINT16]: [0, 65535],
  [DataType.INT16]: [-32768, 32767],
  [DataType.UINT4]: [0, 15],
  [DataType.INT4]: [-8, 7],
};

/** A scale or zero point, one number or one per place along the axis, shaped for multiplication. */
function perAxis(pass: Pass, value: Name, like: Name): Name {
  const { b } = pass;
  if (pass.int('block_size', 0) > 0) throw pass.unsupported('has a scale per block');
  const dims = pass.dims(value);
  if (dims.length === 0) return value;
  const rank = pass.rank(like);
  const axis = pass.axis(pass.int('axis', 1), rank);
  if (dims[0] === 1 || rank === 0) return b.reshape(value, []);
  return b.reshape(value, [-1, ...Array<number>(rank - 1 - axis).fill(1)]);
}

/** The sum over everything that shares a scale. */
function sumToScale(pass: Pass, value: Name, like: Name, scale: Name): Name {
  const { b } = pass;
  const rank = pass.rank(like);
  const isSingle = pass.rank(scale) === 0 || pass.dims(scale)[0] === 1;
  const axis = pass.axis(pass.int('axis', 1), rank);
  const axes = Array.from({ length: rank }, (_, i) => i).filter((i) => isSingle || i !== axis);
  return pass.reshapeLike(axes.length > 0 ? b.reduceSum(value, axes, 0) : value, scale);
}

/**
 * Straight through: rounding counts as the identity within the range of the whole numbers, as a constant outside it.
 * q = x / scale + zero point.
 */
export const quantizeLinear: Rule = (pass) => {
  const { b, dY, x, y } = pass;
  const type = pass.type(y[0]);
  const range = type === undefined ? undefined : ranges[type];
  if (!range) throw pass.unsupported('quantises to a type without a range of whole numbers');
  const scale = perAxis(pass, x[1], x[0]);
  const ratio = b.div(x[0], scale);
  const rounded = b.op('Round', [ratio]);
  const q = pass.has(2) ? b.add(rounded, b.asFloat(perAxis(pass, x[2], x[0]))) : rounded;
  const inside = b.op('And', [
    b.op('GreaterOrEqual', [q, b.scalar(range[0])]),
    b.op('LessOrEqual', [q, b.scalar(range[1])]),
  ]);
  pass.note('is differentiated straight through: as if it did not round');
  const dX = b.div(b.masked(inside, dY), scale);
  return [dX, pass.needs(1) ? sumToScale(pass, b.neg(b.mul(dX, ratio)), x[0], x[1]) : undefined];
};

/** y = (q − zero point) · scale. */
export const dequantizeLinear: Rule = (pass) => {
  const { b, dY, x } = pass;
  const q = b.asFloat(x[0]);
  const number = pass.has(2) ? b.sub(q, b.asFloat(perAxis(pass, x[2], x[0]))) : q;
  return [
    b.mul(dY, perAxis(pass, x[1], x[0])),
    pass.needs(1) ? sumToScale(pass, b.mul(dY, number), x[0], x[1]) : undefined,
  ];
};
