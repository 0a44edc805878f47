import { describe, expect, it } from 'vitest';
import { random } from '../../src/random-stream.js';
import {
  estimateMean,
  estimateMeans,
  f1PerClass,
  krippendorffAlpha,
  meanRanks,
  normalCdf,
  normalQuantile,
  pairedPermutationTest,
  quantile,
  rankCorrelation,
  wins,
} from '../../src/evaluate/statistics.js';

function draw(...seed: (string | number)[]): number[] {
  const stream = random(...seed);
  return Array.from({ length: 5 }, () => stream.bits());
}

describe('random', () => {
  it('is a function of its seed and nothing else', () => {
    expect(draw(1, 'a')).toEqual(draw(1, 'a'));
    expect(draw(1, 'a')).not.toEqual(draw(1, 'b'));
    expect(draw(1, 23)).not.toEqual(draw(12, 3));
  });

  it('is uniform: mean, variance and every residue of 7 within 5 standard errors', () => {
    const stream = random('uniform');
    const n = 70_000;
    const counts = [0, 0, 0, 0, 0, 0, 0];
    let sum = 0;
    let squares = 0;
    for (let i = 0; i < n; i++) {
      counts[stream.below(7)]++;
      const u = stream.uniform();
      sum += u;
      squares += u * u;
    }
    expect(Math.abs(sum / n - 1 / 2)).toBeLessThan(5 * Math.sqrt(1 / 12 / n));
    expect(Math.abs(squares / n - 1 / 3)).toBeLessThan(5 * Math.sqrt(4 / 45 / n));
    for (const count of counts) expect(Math.abs(count - n / 7)).toBeLessThan(5 * Math.sqrt((n * 6) / 49));
  });

  it('shuffles a copy that holds the same items', () => {
    const items = Array.from({ length: 50 }, (_, i) => i);
    const shuffled = random('shuffle').shuffle(items);
    expect(shuffled).not.toEqual(items);
    expect([...shuffled].sort((a, b) => a - b)).toEqual(items);
  });
});

describe('normal distribution', () => {
  // scipy 1.17.1: scipy.stats.norm.cdf, .ppf
  it.each([
    [-8, 6.22096057427174e-16],
    [-3.7, 0.00010779973347738823],
    [-1, 0.15865525393145707],
    [0, 0.5],
    [0.5, 0.6914624612740131],
    [2.5, 0.9937903346742238],
    [6, 0.9999999990134123],
  ])('Φ(%f) = %f', (z, p) => {
    expect(Math.abs(normalCdf(z) - p)).toBeLessThanOrEqual(1e-14 + 1e-11 * Math.min(p, 1 - p));
  });

  it.each([
    [1e-10, -6.361340902404056],
    [1e-4, -3.7190164854556804],
    [0.025, -1.9599639845400545],
    [0.3, -0.5244005127080409],
    [0.5, 0],
    [0.8, 0.8416212335729143],
    [0.999999, 4.753424308817087],
  ])('Φ⁻¹(%f) = %f', (p, z) => {
    expect(normalQuantile(p)).toBeCloseTo(z, 9);
  });
});

describe('bootstrap', () => {
  const values = [0, 0, 0, 0.1, 0.2, 0.05, 0.9, 1, 0.3, 0.4, 0.4, 0, 0.15, 0.6, 0.02];

  it('agrees with BCa of scipy 1.17.1 (200,000 resamples: 0.14133 … 0.47467) within resampling noise', () => {
    const { mean, low, high, count } = estimateMean(values, { seed: 1, resamples: 20_000 });
    expect(mean).toBeCloseTo(0.27466666666666667, 14);
    expect(Math.abs(low - 0.14133)).toBeLessThan(0.006);
    expect(Math.abs(high - 0.47467)).toBeLessThan(0.01);
    expect(count).toBe(15);
  });

  it('covers the true mean in about 95 % of samples', () => {
    let covered = 0;
    for (let sample = 0; sample < 200; sample++) {
      const stream = random('coverage', sample);
      const draws = Array.from({ length: 40 }, () => stream.uniform() ** 2);
      const { low, high } = estimateMean(draws, { seed: sample, resamples: 500 });
      if (low <= 1 / 3 && 1 / 3 <= high) covered++;
    }
    expect(covered).toBeGreaterThanOrEqual(180);
    expect(covered).toBeLessThanOrEqual(199);
  });

  it('treats columns alone and together alike, and the same seed gives the same bits', () => {
    const rows = values.map((value, i) => [value, i]);
    const together = estimateMeans(rows, { seed: 3 });
    expect(together[0]).toEqual(estimateMean(values, { seed: 3 }));
    expect(estimateMeans(rows, { seed: 3 })).toEqual(together);
    expect(estimateMeans(rows, { seed: 4 })).not.toEqual(together);
  });

  it('has no interval without two pictures and no width without spread', () => {
    expect(estimateMean([], { seed: 1 })).toEqual({ mean: NaN, low: NaN, high: NaN, count: 0 });
    expect(estimateMean([0.3], { seed: 1 })).toEqual({ mean: 0.3, low: NaN, high: NaN, count: 1 });
    expect(estimateMean([2, 2, 2], { seed: 1 })).toEqual({ mean: 2, low: 2, high: 2, count: 3 });
  });

  it('interpolates quantiles', () => {
    expect(quantile([1, 2, 4], 0)).toBe(1);
    expect(quantile([1, 2, 4], 0.75)).toBe(3);
    expect(quantile([1, 2, 4], 1)).toBe(4);
  });
});

