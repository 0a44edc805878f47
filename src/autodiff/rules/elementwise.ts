import { isFloat } from '../../onnx/types.js';
import type { Builder, Name } from '../../graph/builder.js';
import type { Pass, Rule } from '../rule.js';
import { broadcasting } from '../unbroadcast.js';

/** dX = dY · f′, with f′ written in terms of x or, where possible, of y (which keeps fusions with x's producer). */
export function derivative(f: (b: Builder, x: Name, y: Name, pass: Pass) => Name): Rule {
  return (pass) => [pass.b.mul(pass.dY, f(pass.b, pass.x[0], pass.y[0], pass))];
}

export const greater = (b: Builder, a: Name, value: number) => b.op('Greater', [a, b.scalar(value)]);
export const less = (b: Builder, a: Name, value: number) => b.op('Less', [a, b.scalar(value)]);
export const and = (b: Builder, a: Name, c: Name) => b.op('And', [a, c]);
/** 0 replaced by 1, for what is divided by: the quotient of 0 and 0 is then 0. */
export const withoutZeros = (b: Builder, a: Name) => b.where(b.op('Equal', [a, b.scalar(0)]), b.scalar(1), a);

export const identity: Rule = ({ dY }) => [dY];

export const add: Rule = broadcasting(({ dY }) => [dY, dY]);
export const sub: Rule = broadcasting(({ b, dY }) => [dY, b.neg(dY)]);
export const mul: Rule = broadcasting(({ b, dY, x }) => [b.mul(dY, x[1]), b.mul(dY, x[0])]);
export const div: Rule = broadcasting(({ b, dY, x, y }) => {
  const dA = b.div(dY, x[1]);
  return [dA, b.neg(b.mul(dA, y[0]))];
});
export const sum: Rule = broadcasting(({ x, dY }) => x.map(() => dY));
export const mean: Rule = broadcasting(({ b, x, dY }) => x.map(() => b.scale(dY, 1 / x.length)));

/** Max or Min of several: tied winners share dY equally, as in PyTorch. */
export const extreme: Rule = broadcasting(({ b, dY, x, y }) => {
  if (x.length === 1) return [dY];
  const masks = x.map((name) => b.asFloat(b.op('Equal', [name, y[0]])));
  const share = b.div(dY, b.op('Sum', masks));
  return masks.map((mask) => b.mul(share, mask));
});

export const where: Rule = broadcasting(({ b, dY, x }) => [
  undefined,
  b.where(x[0], dY, b.zero()),
  b.where(x[0], b.zero(), dY),
]);

/** a − n·b with n = trunc(a/b), or floor(a/b), which is constant. */
export const mod: Rule = broadcasting(({ b, dY, x, y }) => {
  const quotient = b.op('Round', [b.div(b.sub(x[0], y[0]), x[1])]);
  return [dY, b.neg(b.mul(dY, quotient))];
});

/** d(aᵖ): p·aᵖ⁻¹, 0 where p is 0; and, where the exponent is wanted, y·ln a, 0 at a = 0. */
export const pow: Rule = broadcasting((pass) => {
  const { b, dY, x, y } = pass;
  const dA = pass.needs(0) ? b.mul(dY, powerSlope(pass)) : undefined;
  if (!pass.needs(1)) return [dA];
  return [dA, b.mul(dY, b.mul(y[0], b.op('Log', [withoutZeros(b, x[0])])))];
});

/** p·aᵖ⁻¹ without Pow where the exponent is a small constant. */
function powerSlope(pass: Pass): Name {
  const { b, x } = pass;
  const exponents = pass.keepsPath(x[1]) ? undefined : pass.numbers(1);
  if (exponents?.length === 1) {
    const [p] = exponents;
    if (p === 2) return b.scale(x[0], 2);
    if (p === 3) return b.scale(b.square(x[0]), 3);
    if (p === 1 || p === 0) return b.scalar(p);
    return b.scale(b.op('Pow', [x[0], b.scalar(p - 1)]), p);
  }
  const type = pass.type(x[1]);
  const p = type !== undefined && !isFloat(type) ? b.op('Cast', [x[1]], { to: b.type }) : x[1];
  const slope = b.mul(p, b.op('Pow', [x[0], b.sub(p, b.scalar(1))]));
  return b.where(b.op('Equal', [p, b.scalar(0)]), b.zero(), slope);
}

