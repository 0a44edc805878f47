import { describe, expect, it } from 'vitest';
import { drop } from '../../../src/evaluate/faithfulness/metrics/average-drop.js';
import { area, countAt, fractions } from '../../../src/evaluate/faithfulness/metrics/curve.js';
import { increase } from '../../../src/evaluate/faithfulness/metrics/increase.js';
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
