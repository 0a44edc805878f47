import type { Builder, Name } from '../../graph/builder.js';
import type { Rule } from '../rule.js';
import { unbroadcast } from '../unbroadcast.js';
import { and, derivative, greater, less } from './elementwise.js';

/** lo < a < hi, bounds not included: what PyTorch's hardtanh and ReLU6 do. */
const between = (b: Builder, a: Name, lo: number, hi: number) => and(b, greater(b, a, lo), less(b, a, hi));

/** Derivative at 0 is 0. In terms of y, so that x keeps one consumer and Conv + Relu stay fused. */
export const relu: Rule = ({ b, dY, y }) => [b.masked(greater(b, y[0], 0), dY)];

/** Guided backpropagation: stops negative upstream gradients too. */
export const guidedRelu: Rule = ({ b, dY, y }) => [b.masked(greater(b, y[0], 0), b.op('Relu', [dY]))];

/** The slope `alpha` at 0. */
export const leakyRelu: Rule = (pass) => {
  const { b, dY, x, y } = pass;
  const alpha = pass.float('alpha', 0.01);
  const sign = alpha > 0 ? y[0] : x[0];
  return [b.where(greater(b, sign, 0), dY, b.scale(dY, alpha))];
};

/** The slope's gradient is summed over the positions that share it. */
export const parametricRelu: Rule = (pass) => {
  const { b, dY, x } = pass;
  const positive = greater(b, x[0], 0);
  const dX = b.where(positive, dY, b.mul(dY, x[1]));
  if (!pass.needs(1)) return [dX];
  return [dX, unbroadcast(pass, b.where(positive, b.zero(), b.mul(dY, x[0])), x[1])];
};

/** dX only within the bounds, which are not included; a bound gets what it cuts. */
export const clip: Rule = (pass) => {
  const { b, dY, x, y } = pass;
  const above = x[1] ? b.op('Greater', [y[0], x[1]]) : undefined;
  const below = x[2] ? b.op('Less', [y[0], x[2]]) : undefined;
  const within = above && below ? and(b, above, below) : (above ?? below);
  const dX = within ? b.masked(within, dY) : dY;
  if (!pass.needs(1) && !pass.needs(2)) return [dX];
  const total = (mask: Name) => b.op('ReduceSum', [b.where(mask, dY, b.zero())], { keepdims: 0 });
  const not = (mask: Name) => b.op('Not', [mask]);
  // The upper bound cuts last, and where both cut, it wins.
  const cutAbove = below && not(below);
  const cutBelow = above && (below ? and(b, not(above), below) : not(above));
  return [dX, cutBelow && total(cutBelow), cutAbove && total(cutAbove)];
};

/** dY where x > alpha. */
export const thresholdedRelu: Rule = (pass) => {
  const { b, dY, x, y } = pass;
  const alpha = pass.float('alpha', 1);
  return [b.masked(alpha >= 0 ? greater(b, y[0], 0) : greater(b, x[0], alpha), dY)];
};

/** dY where |x| > lambd. */
export const shrink: Rule = (pass) => {
  const { b, dY, x } = pass;
  return [b.masked(greater(b, b.op('Abs', [x[0]]), pass.float('lambd', 0.5)), dY)];
};

/** alpha·(eˣ − 1) below 0: there the slope is y + alpha. At 0 it is alpha. */
export const elu: Rule = (pass) => {
  const { b, dY, x, y } = pass;
  const alpha = pass.float('alpha', 1);
  const sign = alpha > 0 ? y[0] : x[0];
  return [b.where(greater(b, sign, 0), dY, b.mul(dY, b.add(y[0], b.scalar(alpha))))];
};

export const selu: Rule = (pass) => {
  const { b, dY, y } = pass;
  // The defaults of the specification, as float32.
  const alpha = pass.float('alpha', 1.67326319217681884765625);
  const gamma = pass.float('gamma', 1.05070102214813232421875);
  const negative = b.add(y[0], b.scalar(gamma * alpha));
  return [b.mul(dY, b.where(greater(b, y[0], 0), b.scalar(gamma), negative))];
};

