import { mean } from '../../evaluate/statistics.js';

/** A mean with its 95 % interval; without one, of fewer than three values, both ends are null. */
export interface Interval {
  readonly mean: number;
  readonly low: number | null;
  readonly high: number | null;
  /** The least value and the greatest. */
  readonly range: readonly [least: number, greatest: number];
}

/** 97.5 % quantiles of Student's distribution with 2, 3, … degrees of freedom; beyond, that of 30 is a little wide. */
const quantiles = [
  4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131, 2.12, 2.11,
  2.101, 2.093, 2.086, 2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052, 2.048, 2.045, 2.042,
] as const;

/**
 * The mean of a few values, as of seeds, with Student's t interval: the bootstrap of evaluate/statistics.ts is too narrow for so
 * few. Of two values Student's quantile is 12.7: that interval leaves 0 … 1 for next to any two errors, and is not given.
 */
export function meanInterval(values: readonly number[]): Interval {
  const n = values.length;
  const center = mean(values);
  const range = [Math.min(...values), Math.max(...values)] as const;
  if (n < 3) return { mean: center, low: null, high: null, range };
  const variance = values.reduce((sum, value) => sum + (value - center) ** 2, 0) / (n - 1);
  const half = quantiles[Math.min(n - 2, quantiles.length) - 1] * Math.sqrt(variance / n);
  return { mean: center, low: center - half, high: center + half, range };
}
