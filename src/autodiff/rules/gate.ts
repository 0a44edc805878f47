import type { Builder, Name } from '../../graph/builder.js';
import type { Pass } from '../rule.js';

/** An activation of a recurrent node: its value, and its slope in terms of value and argument. */
export interface Activation {
  readonly value: (a: Name) => Name;
  readonly slope: (y: Name, a: Name) => Name;
}

interface Kind {
  /** Defaults of alpha and beta; undefined where the function has none. */
  readonly alpha?: number;
  readonly beta?: number;
  readonly value: (b: Builder, a: Name, alpha: number, beta: number) => Name;
  readonly slope: (b: Builder, y: Name, a: Name, alpha: number, beta: number) => Name;
}

const float = (value: number) => ({ float: value });
const ifAbove = (b: Builder, a: Name, limit: number) => b.asFloat(b.op('Greater', [a, b.scalar(limit)]));

const kinds: Readonly<Record<string, Kind>> = {
  affine: {
    alpha: 1,
    beta: 0,
    value: (b, a, alpha, beta) => b.add(b.scale(a, alpha), b.scalar(beta)),
    slope: (b, _, a, alpha) => b.op('Expand', [b.scalar(alpha), b.op('Shape', [a])]),
  },
  elu: {
    alpha: 1,
    value: (b, a, alpha) => b.op('Elu', [a], { alpha: float(alpha) }),
    slope: (b, y, a, alpha) =>
      b.where(b.op('Greater', [a, b.zero()]), b.scalar(1), b.add(y, b.scalar(alpha))),
  },
  hardsigmoid: {
    alpha: 0.2,
    beta: 0.5,
    value: (b, a, alpha, beta) => b.op('HardSigmoid', [a], { alpha: float(alpha), beta: float(beta) }),
    slope: (b, y, _, alpha) =>
      b.scale(b.mul(ifAbove(b, y, 0), b.asFloat(b.op('Less', [y, b.scalar(1)]))), alpha),
  },
  leakyrelu: {
    alpha: 0.01,
    value: (b, a, alpha) => b.op('LeakyRelu', [a], { alpha: float(alpha) }),
    slope: (b, _, a, alpha) => b.where(b.op('Greater', [a, b.zero()]), b.scalar(1), b.scalar(alpha)),
  },
  relu: { value: (b, a) => b.op('Relu', [a]), slope: (b, y) => ifAbove(b, y, 0) },
  scaledtanh: {
    alpha: 1,
    beta: 1,
    value: (b, a, alpha, beta) => b.scale(b.op('Tanh', [b.scale(a, beta)]), alpha),
    slope: (b, y, _, alpha, beta) => b.scale(b.sub(b.scalar(alpha), b.scale(b.square(y), 1 / alpha)), beta),
  },
  sigmoid: { value: (b, a) => b.op('Sigmoid', [a]), slope: (b, y) => b.mul(y, b.from(1, y)) },
  softplus: { value: (b, a) => b.op('Softplus', [a]), slope: (b, _, a) => b.op('Sigmoid', [a]) },
  softsign: {
    value: (b, a) => b.op('Softsign', [a]),
    slope: (b, _, a) => b.op('Reciprocal', [b.square(b.add(b.op('Abs', [a]), b.scalar(1)))]),
  },
  tanh: { value: (b, a) => b.op('Tanh', [a]), slope: (b, y) => b.from(1, b.square(y)) },
  thresholdedrelu: {
    alpha: 1,
    value: (b, a, alpha) => b.op('ThresholdedRelu', [a], { alpha: float(alpha) }),
    slope: (b, _, a, alpha) => ifAbove(b, a, alpha),
  },
};

const defaults: Readonly<Record<string, readonly string[]>> = {
  RNN: ['Tanh'],
  GRU: ['Sigmoid', 'Tanh'],
  LSTM: ['Sigmoid', 'Tanh', 'Tanh'],
};

/**
 * The activations of each direction. `activation_alpha` and `activation_beta` are handed out in order to the
 * functions that take one. `clip` bounds what goes into them; its bounds have slope 0.
 */
export function activationsOf(pass: Pass, directions: number): Activation[][] {
  const { b, node } = pass;
  const given = node.attributes.get('activations');
  const standard = defaults[node.opType];
  const names =
    given?.kind === 'strings' ? given.value : Array.from({ length: directions }, () => standard).flat();
  const numbers = (name: string): number[] => {
    const attribute = node.attributes.get(name);
    return attribute?.kind === 'floats' ? [...attribute.value] : [];
  };
  const [alphas, betas] = [numbers('activation_alpha'), numbers('activation_beta')];
  const clip = pass.float('clip', 0);
  const all = names.map((name): Activation => {
    const kind = kinds[name.toLowerCase()];
    if (!kind) throw pass.unsupported(`has an unknown activation ${JSON.stringify(name)}`);
    const alpha = kind.alpha === undefined ? 0 : (alphas.shift() ?? kind.alpha);
    const beta = kind.beta === undefined ? 0 : (betas.shift() ?? kind.beta);
    const value = (a: Name) => kind.value(b, a, alpha, beta);
    const slope = (y: Name, a: Name) => kind.slope(b, y, a, alpha, beta);
    if (clip === 0) return { value, slope };
    const clipped = (a: Name) => b.op('Clip', [a, b.scalar(-clip), b.scalar(clip)]);
    return {
      value: (a) => value(clipped(a)),
      slope: (y, a) => b.masked(b.op('Less', [b.op('Abs', [a]), b.scalar(clip)]), slope(y, clipped(a))),
    };
  });
  const perDirection = standard.length;
  return Array.from({ length: directions }, (_, d) => all.slice(d * perDirection, (d + 1) * perDirection));
}
