import { floatsOf } from '../../onnx/constant.js';
import { DataType } from '../../onnx/types.js';
import type { Name } from '../../graph/builder.js';
import { extent, type Extent, extents, reshapeTo } from '../extent.js';
import type { Pass, Rule } from '../rule.js';
import { unbroadcast } from '../unbroadcast.js';
import { withoutZeros } from './elementwise.js';
import { countAlong } from './reduce.js';
import { spatialAxes } from './window.js';

/** x̂ = (x − mean)·inverse over some axes, inverse = 1/√(variance + ε). */
interface Normalised {
  readonly axes: readonly number[];
  readonly centred: Name;
  readonly inverse: Name;
  readonly value: Name;
}

function normalise(pass: Pass, x: Name, axes: readonly number[]): Normalised {
  const { b } = pass;
  const centred = b.sub(x, b.reduceMean(x, axes));
  const inverse = inverseRoot(pass, b.reduceMean(b.square(centred), axes));
  return { axes, centred, inverse, value: b.mul(centred, inverse) };
}

/** 1/√(variance + ε) */
function inverseRoot(pass: Pass, variance: Name): Name {
  const { b } = pass;
  return b.op('Reciprocal', [b.op('Sqrt', [b.add(variance, b.scalar(pass.float('epsilon', 1e-5)))])]);
}

/** Gradient of x where `g` is that of x̂: inverse·(g − mean(g) − x̂·mean(g·x̂)). */
function throughNormalised(pass: Pass, g: Name, { axes, inverse, value }: Normalised): Name {
  const { b } = pass;
  const along = b.mul(value, b.reduceMean(b.mul(g, value), axes));
  return b.mul(inverse, b.sub(b.sub(g, b.reduceMean(g, axes)), along));
}

/** A value a channel, [C] → [C, 1, ...], beside [N, C, ...]. */
function column(pass: Pass, value: Name): Name {
  const { b } = pass;
  return b.reshape(value, [-1, ...Array<number>(pass.rank(pass.x[0]) - 2).fill(1)]);
}

export const batchNormalization: Rule = (pass) =>
  pass.int('training_mode', 0) === 1 ? batchStatistics(pass) : fixedStatistics(pass);

/** Inference: an affine map per channel, so dX = dY · scale / √(variance + ε). */
function fixedStatistics(pass: Pass): (Name | undefined)[] {
  const { b, dY, x } = pass;
  const axes = [0, ...spatialAxes(pass.rank(x[0]) - 2)];
  const dShift = () => b.reduceSum(dY, axes, 0);
  const inverse = inverseRoot(pass, x[4]);
  const factor = fixedFactor(pass) ?? column(pass, b.mul(x[1], inverse));
  const dX = b.mul(dY, factor);
  if (![1, 3, 4].some((input) => pass.needs(input)))
    return [dX, undefined, pass.needs(2) ? dShift() : undefined];
  const normalised = b.mul(b.sub(x[0], column(pass, x[3])), column(pass, inverse));
  const dScale = b.reduceSum(b.mul(dY, normalised), axes, 0);
  const perUnit = b.mul(x[1], inverse);
  const dMean = b.neg(b.mul(dShift(), perUnit));
  const dVariance = b.scale(b.mul(b.mul(dScale, perUnit), inverse), -0.5);
  return [dX, dScale, dShift(), dMean, dVariance];
}

/** scale / √(variance + ε) as one constant [C, 1, ...], where all are constants that nobody differentiates. */
function fixedFactor(pass: Pass): Name | undefined {
  const [scale, variance] = [pass.constant(pass.x[1]), pass.constant(pass.x[4])];
  if (!scale || !variance || scale.type !== DataType.FLOAT) return undefined;
  if (pass.keepsPath(pass.x[1]) || pass.keepsPath(pass.x[4])) return undefined;
  const epsilon = pass.float('epsilon', 1e-5);
  const variances = floatsOf(variance);
  const factors = floatsOf(scale).map((value, i) => value / Math.sqrt(variances[i] + epsilon));
  return pass.b.floats(factors, [factors.length, ...Array<number>(pass.rank(pass.x[0]) - 2).fill(1)]);
}

