import { describe, expect, test } from 'vitest';
import { meanInterval } from '../../src/train/run/student-t.js';

describe('the mean of seeds', () => {
  test("has Student's 95 % interval from three values on", () => {
    // scipy.stats.t.interval(0.95, 2, 2, 1 / sqrt(3))
    const { mean, low, high, range } = meanInterval([3, 1, 2]);
    expect(mean).toBe(2);
    expect(low).toBeCloseTo(-0.4841, 3);
    expect(high).toBeCloseTo(4.4841, 3);
    expect(range).toEqual([1, 3]);
  });

  test('is wider than needed, never narrower, beyond the table', () => {
    const { mean, low } = meanInterval(Array.from({ length: 100 }, (_, i) => i));
    // scipy.stats.t.ppf(0.975, 30) · std / 10, which is a little above that of 99 degrees of freedom
    expect(mean - (low as number)).toBeCloseTo(2.042 * Math.sqrt(9999 / 12 / 99), 2);
  });

  test.each([[[0.4]], [[0.5, 0.3]]])('has a range alone of %j', (values) => {
    const { low, high, range } = meanInterval(values);
    expect([low, high]).toEqual([null, null]);
    expect(range).toEqual([Math.min(...values), Math.max(...values)]);
  });
});