/** alpha·(e^(x/alpha) − 1) below 0: there the slope is y/alpha + 1. */
export const celu: Rule = (pass) => {
  const { b, dY, y } = pass;
  const negative = b.add(b.scale(y[0], 1 / pass.float('alpha', 1)), b.scalar(1));
  return [b.where(greater(b, y[0], 0), dY, b.mul(dY, negative))];
};

export const sigmoid: Rule = derivative((b, _, y) => b.mul(y, b.from(1, y)));
export const softplus: Rule = derivative((b, x) => b.op('Sigmoid', [x]));
/** dY / (1 + |x|)² */
export const softsign: Rule = ({ b, dY, x }) => [
  b.div(dY, b.square(b.add(b.op('Abs', [x[0]]), b.scalar(1)))),
];

export const hardSigmoid: Rule = (pass) => {
  const { b, dY, y } = pass;
  return [b.masked(between(b, y[0], 0, 1), b.scale(dY, pass.float('alpha', 0.2)))];
};

/** 0 below −3, 1 above 3, x/3 + 1/2 between. */
export const hardSwish: Rule = derivative((b, x) => {
  const slope = b.add(b.scale(x, 1 / 3), b.scalar(0.5));
  return b.where(less(b, x, -3), b.zero(), b.where(greater(b, x, 3), b.scalar(1), slope));
});

/** y = x·t with t = tanh(softplus(x)): the slope is t + x·(1 − t²)·sigmoid(x). */
export const mish: Rule = derivative((b, x) => {
  const t = b.op('Tanh', [b.op('Softplus', [x])]);
  return b.add(t, b.mul(b.mul(x, b.op('Sigmoid', [x])), b.from(1, b.square(t))));
});

/** y = x·Φ(x), exactly (Φ(x) + x·φ(x)) or by the tanh approximation. */
export const gelu: Rule = derivative((b, x, _, pass) =>
  pass.string('approximate', 'none') === 'tanh' ? geluByTanh(b, x) : geluByErf(b, x),
);

function geluByErf(b: Builder, x: Name): Name {
  const cumulative = b.scale(b.add(b.op('Erf', [b.scale(x, Math.SQRT1_2)]), b.scalar(1)), 0.5);
  const density = b.op('Exp', [b.scale(b.square(x), -0.5)]);
  return b.add(cumulative, b.mul(b.scale(x, 1 / Math.sqrt(2 * Math.PI)), density));
}

/** y = x/2·(1 + t), t = tanh(u), u = √(2/π)·(x + 0.044715·x³). */
function geluByTanh(b: Builder, x: Name): Name {
  const [k, c] = [Math.sqrt(2 / Math.PI), 0.044715];
  const square = b.square(x);
  const u = b.mul(x, b.add(b.scale(square, k * c), b.scalar(k)));
  const t = b.op('Tanh', [u]);
  const slope = b.add(b.scale(square, 3 * k * c), b.scalar(k));
  const inner = b.mul(b.mul(x, b.from(1, b.square(t))), slope);
  return b.scale(b.add(b.add(t, inner), b.scalar(1)), 0.5);
}

/**
 * The identity at inference. In training mode dY where the mask kept, times 1/(1 − ratio): the node gives the mask
 * of the same run.
 */
export const dropout: Rule = (pass) => {
  const { b, dY, x } = pass;
  const training = pass.has(2) ? pass.numbers(2) : [0];
  if (training?.[0] === 0) return [dY];
  const mask = pass.extraOutput(1);
  const ratio = pass.has(1) ? b.op('Cast', [x[1]], { to: b.type }) : b.scalar(0.5);
  const kept = b.where(mask, b.div(dY, b.from(1, ratio)), b.zero());
  return [training ? kept : b.where(x[2], kept, dY)];
};

/** y·(dY − Σ dY·y) along the axis. */
export const softmax: Rule = (pass) => {
  const { b, dY, y } = pass;
  const sum = b.reduceSum(b.mul(dY, y[0]), [pass.int('axis', -1)]);
  return [b.mul(y[0], b.sub(dY, sum))];
};

export const logSoftmax: Rule = (pass) => {
  const { b, dY, y } = pass;
  return [b.sub(dY, b.mul(b.op('Exp', [y[0]]), b.reduceSum(dY, [pass.int('axis', -1)])))];
};
