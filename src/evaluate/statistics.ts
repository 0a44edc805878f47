import { random } from '../random-stream.js';

/** A mean over pictures with its 95 % interval; `count` pictures. Without pictures everything is NaN. */
export interface Estimate {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
  readonly count: number;
}

export interface BootstrapOptions {
  readonly seed: number;
  /** Resamples; default 2,000. */
  readonly resamples?: number;
}

export function mean(values: readonly number[]): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}

/**
 * The mean of every column and its 95 % interval: bias-corrected and accelerated bootstrap (BCa; Efron 1987,
 * "Better bootstrap confidence intervals", JASA 82) over the rows, one row a picture. All columns share the same
 * resamples. With fewer than two rows there is no interval: low and high are NaN.
 */
export function estimateMeans(rows: readonly (readonly number[])[], options: BootstrapOptions): Estimate[] {
  const count = rows.length;
  const columns = rows[0]?.length ?? 0;
  const means = Array.from({ length: columns }, (_, c) => mean(rows.map((row) => row[c])));
  if (count < 2) return means.map((value) => ({ mean: value, low: NaN, high: NaN, count }));
  const resamples = options.resamples ?? 2000;
  const data = Float64Array.from(rows.flat());
  const stream = random(options.seed, 'bootstrap', count);
  const drawn = means.map(() => new Float64Array(resamples));
  const sums = new Float64Array(columns);
  for (let b = 0; b < resamples; b++) {
    sums.fill(0);
    for (let i = 0; i < count; i++) {
      const row = stream.below(count) * columns;
      for (let c = 0; c < columns; c++) sums[c] += data[row + c];
    }
    for (let c = 0; c < columns; c++) drawn[c][b] = sums[c] / count;
  }
  return means.map((value, c) => {
    const [low, high] = bcaInterval(
      rows.map((row) => row[c]),
      value,
      drawn[c].sort(),
    );
    return { mean: value, low, high, count };
  });
}

/** `estimateMeans` of one column. */
export function estimateMean(values: readonly number[], options: BootstrapOptions): Estimate {
  if (values.length === 0) return { mean: NaN, low: NaN, high: NaN, count: 0 };
  return estimateMeans(
    values.map((value) => [value]),
    options,
  )[0];
}

function bcaInterval(values: readonly number[], estimate: number, drawn: Float64Array): [number, number] {
  if (drawn[0] === drawn[drawn.length - 1]) return [estimate, estimate];
  let below = 0;
  for (const value of drawn) below += value < estimate ? 1 : value === estimate ? 0.5 : 0;
  const bias = normalQuantile(Math.min(Math.max(below, 0.5), drawn.length - 0.5) / drawn.length);
  // The jackknife means of a mean differ from it by −(x − mean)/(n − 1): the skewness is that of the values.
  let squares = 0;
  let cubes = 0;
  for (const value of values) {
    const d = value - estimate;
    squares += d * d;
    cubes += d * d * d;
  }
  const acceleration = squares > 0 ? cubes / (6 * squares ** 1.5) : 0;
  const at = (z: number): number =>
    quantile(drawn, normalCdf(bias + (bias + z) / (1 - acceleration * (bias + z))));
  return [at(normalQuantile(0.025)), at(normalQuantile(0.975))];
}

/** Linear interpolation between order statistics of sorted values; `p` in 0 … 1. */
export function quantile(sorted: ArrayLike<number>, p: number): number {
  const place = p * (sorted.length - 1);
  const lower = Math.floor(place);
  const upper = Math.min(lower + 1, sorted.length - 1);
  return sorted[lower] + (place - lower) * (sorted[upper] - sorted[lower]);
}

/**
 * Two-sided p value of "the mean difference of the pairs is zero": a paired permutation test that flips the sign
 * of each difference. Exact over all 2ⁿ flips where at most 13 differences are not zero, otherwise 9,999 seeded
 * random flips and p = (1 + as extreme) / 10,000, so never below 1e-4. No difference anywhere gives 1, no pair NaN.
 */
export function pairedPermutationTest(a: readonly number[], b: readonly number[], seed: number): number {
  if (a.length !== b.length) throw new RangeError('pairs need two lists of the same length');
  if (a.length === 0) return NaN;
  const differences = Float64Array.from(a, (value, i) => value - b[i]).filter((d) => d !== 0);
  const n = differences.length;
  if (n === 0) return 1;
  const total = Math.abs(differences.reduce((sum, d) => sum + d, 0));
  // Sums of the same numbers in another order differ by rounding: that much still counts as "as extreme".
  const extreme = total - 1e-12 * differences.reduce((sum, d) => sum + Math.abs(d), 0);
  if (n <= 13) {
    let as = 0;
    for (let flips = 0; flips < 2 ** n; flips++) {
      let sum = 0;
      for (let i = 0; i < n; i++) sum += (flips >> i) & 1 ? -differences[i] : differences[i];
      if (Math.abs(sum) >= extreme) as++;
    }
    return as / 2 ** n;
  }
  const stream = random(seed, 'permutation', n);
  const draws = 9999;
  let as = 1;
  for (let draw = 0; draw < draws; draw++) {
    let sum = 0;
    let bits = 0;
    for (let i = 0; i < n; i++) {
      if ((i & 31) === 0) bits = stream.bits();
      sum += bits & 1 ? -differences[i] : differences[i];
      bits >>>= 1;
    }
    if (Math.abs(sum) >= extreme) as++;
  }
  return as / (draws + 1);
}

