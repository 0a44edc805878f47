import { describe, expect, it } from 'vitest';
import { coherence, harmonicMean } from '../../../src/evaluate/faithfulness/metrics/adcc.js';
import { drop } from '../../../src/evaluate/faithfulness/metrics/average-drop.js';
import { entropy } from '../../../src/evaluate/faithfulness/metrics/complexity.js';
import { area, countAt, fractions } from '../../../src/evaluate/faithfulness/metrics/curve.js';
import { increase } from '../../../src/evaluate/faithfulness/metrics/increase.js';
import { metricNames, namesOf, usualMetrics } from '../../../src/evaluate/faithfulness/metrics/index.js';
import { scaledInfidelity } from '../../../src/evaluate/faithfulness/metrics/infidelity.js';
import { giniIndex } from '../../../src/evaluate/faithfulness/metrics/sparseness.js';

describe('confidence', () => {
  it('drops by the lost share of the confidence, never below 0', () => {
    expect(drop(0.8, 0.2)).toBeCloseTo(0.75, 15);
    expect(drop(0.8, 0.9)).toBe(0);
    expect(drop(0.5, 0)).toBe(1);
    expect(drop(0, 0)).toBe(0);
  });

  it('counts an increase only where the confidence is higher', () => {
    expect([increase(0.5, 0.6), increase(0.5, 0.5), increase(0.5, 0.4)]).toEqual([1, 0, 0]);
  });
});

describe('sparseness', () => {
  it('is the Gini index, by hand', () => {
    expect(giniIndex(Float32Array.of(0.5, 0.5, 0.5, 0.5))).toBeCloseTo(0, 14);
    // 1 − 2 (0 · 3.5 + 0 · 2.5 + 0 · 1.5 + 1 · 0.5) / 4
    expect(giniIndex(Float32Array.of(0, 1, 0, 0))).toBeCloseTo(0.75, 14);
    // ascending 0.25, 0.75: 1 − 2 (0.25 · 1.5 + 0.75 · 0.5) / 2
    expect(giniIndex(Float32Array.of(0.75, 0.25))).toBeCloseTo(0.25, 14);
  });
});

describe('curves', () => {
  it('takes areas by the trapezoid rule over true fractions', () => {
    expect(fractions(4)).toEqual([0, 0.25, 0.5, 0.75, 1]);
    expect(area({ x: [0, 0.25, 1], y: [1, 0.5, 0] })).toBeCloseTo(0.25 * 0.75 + 0.75 * 0.25, 15);
    expect([0, 0.5, 1].map((q) => countAt(q, 5))).toEqual([0, 3, 5]);
  });
});

describe('complexity', () => {
  it('is the entropy of the shares, by hand', () => {
    expect(entropy(Float32Array.of(0.5, 0.5, 0.5, 0.5))).toBeCloseTo(Math.log(4), 14);
    expect(entropy(Float32Array.of(0, 0.3, 0, 0))).toBeCloseTo(0, 7);
    expect(entropy(Float32Array.of(0.75, 0.25, 0))).toBeCloseTo(
      -0.75 * Math.log(0.75) - 0.25 * Math.log(0.25),
      14,
    );
  });
});

describe('infidelity', () => {
  it('is what is left with the best scale, by hand', () => {
    // β = (1 · 0.2 + 2 · 0.2) / (1 + 4) = 0.12: ((0.12 − 0.2)² + (0.24 − 0.2)²) / 2
    expect(scaledInfidelity([1, 2], [0.2, 0.2])).toBeCloseTo((0.0064 + 0.0016) / 2, 14);
    expect(scaledInfidelity([3, 1, 0], [0.6, 0.2, 0])).toBeCloseTo(0, 14);
    expect(scaledInfidelity([0, 0], [0.3, 0.1])).toBeCloseTo((0.09 + 0.01) / 2, 14);
  });
});

describe('ADCC', () => {
  it('takes coherency from the correlation, by hand', () => {
    const map = Float32Array.of(0, 1, 0, 1);
    expect(coherence(map, map)).toBeCloseTo(1, 14);
    expect(coherence(map, Float32Array.of(1, 0, 1, 0))).toBeCloseTo(0, 14);
    expect(coherence(map, Float32Array.of(0, 0, 1, 1))).toBe(0.5);
    expect(coherence(map, Float32Array.of(0, 0, 0, 0))).toBe(0);
  });

  it('is the harmonic mean of three', () => {
    expect(harmonicMean([1, 0.5, 0.5])).toBeCloseTo(3 / 5, 14);
    expect(harmonicMean([1, 0, 1])).toBe(0);
  });
});

describe('metrics by name', () => {
  it('are those that need few passes, or the ones asked for, and always the drop', () => {
    expect(usualMetrics).toContain('deletion');
    expect(usualMetrics).not.toContain('road');
    expect(namesOf(['usual'])).toEqual(usualMetrics);
    expect(namesOf(['all'])).toEqual(metricNames);
    expect(namesOf(['road', 'increase'])).toEqual(['average-drop', 'increase', 'road']);
  });
});
