import { baseOf, type Link } from '../target.js';

/** log p of every class, where p is the softmax of the values, or the values themselves where they are probabilities already. */
export function logProbabilities(values: Float32Array, link: Link): Float64Array {
  return baseOf(link) === 'identity' ? logShares(values) : logSoftmax(values);
}

/** ∂ log p(k) / ∂ values: one-hot − softmax, or the one-hot over p where the values are probabilities. */
export function logSlopes(values: Float32Array, k: number, link: Link): Float64Array {
  if (baseOf(link) === 'identity')
    return Float64Array.from(values, (value, c) => (c === k ? 1 / Math.max(value, least) : 0));
  return logSoftmax(values).map((log, c) => Number(c === k) - Math.exp(log));
}

/** Probabilities of zero have no logarithm. */
const least = 1e-30;

function logShares(values: Float32Array): Float64Array {
  return Float64Array.from(values, (value) => Math.log(Math.max(value, least)));
}

function logSoftmax(values: Float32Array): Float64Array {
  const most = values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const sum = values.reduce((total, value) => total + Math.exp(value - most), 0);
  const shift = most + Math.log(sum);
  return Float64Array.from(values, (value) => value - shift);
}
