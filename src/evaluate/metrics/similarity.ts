import { gaussian } from './gaussian.js';

/**
 * Spearman's rank correlation, −1 … 1, tied values sharing the mean of their ranks. NaN where either list is
 * constant: an empty map has no order to compare.
 */
export function rankCorrelation(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) throw new RangeError('a rank correlation needs two lists of the same length');
  return correlation(meanRanks(a), meanRanks(b));
}

/** Pearson's correlation; NaN where either list is constant. */
export function correlation(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const n = a.length;
  let [meanA, meanB, ab, aa, bb] = [0, 0, 0, 0, 0];
  for (let i = 0; i < n; i++) {
    meanA += a[i];
    meanB += b[i];
  }
  meanA /= n;
  meanB /= n;
  for (let i = 0; i < n; i++) {
    ab += (a[i] - meanA) * (b[i] - meanB);
    aa += (a[i] - meanA) ** 2;
    bb += (b[i] - meanB) ** 2;
  }
  return aa > 0 && bb > 0 ? ab / Math.sqrt(aa * bb) : NaN;
}

/** Ranks from 0, tied values with the mean of the places they share. */
export function meanRanks(values: ArrayLike<number>): Float64Array {
  const order = Uint32Array.from({ length: values.length }, (_, i) => i).sort(
    (i, j) => values[i] - values[j],
  );
  const ranks = new Float64Array(values.length);
  for (let start = 0; start < order.length; ) {
    let end = start + 1;
    while (end < order.length && values[order[end]] === values[order[start]]) end++;
    for (let i = start; i < end; i++) ranks[order[i]] = (start + end - 1) / 2;
    start = end;
  }
  return ranks;
}

/**
 * Structural similarity of two maps with values in 0 … 1, 1 for equal ones (Wang et al. 2004, IEEE TIP 13(4)):
 * Gaussian window of 11 × 11, σ = 1.5, K₁ = 0.01, K₂ = 0.03, range 1, mean over the places where the window fits.
 * Maps smaller than the window use the largest odd window that fits.
 */
export function structuralSimilarity(a: Float32Array, b: Float32Array, width: number): number {
  const height = a.length / width;
  const fit = Math.min(11, width, height);
  const taps = fit % 2 === 1 ? fit : fit - 1;
  const kernel = gaussian(taps, 1.5);
  const smooth = (value: (i: number) => number): Float64Array => smoothValid(value, width, height, kernel);
  const meanA = smooth((i) => a[i]);
  const meanB = smooth((i) => b[i]);
  const meanAA = smooth((i) => a[i] * a[i]);
  const meanBB = smooth((i) => b[i] * b[i]);
  const meanAB = smooth((i) => a[i] * b[i]);
  const c1 = 0.01 ** 2;
  const c2 = 0.03 ** 2;
  let sum = 0;
  for (let i = 0; i < meanA.length; i++) {
    const product = meanA[i] * meanB[i];
    const squares = meanA[i] ** 2 + meanB[i] ** 2;
    sum +=
      ((2 * product + c1) * (2 * (meanAB[i] - product) + c2)) /
      ((squares + c1) * (meanAA[i] + meanBB[i] - squares + c2));
  }
  return sum / meanA.length;
}

function smoothValid(
  value: (i: number) => number,
  width: number,
  height: number,
  kernel: Float64Array,
): Float64Array {
  const taps = kernel.length;
  const columns = width - taps + 1;
  const rows = new Float64Array(columns * height);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < columns; x++)
      for (let t = 0; t < taps; t++) rows[y * columns + x] += kernel[t] * value(y * width + x + t);
  const result = new Float64Array(columns * (height - taps + 1));
  for (let i = 0; i < result.length; i++)
    for (let t = 0; t < taps; t++) result[i] += kernel[t] * rows[i + t * columns];
  return result;
}