/** Training mode: the statistics of the batch; the running ones are m·(given) + (1 − m)·(of the batch). */
function batchStatistics(pass: Pass): (Name | undefined)[] {
  const { b, dYs, x } = pass;
  const axes = [0, ...spatialAxes(pass.rank(x[0]) - 2)];
  const momentum = pass.float('momentum', 0.9);
  const normalised = normalise(pass, x[0], axes);
  const [dY, dMean, dVariance] = dYs;
  const count = countAlong(pass, x[0], axes);
  const dScale = dY && b.reduceSum(b.mul(dY, normalised.value), axes, 0);
  const dShift = dY && b.reduceSum(dY, axes, 0);
  const parts: Name[] = [];
  if (dScale !== undefined && dShift !== undefined) {
    // scale · inverse · (dY − mean(dY) − x̂ · mean(dY · x̂)), whose means are the sums of the other gradients
    const mean = (sum: Name) => b.div(column(pass, sum), count);
    const along = b.mul(normalised.value, mean(dScale));
    const centred = b.sub(b.sub(dY as Name, mean(dShift)), along);
    parts.push(b.mul(centred, b.mul(column(pass, x[1]), normalised.inverse)));
  }
  const spread = (gradient: Name) => b.div(b.scale(column(pass, gradient), 1 - momentum), count);
  if (dMean) parts.push(pass.expandLike(spread(dMean), x[0], undefined));
  if (dVariance) parts.push(b.mul(b.scale(spread(dVariance), 2), normalised.centred));
  return [
    parts.length > 1 ? b.op('Sum', parts) : parts[0],
    dScale,
    dShift,
    dMean && b.scale(dMean, momentum),
    dVariance && b.scale(dVariance, momentum),
  ];
}

export const instanceNormalization: Rule = (pass) => {
  const { b, dY, x } = pass;
  const axes = spatialAxes(pass.rank(x[0]) - 2);
  const normalised = normalise(pass, x[0], axes);
  const sums = [0, ...axes];
  return [
    throughNormalised(pass, b.mul(dY, column(pass, x[1])), normalised),
    b.reduceSum(b.mul(dY, normalised.value), sums, 0),
    b.reduceSum(dY, sums, 0),
  ];
};

/** The second and third output are the mean and the inverse deviation. */
export const layerNormalization: Rule = (pass) => {
  const { b, dYs, x } = pass;
  const axes = trailingAxes(pass);
  const normalised = normalise(pass, x[0], axes);
  const [dY, dMean, dInverse] = dYs;
  const parts: Name[] = [];
  if (dY) parts.push(throughNormalised(pass, b.mul(dY, x[1]), normalised));
  const spread = (gradient: Name) => b.div(gradient, countAlong(pass, x[0], axes));
  if (dMean) parts.push(pass.expandLike(spread(asType(pass, dMean)), x[0], undefined));
  if (dInverse) {
    const slope = b.mul(b.square(normalised.inverse), normalised.value);
    parts.push(b.neg(b.mul(spread(asType(pass, dInverse)), slope)));
  }
  return [
    parts.length > 1 ? b.op('Sum', parts) : parts[0],
    dY && pass.needs(1) ? unbroadcast(pass, b.mul(dY, normalised.value), x[1]) : undefined,
    dY && pass.has(2) && pass.needs(2) ? unbroadcast(pass, dY, x[2]) : undefined,
  ];
};

/** Statistics are float32 even where the data is double. */
function asType({ b }: Pass, value: Name): Name {
  return b.type === DataType.DOUBLE ? b.op('Cast', [value], { to: b.type }) : value;
}

/** Axes from the attribute `axis` to the last. */
function trailingAxes(pass: Pass): number[] {
  const rank = pass.rank(pass.x[0]);
  const first = pass.axis(pass.int('axis', -1), rank);
  return Array.from({ length: rank - first }, (_, i) => first + i);
}

