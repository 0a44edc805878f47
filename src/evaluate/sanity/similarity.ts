import { gaussian } from '../gaussian.js';
import type { MetricWords } from '../metric.js';
import { mean, rankCorrelation } from '../statistics.js';
import type { ExplanationMap } from '../subject.js';

export type SimilarityWords = Pick<MetricWords, 'name' | 'hint' | 'definition' | 'byChance'>;

/** A way to compare two maps. */
interface SimilarityMeasure extends SimilarityWords {
  readonly measure: (a: Float32Array, b: Float32Array, size: readonly number[]) => number;
  /** Of two maps that have nothing to do with each other, where that is a number. */
  readonly chance?: number;
}

/** Every measure, by its key. */
export const similarities = {
  rank: {
    name: 'rank correlation',
    hint: 'Spearman, −1 … 1',
    definition:
      'Spearman’s (ties averaged) between the map and that of the same network with shuffled weights, from the scores down (cascading) or one operator at a time; and between the maps of the top and of the least likely class (Adebayo et al., arXiv 1810.03292). Empty maps have none and are left out',
    byChance: '0, of two unrelated maps',
    chance: 0,
    measure: rankCorrelation,
  },
  ssim: {
    name: 'SSIM',
    hint: 'structural similarity, up to 1',
    definition:
      'structural similarity of the same maps (Wang et al. 2004; Gaussian window of 11 × 11, σ = 1.5), of clips the mean over their frames',
    byChance: 'no fixed number: what the random control gets, two unrelated maps',
    measure: (a, b, size) => {
      const [height, width] = size.slice(-2);
      const frames = Array.from({ length: a.length / (height * width) }, (_, t) => {
        const of = (map: Float32Array) => map.subarray(t * height * width, (t + 1) * height * width);
        return structuralSimilarity(of(a), of(b), width);
      });
      return mean(frames);
    },
  },
} as const satisfies Readonly<Record<string, SimilarityMeasure>>;
export type SimilarityName = keyof typeof similarities;

/** Agreement of two maps by every measure; the rank correlation is NaN where one of them is constant. */
export type Similarity = Readonly<Record<SimilarityName, number>>;

export function similarity(a: ExplanationMap, b: ExplanationMap, size: readonly number[]): Similarity {
  const all = Object.entries<SimilarityMeasure>(similarities);
  return Object.fromEntries(
    all.map(([key, { measure }]) => [key, measure(a.data, b.data, size)]),
  ) as Similarity;
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
