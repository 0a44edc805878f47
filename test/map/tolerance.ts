import type { MapRequest, MapResult } from '../../src/map/backend.js';
import { linearUpsampler } from '../../src/upsample.js';
import { sizeOf } from '../../src/tensor.js';

/** A backend's arithmetic, as far as its standard promises it. */
export interface Arithmetic {
  /** Largest relative error of one addition or multiplication. */
  readonly u: number;
  /** Largest relative error of one division, in units of u. */
  readonly division: number;
  /** Largest absolute error where a number becomes subnormal: half of the smallest subnormal, or the smallest normal. */
  readonly tiny: number;
  /** Largest magnitude an intermediate may have before the backend may saturate. */
  readonly huge: number;
}

/** IEEE 754 binary32 with gradual underflow; wider arithmetic satisfies it too. */
export const cpu: Arithmetic = { u: 2 ** -24, division: 1, tiny: 2 ** -150, huge: Number.POSITIVE_INFINITY };

/** WGSL: correctly rounded or one of the two neighbours, division 2.5 ulp, subnormal numbers may be flushed. */
export const wgsl: Arithmetic = { u: 2 ** -23, division: 2.5, tiny: 2 ** -126, huge: 2 ** 126 };

export interface Tolerance {
  /** Bound on the error of `raw`, one array a target, [N, ...layer]. */
  readonly raw: readonly Float64Array[];
  /** Bound on the error of `maps`, one number an image of a target; 1 where the bound says nothing. */
  readonly maps: readonly Float64Array[];
}

/**
 * First-order rounding bounds, to any order of summation, around the exact answer of the reference.
 *
 * With δ the error of a number: a sum of n terms x has δ ≤ n u Σ|x| + Σ δx; a product or quotient adds its factors'
 * relative errors and u. For Grad-CAM this gives the bound (P + K + 2) u Σ_k mean|g_k| |A_k| at every position:
 * P for the mean's sum, 1 for its division, 1 for the product with A, K for the sum over channels.
 */
export function tolerances(request: MapRequest, exact: MapResult, arithmetic: Arithmetic): Tolerance {
  const { images, channels, layer, activations: A } = request;
  const { u, division, tiny } = arithmetic;
  const P = sizeOf(layer);
  const raw: Float64Array[] = [];
  const maps: Float64Array[] = [];
  for (let target = 0; target < exact.raw.length; target++) {
    const bounds = new Float64Array(images * P);
    const mapBounds = new Float64Array(images);
    for (let image = 0; image < images; image++) {
      const bound = bounds.subarray(image * P, (image + 1) * P);
      let beyond = false;
      for (let k = 0; k < channels; k++) {
        const plane = image * channels + k;
        const at = plane * P;
        const weight = weightError(request, target, plane, arithmetic);
        if (!(weight.largest < arithmetic.huge)) beyond = true;
        for (let p = 0; p < P; p++) {
          const a = Math.abs(A[at + p]);
          const w = weight.perPosition ? Math.abs(weight.perPosition[p]) : Math.abs(weight.value);
          const error = weight.perPosition ? tiny : weight.error;
          // A weight of which nothing is known is still finite: its product with zero is zero.
          bound[p] += (a === 0 ? 0 : error * a) + (channels + 1) * u * w * a + tiny * (w + 1);
          if (!(w * a * channels < arithmetic.huge)) beyond = true;
        }
      }
      const values = exact.raw[target].subarray(image * P, (image + 1) * P);
      for (let p = 0; p < P; p++)
        bound[p] = beyond ? Number.POSITIVE_INFINITY : bound[p] + u * values[p] + tiny;
      mapBounds[image] = mapError(request, values, bound, division, u);
    }
    raw.push(bounds);
    maps.push(mapBounds);
  }
  return { raw, maps };
}

interface WeightError {
  readonly value: number;
  readonly error: number;
  readonly perPosition?: Float32Array | Float64Array;
  /** The largest magnitude on the way. */
  readonly largest: number;
}

function weightError(
  request: MapRequest,
  target: number,
  plane: number,
  arithmetic: Arithmetic,
): WeightError {
  const P = sizeOf(request.layer);
  const { u, division, tiny } = arithmetic;
  if (request.method === 'cam') return { value: request.weights![target][plane], error: 0, largest: 0 };
  const A = request.activations.subarray(plane * P, (plane + 1) * P);
  const g = request.gradients[target].subarray(plane * P, (plane + 1) * P);
  if (request.method === 'hires-cam') return { value: 0, error: 0, perPosition: g, largest: 0 };
  if (request.method === 'layer-cam')
    return { value: 0, error: 0, perPosition: g.map((x) => Math.max(x, 0)), largest: 0 };
  if (request.method === 'grad-cam') {
    const size = sum(g, Math.abs);
    return { value: sum(g) / P, error: ((P - 1 + division) * u * size) / P + 2 * tiny, largest: size };
  }
  const sumA = sum(A);
  const sizeA = sum(A, Math.abs);
  const errorA = P * (u * sizeA + tiny);
  if (request.method === 'xgrad-cam') {
    let product = 0;
    let size = 0;
    for (let p = 0; p < P; p++) {
      product += A[p] * g[p];
      size += Math.abs(A[p] * g[p]);
    }
    // A flushed factor loses the product with the other one.
    const flushed = tiny * (sizeA + sum(g, Math.abs) + P);
    return {
      ...quotient(product, P * u * size + flushed, sumA, errorA, arithmetic),
      largest: Math.max(size, sizeA),
    };
  }

  let weight = 0;
  let weightDelta = 0;
  let weightSize = 0;
  let alphaSum = 0;
  let alphaDelta = 0;
  let alphaSize = 0;
  let largest = sizeA;
  for (let p = 0; p < P; p++) {
    const position = plane * P + p;
    const { alpha, d, alphaError, biggest } =
      request.form === 'softmax'
        ? softmaxAlpha(request, g[p], position, sumA, errorA, arithmetic)
        : exponentialAlpha(g[p], sumA, errorA, arithmetic);
    if (d === 0 || (d < 0 && request.gradientRelu)) continue;
    largest = Math.max(largest, biggest);
    weight += alpha * d;
    weightSize += Math.abs(alpha * d);
    weightDelta += alphaError * Math.abs(d) + 2 * u * Math.abs(alpha * d) + tiny * (1 + Math.abs(alpha));
    if (d > 0) {
      alphaSum += alpha;
      alphaDelta += alphaError;
      alphaSize += Math.abs(alpha);
    }
  }
  weightDelta += P * u * weightSize;
  alphaDelta += P * u * alphaSize;
  if (!request.alphaNormalization) return { value: weight, error: weightDelta, largest };
  return { ...quotient(weight, weightDelta, alphaSum, alphaDelta, arithmetic), largest };
}

