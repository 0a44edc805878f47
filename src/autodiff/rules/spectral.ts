import type { Plain } from '../../graph/attributes.js';
import type { Name } from '../../graph/builder.js';
import { extent, reshapeTo, shapeFrom, zerosLike } from '../extent.js';
import type { Pass, Rule } from '../rule.js';

/** A Fourier transform along an axis, in the form of the model's operator set. */
function transform(pass: Pass, value: Name, length: Name, axis: number, inverse: number): Name {
  const { b } = pass;
  const attributes: Record<string, Plain> = pass.opset < 20 ? { axis, inverse } : { inverse };
  return b.op('DFT', [value, length, pass.opset < 20 ? undefined : b.int(axis)], attributes);
}

/**
 * The adjoint of a transform of length n, real parts and imaginary ones apart: n times the inverse transform, of bins
 * that were left out as zeros. Of an inverse transform it is the transform over n.
 */
function adjoint(pass: Pass, dY: Name, length: Name, axis: number, inverse: number): Name {
  const { b } = pass;
  const made = transform(pass, dY, length, axis, 1 - inverse);
  const n = b.asFloat(length);
  return inverse ? b.div(made, n) : b.mul(made, n);
}

export const dft: Rule = (pass) => {
  const { b, dY, x } = pass;
  const rank = pass.rank(x[0]);
  const given = pass.opset < 20 ? pass.int('axis', 1) : pass.has(2) ? pass.numbers(2)?.[0] : -2;
  if (given === undefined) throw pass.unsupported('has an axis that is computed when the model runs');
  const axis = pass.axis(given, rank);
  const inverse = pass.int('inverse', 0);
  if (inverse === 1 && pass.int('onesided', 0) === 1)
    throw pass.unsupported('is an inverse of half a spectrum');
  const own = shapeFrom(pass, [extent(pass, x[0], axis)]);
  const length = b.op('Squeeze', [pass.has(1) ? b.reshape(x[1], [1]) : own]);
  const whole = realPart(pass, adjoint(pass, dY, length, axis, inverse));
  if (!pass.has(1)) return [whole];
  const missing = b.sub(own, b.reshape(length, [1]));
  const none = (count: number) => (count > 0 ? [b.ints(Array<number>(count).fill(0))] : []);
  const pads = b.op('Concat', [...none(rank + axis), missing, ...none(rank - 1 - axis)], { axis: 0 });
  return [b.op('Pad', [whole, pads])];
};

/** A real signal gets the real part of the gradient. Whether it is real may only be told when the model runs. */
function realPart(pass: Pass, value: Name): Name {
  const { b, x } = pass;
  const parts = extent(pass, x[0], pass.rank(x[0]) - 1);
  if (parts === 2) return value;
  return b.op('Slice', [value, b.ints([0]), shapeFrom(pass, [parts]), b.ints([-1])]);
}

/** Windows of the signal at every step, transformed: back through the transform, the window, and onto the signal. */
export const stft: Rule = (pass) => {
  const { b, dY, x, y } = pass;
  const frames = b.op('Squeeze', [b.op('Shape', [y[0]], { start: 1, end: 2 })]);
  const length = b.op('Squeeze', [pass.has(3) ? b.reshape(x[3], [1]) : b.op('Shape', [x[2]])]);
  const column = b.reshape(b.mul(b.op('Range', [b.int(0), frames, b.int(1)]), b.reshape(x[1], [1])), [-1, 1]);
  const places = b.add(column, b.op('Range', [b.int(0), length, b.int(1)])); // [frames, length]
  const dFrames = realPart(pass, adjoint(pass, dY, length, 2, 0));
  const window = x[2] ? b.reshape(x[2], [1, 1, -1, 1]) : undefined;
  const parts = reshapeTo(pass, window ? b.mul(dFrames, window) : dFrames, [0, -1, extent(pass, x[0], 2)]);
  const indices = b.op('Expand', [b.reshape(places, [1, -1, 1]), b.op('Shape', [parts])]);
  const dX = b.op('ScatterElements', [zerosLike(pass, x[0]), indices, parts], { axis: 1, reduction: 'add' });
  if (!window || !pass.needs(2)) return [dX];
  const taken = b.op('Gather', [x[0], places], { axis: 1 });
  return [dX, undefined, b.reduceSum(b.mul(taken, dFrames), [0, 1, 3], 0)];
};