/** x/√(mean(x²) + ε)·scale. */
export const rmsNormalization: Rule = (pass) => {
  const { b, dY, x } = pass;
  const axes = trailingAxes(pass);
  const inverse = inverseRoot(pass, b.reduceMean(b.square(x[0]), axes));
  const value = b.mul(x[0], inverse);
  const g = b.mul(dY, x[1]);
  const along = b.mul(value, b.reduceMean(b.mul(g, value), axes));
  return [
    b.mul(inverse, b.sub(g, along)),
    pass.needs(1) ? unbroadcast(pass, b.mul(dY, value), x[1]) : undefined,
  ];
};

/** Channels in groups, [N, G, C/G, ...]; scale and bias are per channel from operator set 21, per group before. */
export const groupNormalization: Rule = (pass) => {
  const { b, dY, x } = pass;
  const groups = pass.int('num_groups', 1);
  const [batch, channels, ...spatial] = extents(pass, x[0]);
  const split: Extent[] = [batch, groups, typeof channels === 'number' ? channels / groups : -1, ...spatial];
  const grouped = (value: Name) => reshapeTo(pass, value, split);
  const axes = split.slice(2).map((_, i) => i + 2);
  const perGroup = pass.dims(x[1])[0] === groups;
  const sums = [0, ...axes.slice(perGroup ? 0 : 1)];
  const normalised = normalise(pass, grouped(x[0]), axes);
  const g = grouped(dY);
  const scale = b.reshape(x[1], [groups, perGroup ? 1 : -1, ...spatial.map(() => 1)]);
  const summed = (value: Name) => b.reshape(b.reduceSum(value, sums, 0), [-1]);
  return [
    pass.reshapeLike(throughNormalised(pass, b.mul(g, scale), normalised), x[0]),
    summed(b.mul(g, normalised.value)),
    summed(g),
  ];
};

/** y = x/‖x‖ along one axis: (dY − n·Σ dY·y)/‖x‖ with n = sign(x) for p = 1 and y for p = 2; 0 where ‖x‖ is 0. */
export const lpNormalization: Rule = (pass) => {
  const { b, dY, x, y } = pass;
  const axes = b.ints([pass.int('axis', -1)]);
  const p = pass.int('p', 2);
  const norm = b.op(p === 1 ? 'ReduceL1' : 'ReduceL2', [x[0], axes]);
  const normal = p === 1 ? b.op('Sign', [x[0]]) : y[0];
  const along = b.mul(normal, b.op('ReduceSum', [b.mul(dY, y[0]), axes]));
  const dX = b.div(b.sub(dY, along), withoutZeros(b, norm));
  return [b.where(b.op('Equal', [norm, b.zero()]), b.zero(), dX)];
};

/**
 * y = x · S^−β with S = bias + α/n · (sum of x² over n neighbouring channels):
 * dX = dY·S^−β − 2αβ/n · x · (sum of dY·y/S over the mirrored neighbourhood).
 */
export const lrn: Rule = (pass) => {
  const { b, dY, x, y } = pass;
  const size = pass.int('size', 1);
  const [alpha, beta, bias] = [pass.float('alpha', 1e-4), pass.float('beta', 0.75), pass.float('bias', 1)];
  const before = Math.floor((size - 1) / 2);
  const sums = channelSums(pass, b.square(x[0]), size, before);
  const S = b.add(b.scale(sums, alpha / size), b.scalar(bias));
  const direct = b.mul(dY, b.op('Pow', [S, b.scalar(-beta)]));
  const mirrored = channelSums(pass, b.div(b.mul(dY, y[0]), S), size, size - 1 - before);
  return [b.sub(direct, b.scale(b.mul(x[0], mirrored), (2 * alpha * beta) / size))];
};

/** Sum over `size` neighbouring channels, `before` of them in front: a moving average along the channel axis. */
function channelSums(pass: Pass, value: Name, size: number, before: number): Name {
  const { b, x } = pass;
  const rows = reshapeTo(pass, value, [0, 1, extent(pass, x[0], 1), -1]);
  const pads = b.ints([0, 0, before, 0, 0, 0, size - 1 - before, 0]);
  const means = b.op('AveragePool', [b.op('Pad', [rows, pads])], { kernel_shape: [size, 1] });
  return pass.reshapeLike(b.scale(means, size), x[0]);
}