export const exp: Rule = derivative((_, __, y) => y);
export const log: Rule = ({ b, dY, x }) => [b.div(dY, x[0])];
export const sqrt: Rule = ({ b, dY, y }) => [b.div(b.scale(dY, 0.5), y[0])];
export const neg: Rule = ({ b, dY }) => [b.neg(dY)];
/** 0 at 0. */
export const abs: Rule = derivative((b, x) => b.op('Sign', [x]));
export const reciprocal: Rule = ({ b, dY, y }) => [b.neg(b.mul(dY, b.square(y[0])))];
export const erf: Rule = derivative((b, x) =>
  b.scale(b.op('Exp', [b.neg(b.square(x))]), 2 / Math.sqrt(Math.PI)),
);

export const sin: Rule = derivative((b, x) => b.op('Cos', [x]));
export const cos: Rule = derivative((b, x) => b.neg(b.op('Sin', [x])));
export const tan: Rule = derivative((b, _, y) => b.add(b.square(y), b.scalar(1)));
export const sinh: Rule = derivative((b, x) => b.op('Cosh', [x]));
export const cosh: Rule = derivative((b, x) => b.op('Sinh', [x]));
export const tanh: Rule = derivative((b, _, y) => b.from(1, b.square(y)));

/** dY / √(sign·x² + constant) */
function overRoot(sign: 1 | -1, constant: 1 | -1): Rule {
  return ({ b, dY, x }) => {
    const square = b.square(x[0]);
    const inside = sign === 1 ? b.add(square, b.scalar(constant)) : b.from(constant, square);
    return [b.div(dY, b.op('Sqrt', [inside]))];
  };
}
export const asin: Rule = overRoot(-1, 1);
export const asinh: Rule = overRoot(1, 1);
export const acosh: Rule = overRoot(1, -1);
export const acos: Rule = (pass) => asin(pass).map((dX) => dX && pass.b.neg(dX));
export const atan: Rule = ({ b, dY, x }) => [b.div(dY, b.add(b.square(x[0]), b.scalar(1)))];
export const atanh: Rule = ({ b, dY, x }) => [b.div(dY, b.from(1, b.square(x[0])))];

/** The running sum the other way. */
export const cumSum: Rule = (pass) => {
  const { b, dY, x } = pass;
  const [exclusive, reverse] = [pass.int('exclusive', 0), 1 - pass.int('reverse', 0)];
  return [b.op('CumSum', [dY, x[1]], { exclusive, reverse })];
};

/**
 * y_i = x_0⋯x_i: dX_k = (x_0⋯x_(k−1)) · r_k with r_k = dY_k + x_(k+1)·r_(k+1), which doubling steps solve. Only products
 * and sums: exact where values are 0.
 */
export const cumProd: Rule = (pass) => {
  const { b, dY, x } = pass;
  const rank = pass.rank(x[0]);
  const [place] = pass.numbers(1) ?? [];
  if (place === undefined) throw pass.unsupported('has an axis that is computed when the model runs');
  const axis = pass.axis(place, rank);
  const length = pass.dims(x[0])[axis];
  if (typeof length !== 'number') throw pass.unsupported('runs along an axis whose dim is not known');
  const [exclusive, reverse] = [pass.int('exclusive', 0), pass.int('reverse', 0)];
  /** Each position takes the value `by` positions later, or earlier in reverse; 0 where there is none. */
  const later = (value: Name, by: number) => {
    const pads = Array<number>(2 * rank).fill(0);
    pads[axis] = reverse ? by : -by;
    pads[rank + axis] = -pads[axis];
    return b.op('Pad', [value, b.ints(pads)]);
  };
  let sum = exclusive ? later(dY, 1) : dY;
  let factor = later(x[0], 1);
  for (let reach = 1; reach < length; reach *= 2) {
    sum = b.add(sum, b.mul(factor, later(sum, reach)));
    factor = b.mul(factor, later(factor, reach));
  }
  return [b.mul(b.op('CumProd', [x[0], x[1]], { exclusive: 1, reverse }), sum)];
};
