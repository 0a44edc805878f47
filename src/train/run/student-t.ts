/** A mean with its 95 % interval; without one, of fewer than two values, both ends are null. */
export interface Interval {
  readonly mean: number;
  readonly low: number | null;
  readonly high: number | null;
}

/** 97.5 % quantiles of Student's distribution with 1, 2, … degrees of freedom; beyond, that of 30 is a little wide. */
const quantiles = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131,
  2.12, 2.11, 2.101, 2.093, 2.086, 2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052, 2.048, 2.045, 2.042,
] as const;

/**
 * The mean of a few values, as of seeds, with Student's t interval: the bootstrap of evaluate/statistics.ts is too narrow for so
 * few.
 */
export function meanInterval(values: readonly number[]): Interval {
  const n = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  if (n < 2) return { mean, low: null, high: null };
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1);
  const half = quantiles[Math.min(n - 1, quantiles.length) - 1] * Math.sqrt(variance / n);
  return { mean, low: mean - half, high: mean + half };
}