/** α = 1 / (2 + g ΣA). */
function exponentialAlpha(g: number, sumA: number, errorA: number, arithmetic: Arithmetic) {
  const { u, tiny } = arithmetic;
  const product = g * sumA;
  const denominator = 2 + product;
  const delta =
    Math.abs(g) * errorA + u * Math.abs(product) + u * Math.abs(denominator) + tiny * (1 + Math.abs(sumA));
  const { value, error } = quotient(1, 0, denominator, delta, arithmetic);
  return { alpha: value, d: g, alphaError: error, biggest: Math.abs(product) };
}

/** α = Y″ / (2Y″ + ΣA Y‴), Y″ = d² − V, Y‴ = d³ − 3dV − κ. */
function softmaxAlpha(
  request: MapRequest,
  g: number,
  position: number,
  sumA: number,
  errorA: number,
  arithmetic: Arithmetic,
) {
  const { u, tiny } = arithmetic;
  const { mean, variance, third } = request.moments!;
  const V = variance[position];
  const kappa = third[position];
  const d = g - mean[position];
  const size = Math.abs(d);
  const second = d * d - V;
  const secondError = 4 * u * (d * d + Math.abs(V)) + tiny * (2 + 2 * size);
  const thirdSize = size ** 3 + 3 * size * Math.abs(V) + Math.abs(kappa);
  const cubic = d ** 3 - 3 * d * V - kappa;
  const cubicError = 8 * u * thirdSize + tiny * (4 + 3 * (size + size * size + Math.abs(V)));
  const denominator = 2 * second + sumA * cubic;
  const denominatorError =
    2 * secondError +
    Math.abs(sumA) * cubicError +
    Math.abs(cubic) * errorA +
    2 * u * (2 * Math.abs(second) + Math.abs(sumA * cubic)) +
    tiny;
  const { value, error } = quotient(second, secondError, denominator, denominatorError, arithmetic);
  return { alpha: value, d, alphaError: error, biggest: Math.max(Math.abs(sumA * cubic), thirdSize) };
}

/** n / d and its error; nothing is known where the denominator's error reaches the denominator. */
function quotient(n: number, nError: number, d: number, dError: number, { u, division, tiny }: Arithmetic) {
  if (d === 0) return { value: 0, error: dError === 0 ? 0 : Number.POSITIVE_INFINITY };
  const value = n / d;
  const room = Math.abs(d) - dError;
  if (!(room > 0)) return { value, error: Number.POSITIVE_INFINITY };
  return { value, error: (nError + Math.abs(value) * dError) / room + division * u * Math.abs(value) + tiny };
}

/**
 * (L − m) / (M − m) with L, m, M each off by E: at most 2E / (M − m), first order. E is the raw map's bound and the
 * interpolation's own: each axis costs 3 roundings and its coordinate, up to its length, is off by 3u of that.
 */
function mapError(
  request: MapRequest,
  raw: Float32Array,
  bound: Float64Array,
  division: number,
  u: number,
): number {
  let most = 0;
  let E = 0;
  for (let p = 0; p < raw.length; p++) {
    most = Math.max(most, raw[p]);
    E = Math.max(E, bound[p]);
  }
  if (raw.length === 1) return E < most ? 0 : 1;
  let steps = 0;
  for (const [axis, from] of request.layer.entries()) steps += from === request.size[axis] ? 0 : 3 + 3 * from;
  E += u * steps * most;
  const room = range(linearUpsampler(request.layer, request.size)(Float64Array.from(raw))) - 2 * E;
  return room > 0 ? Math.min(1, (2 * E) / room + (division + 2) * u) : 1;
}

function range(values: Float64Array): number {
  let least = values[0];
  let most = values[0];
  for (const value of values) {
    if (value < least) least = value;
    if (value > most) most = value;
  }
  return most - least;
}

function sum(values: Float32Array, of: (x: number) => number = (x) => x): number {
  let total = 0;
  for (const value of values) total += of(value);
  return total;
}

/** The first element that is not within its tolerance, in words; undefined where all are. NaN never is. */
export function firstBeyond(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: (index: number) => number,
): string | undefined {
  if (actual.length !== expected.length) return `${actual.length} elements instead of ${expected.length}`;
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(actual[i] - expected[i]);
    if (!(error <= tolerance(i)))
      return `element ${i}: ${actual[i]} instead of ${expected[i]}, error ${error}, tolerance ${tolerance(i)}`;
  }
  return undefined;
}
