import type { Moments } from '../methods/common/method.js';
import { softmax } from '../targets/common/probabilities.js';
import { constantJacobian } from './jacobian.js';
import type { Differentiator, Forward } from './passes.js';

/** Behind a head that is not linear, classes are visited until this part of what the best class leaves is left. */
const tolerance = 1e-4;

/**
 * The upstream gradient of d = g^c − μ: e_c − p, with 1 − p_c as the sum of all other probabilities. Subtracting
 * gradients instead would lose every digit of d when the class is certain.
 */
export function centredSeed(scores: Float32Array, index: number): Float32Array {
  const seed = softmax(scores).map((value) => -value);
  seed[index] = 0;
  seed[index] = -seed.reduce((sum, value) => sum + value, 0);
  return seed;
}

export interface ClassMoments {
  /** One a layer, at the gradient's places; `mean` is zero, since the gradients that go with them are centred (`centredSeed`). */
  readonly moments: readonly Moments[];
  /** Probability of the classes that were left out of V and κ, the largest over the pictures. */
  readonly epsilon: number;
}

/**
 * Moments of the per-class gradients under p = softmax(S), for the softmax form. Behind global average pooling and
 * a linear layer exactly, from the classifier's weights; elsewhere class by class, most probable first.
 */
export async function classMoments(differentiator: Differentiator, forward: Forward): Promise<ClassMoments> {
  const { count } = differentiator;
  const p = Array.from({ length: forward.images }, (_, n) =>
    softmax(forward.scores.data.subarray(n * count, (n + 1) * count)),
  );
  const jacobians = await constantJacobian(differentiator);
  if (jacobians.every((jacobian) => jacobian !== undefined))
    return {
      moments: jacobians.map((jacobian, i) => pooledMoments(jacobian, p, forward.dims[i])),
      epsilon: 0,
    };
  return visitClasses(differentiator, forward, p);
}

/** From J [M, K]: one number a channel, [N, K]. Float64, differences before powers. */
function pooledMoments(jacobian: Float32Array, p: readonly Float32Array[], dims: readonly number[]): Moments {
  const [images, channels] = dims;
  const moments = emptyMoments(images * channels);
  for (let n = 0; n < images; n++)
    for (let k = 0; k < channels; k++) {
      let mean = 0;
      for (let m = 0; m < p[n].length; m++) mean += p[n][m] * jacobian[m * channels + k];
      let variance = 0;
      let third = 0;
      for (let m = 0; m < p[n].length; m++) {
        const deviation = jacobian[m * channels + k] - mean;
        const square = p[n][m] * deviation * deviation;
        variance += square;
        third += square * deviation;
      }
      moments.variance[n * channels + k] = variance;
      moments.third[n * channels + k] = third;
    }
  return moments;
}

async function visitClasses(
  differentiator: Differentiator,
  forward: Forward,
  p: readonly Float32Array[],
): Promise<ClassMoments> {
  const { count } = differentiator;
  const { images } = forward;
  const upstream = new Float32Array(images * count);
  p.forEach((own, n) => upstream.set(own, n * count));
  const means = await differentiator.backward(forward, upstream);
  const sums = means.map((mean) => ({
    variance: new Float64Array(mean.length),
    third: new Float64Array(mean.length),
  }));
  const left = p.map((own) => own.reduce((sum, value) => sum + value, 0));
  const enough = p.map((own) => tolerance * (1 - Math.max(...own)));
  for (const index of byProbability(p)) {
    if (left.every((rest, n) => rest <= enough[n])) break;
    const seed = new Float32Array(images * count);
    for (let n = 0; n < images; n++) seed[n * count + index] = 1;
    const gradients = await differentiator.backward(forward, seed);
    const weights = p.map((own) => own[index]);
    gradients.forEach((gradient, layer) => accumulate(gradient, means[layer], sums[layer], weights));
    for (let n = 0; n < images; n++) left[n] -= weights[n];
  }
  const moments = sums.map(({ variance, third }) => ({
    mean: new Float32Array(variance.length),
    variance: Float32Array.from(variance),
    third: Float32Array.from(third),
  }));
  return { moments, epsilon: Math.max(0, ...left) };
}

function emptyMoments(length: number): Moments {
  return {
    mean: new Float32Array(length),
    variance: new Float32Array(length),
    third: new Float32Array(length),
  };
}

/** Classes by their largest probability over the pictures. */
function byProbability(p: readonly Float32Array[]): number[] {
  const largest = p[0].map((_, m) => Math.max(...p.map((own) => own[m])));
  return Array.from(largest.keys()).sort((a, b) => largest[b] - largest[a] || a - b);
}

function accumulate(
  gradient: Float32Array,
  mean: Float32Array,
  sums: { readonly variance: Float64Array; readonly third: Float64Array },
  weights: readonly number[],
): void {
  const size = gradient.length / weights.length;
  weights.forEach((weight, n) => {
    for (let i = n * size; i < (n + 1) * size; i++) {
      const deviation = gradient[i] - mean[i];
      const square = weight * deviation * deviation;
      sums.variance[i] += square;
      sums.third[i] += square * deviation;
    }
  });
}