describe('paired permutation test', () => {
  it('is exact for few pairs (scipy 1.17.1 permutation_test, all flips: 0.0625)', () => {
    const a = [0.5, 0.2, 0.9, 0.4, 0.3, 0.8];
    const b = [0.4, 0.1, 0.5, 0.45, 0.1, 0.3];
    expect(pairedPermutationTest(a, b, 1)).toBe(0.0625);
    expect(pairedPermutationTest(b, a, 1)).toBe(0.0625);
  });

  it('is near scipy for many pairs (400,000 flips: 0.0544)', () => {
    const a = Array.from({ length: 30 }, (_, i) => Math.sin(i) * 0.5 + 0.3);
    const b = Array.from({ length: 30 }, (_, i) => Math.cos(i * 1.3) * 0.5 + 0.1);
    const p = pairedPermutationTest(a, b, 1);
    expect(Math.abs(p - 0.05443)).toBeLessThan(5 * Math.sqrt((0.054 * 0.946) / 9999));
    expect(pairedPermutationTest(a, b, 1)).toBe(p);
  });

  it('says 1 without any difference, NaN without pairs, and never 0', () => {
    expect(pairedPermutationTest([1, 2], [1, 2], 1)).toBe(1);
    expect(pairedPermutationTest([], [], 1)).toBeNaN();
    const a = Array.from({ length: 60 }, () => 1);
    expect(
      pairedPermutationTest(
        a,
        a.map(() => 0),
        1,
      ),
    ).toBe(1e-4);
    expect(() => pairedPermutationTest([1], [1, 2], 1)).toThrow(RangeError);
  });
});

describe('agreement and F1', () => {
  it("gives Krippendorff's published 0.743 (2011, section C: 4 observers, 12 units, missing values)", () => {
    const observers = ['1233214 12...', '12332241 25.3', '.3332342251.', '1233244125 1.'].map((row) =>
      row.replaceAll(' ', ''),
    );
    expect(observers.every((row) => row.length === 12)).toBe(true);
    const units = Array.from({ length: 12 }, (_, u) =>
      observers.map((row) => row[u]).filter((x) => x !== '.'),
    );
    expect(krippendorffAlpha(units)).toBeCloseTo(0.743, 3);
  });

  it('is 1 for perfect agreement, below 0 for systematic disagreement, NaN where undefined', () => {
    expect(
      krippendorffAlpha([
        ['a', 'a'],
        ['b', 'b'],
      ]),
    ).toBe(1);
    // By hand: two units, each one a and one b: observed 1, expected 2·2·2 / (4·3) = 2/3, so 1 − 1/(2/3).
    expect(
      krippendorffAlpha([
        ['a', 'b'],
        ['a', 'b'],
      ]),
    ).toBeCloseTo(-0.5, 14);
    expect(
      krippendorffAlpha([
        ['a', 'a'],
        ['a', 'a'],
      ]),
    ).toBeNaN();
    expect(krippendorffAlpha([['a'], []])).toBeNaN();
  });

  it('gives the F1 of scikit-learn (2/3, 1/2, 3/4), best first', () => {
    const scores = f1PerClass([0, 0, 0, 1, 1, 2, 2, 2, 2], [0, 0, 1, 1, 2, 2, 2, 2, 0]);
    expect(scores.map((score) => score.class)).toEqual([2, 0, 1]);
    expect(scores.map((score) => score.support)).toEqual([4, 3, 2]);
    [3 / 4, 2 / 3, 1 / 2].forEach((f1, i) => expect(scores[i].f1).toBeCloseTo(f1, 14));
  });

  it('leaves out classes no picture has and gives 0 to a class never found', () => {
    expect(f1PerClass([4, 4], [5, 5])).toEqual([{ class: 4, f1: 0, support: 2 }]);
  });
});

describe('wins', () => {
  it('keeps ties apart', () => {
    expect(wins([0, 0.5, 0.2, 1], [0.1, 0.5, 0.1, 1])).toEqual({ a: 0.25, b: 0.25, ties: 0.5 });
  });
});

describe('rank correlation', () => {
  it('ranks with ties averaged and correlates as scipy 1.17.1 does', () => {
    expect([...meanRanks([5, 1, 5, 0])]).toEqual([2.5, 1, 2.5, 0]);
    const x = [1, 2, 2, 3, 5, 8, 8, 8, 9, 0];
    const y = [2, 1, 4, 3, 3, 9, 7, 8, 8, 0];
    expect(rankCorrelation(x, y)).toBeCloseTo(0.8792948931970741, 13);
    expect(
      rankCorrelation(
        x,
        x.map((value) => -(value ** 3)),
      ),
    ).toBeCloseTo(-1, 13);
  });

  it('is undefined against a constant map', () => {
    expect(rankCorrelation([1, 2, 3], [0.1, 0.1, 0.1])).toBeNaN();
  });
});