/** Shares of pictures in 0 … 1; they add up to 1. */
export interface Wins {
  readonly a: number;
  readonly b: number;
  readonly ties: number;
}

/** How often method a drops less than method b on the same picture, and the reverse; equal drops are ties. */
export function wins(dropsA: readonly number[], dropsB: readonly number[]): Wins {
  if (dropsA.length !== dropsB.length) throw new RangeError('wins are counted on the same pictures');
  let a = 0;
  let b = 0;
  for (let i = 0; i < dropsA.length; i++) {
    if (dropsA[i] < dropsB[i]) a++;
    else if (dropsB[i] < dropsA[i]) b++;
  }
  const count = dropsA.length;
  return { a: a / count, b: b / count, ties: (count - a - b) / count };
}

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
 * Krippendorff's α for nominal data: agreement beyond chance, 1 perfect, 0 as by chance. One list a unit, the
 * values given to it; units with fewer than two values do not count. NaN where no unit counts or all values agree
 * on one category, where chance agreement is already perfect and α is undefined.
 * Krippendorff 2011, "Computing Krippendorff's alpha-reliability", section C (nominal data, any number of observers).
 */
export function krippendorffAlpha(units: readonly (readonly string[])[]): number {
  const totals = new Map<string, number>();
  let n = 0;
  let disagreement = 0;
  for (const values of units) {
    if (values.length < 2) continue;
    const counts = new Map<string, number>();
    for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
    let unlike = values.length ** 2;
    for (const [value, count] of counts) {
      unlike -= count ** 2;
      totals.set(value, (totals.get(value) ?? 0) + count);
    }
    disagreement += unlike / (values.length - 1);
    n += values.length;
  }
  let expected = n ** 2;
  for (const count of totals.values()) expected -= count ** 2;
  return expected === 0 ? NaN : 1 - ((n - 1) * disagreement) / expected;
}

export interface ClassF1 {
  readonly class: number;
  /** 2 TP / (2 TP + FP + FN); 0 where the class is never both true and predicted. */
  readonly f1: number;
  /** Pictures whose true class this is. */
  readonly support: number;
}

/** F1 of every class that some picture truly has, best first, then by class index. */
export function f1PerClass(truth: readonly number[], predicted: readonly number[]): ClassF1[] {
  if (truth.length !== predicted.length) throw new RangeError('every picture needs a label and a prediction');
  const support = countOf(truth);
  const claimed = countOf(predicted);
  const hits = countOf(truth.filter((label, i) => label === predicted[i]));
  return [...support]
    .map(([index, count]) => ({
      class: index,
      f1: (2 * (hits.get(index) ?? 0)) / (count + (claimed.get(index) ?? 0)),
      support: count,
    }))
    .sort((a, b) => b.f1 - a.f1 || a.class - b.class);
}

function countOf(values: readonly number[]): Map<number, number> {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}

/** Standard normal distribution function; |error| < 1e-14 by the series and continued fraction of erfc. */
export function normalCdf(z: number): number {
  return 0.5 * erfc(-z / Math.SQRT2);
}

function erfc(x: number): number {
  if (x < 0) return 2 - erfc(-x);
  if (x < 2.5) {
    // erf(x) = 2/√π Σ (−1)ⁿ x^(2n+1) / (n! (2n+1)), in the form without alternating signs (A&S 7.1.6).
    let term = x;
    let sum = x;
    for (let n = 1; term > sum * 1e-17; n++) {
      term *= (2 * x * x) / (2 * n + 1);
      sum += term;
    }
    return 1 - (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
  }
  // The continued fraction of A&S 7.1.14, evaluated from its end.
  let fraction = x;
  for (let n = 120; n >= 1; n--) fraction = x + n / 2 / fraction;
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / fraction;
}

/** Inverse of `normalCdf` by Newton steps from a logistic guess; p strictly between 0 and 1. */
export function normalQuantile(p: number): number {
  if (p > 0.5) return -normalQuantile(1 - p);
  let z = p > 0.01 ? Math.log(p / (1 - p)) / 1.702 : -Math.sqrt(-2 * Math.log(p));
  for (let step = 0; step < 40; step++) {
    const density = Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
    const change = (normalCdf(z) - p) / density;
    // Halley's correction keeps the step from overshooting in the tail.
    const next = z - change / (1 + (z * change) / 2);
    if (!(Math.abs(next - z) > 1e-15 * Math.max(1, Math.abs(z)))) return next;
    z = next;
  }
  return z;
}
