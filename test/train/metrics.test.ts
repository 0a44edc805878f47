import { describe, expect, test } from 'vitest';
import { averagePrecision } from '../../src/train/metrics/mean-average-precision.js';
import { metricFor, metrics } from '../../src/train/metrics/index.js';

test('every metric is listed once, and each kind of labels has one', () => {
  expect(new Set(metrics.map(({ key }) => key)).size).toBe(metrics.length);
  expect(metrics).toContain(metricFor(true));
  expect(metrics).toContain(metricFor(false));
});

describe('average precision', () => {
  test('is Σ (R_n − R_n−1) P_n', () => {
    // Found at ranks 1, 3 and 5 of 3.
    const isRight = [true, false, true, false, true];
    expect(averagePrecision([9, 8, 7, 6, 5], isRight)).toBeCloseTo((1 + 2 / 3 + 3 / 5) / 3, 12);
    expect(averagePrecision([5, 6, 7, 8, 9], isRight)).toBeCloseTo((1 + 2 / 3 + 3 / 5) / 3, 12);
    expect(averagePrecision([1, 2, 3], [false, false, true])).toBe(1);
  });

  test('takes equal scores together, whatever their order', () => {
    expect(averagePrecision([1, 1, 1, 1], [true, false, false, false])).toBe(1 / 4);
    expect(averagePrecision([1, 1, 1, 1], [false, false, false, true])).toBe(1 / 4);
    // scikit-learn's average_precision_score([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    expect(averagePrecision([0.1, 0.4, 0.35, 0.8], [false, false, true, true])).toBeCloseTo(0.8333333, 6);
  });

  test('of classes that no picture has is left out of the mean', () => {
    const answers = {
      classes: 3,
      scores: Float32Array.of(2, 1, 0, 1, 2, 0, 0, 3, 0),
      labels: [[0], [], [0, 1]],
    };
    const { value, byClass } = metricFor(true).measure(answers);
    expect(byClass).toEqual([(1 + 2 / 3) / 2, 1, Number.NaN]);
    expect(value).toBeCloseTo((5 / 6 + 1) / 2, 12);
  });
});

test('error is the share of pictures whose class does not have the highest score', () => {
  const answers = {
    classes: 2,
    scores: Float32Array.of(2, 1, 1, 2, 1, 1),
    labels: [[0], [0], [1]],
  };
  expect(metricFor(false).measure(answers)).toEqual({ value: 2 / 3, byClass: [1 / 2, 1] });
});
