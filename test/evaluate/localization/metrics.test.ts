import { describe, expect, it } from 'vitest';
import { iouOf, proposeBox } from '../../../src/evaluate/localization/metrics/box-iou.js';
import { energyInside } from '../../../src/evaluate/localization/metrics/energy.js';
import { areasAt, localization } from '../../../src/evaluate/localization/metrics/loc.js';
import { rankedInside } from '../../../src/evaluate/localization/metrics/rank-accuracy.js';
import { pointing } from '../../../src/evaluate/localization/metrics/pointing-game.js';
import { random } from '../../../src/random-stream.js';

const map = (...values: number[]): Float32Array => Float32Array.from(values);
const mask = (...values: number[]): Uint8Array => Uint8Array.from(values);
const box = (x0: number, y0: number, x1: number, y1: number) => ({ x0, y0, x1, y1 });

describe('localisation', () => {
  // 4 × 4, ground truth the left half.
  const left = mask(1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0);
  const half = Float32Array.from(left);
  const other = half.map((value) => 1 - value);
  const empty = new Float32Array(16);
  const everywhere = empty.map(() => 1);

  it('is 1 for a perfect map, 0 for the worst and for an empty one', () => {
    for (const delta of [0, 0.25, 0.5]) {
      expect(localization(areasAt(half, left, delta))).toBe(1);
      expect(localization(areasAt(other, left, delta))).toBe(0);
      expect(localization(areasAt(empty, left, delta))).toBe(0);
      expect(localization(areasAt(everywhere, left, delta))).toBe(0.5);
    }
  });

  it('is internal over box plus external, by hand, at every threshold', () => {
    const values = map(1, 0.5, 0.25, 0, 0.2, 0, 0, 0.6);
    const inside = mask(1, 1, 0, 0, 1, 1, 0, 0);
    // δ = 0: non-zero inside 3, outside 2, box 4; δ = 0.25: 2, 2; δ = 0.5: 2, 1 (0.5 ≥ 0.5 counts); δ = 1: 1, 0.
    expect(areasAt(values, inside, 0)).toEqual({ internal: 3, external: 2, truth: 4 });
    expect([0, 0.25, 0.5, 1].map((delta) => localization(areasAt(values, inside, delta)))).toEqual([
      3 / 6,
      2 / 6,
      2 / 5,
      1 / 4,
    ]);
  });

  it('is the IoU of the marked positions and the ground truth', () => {
    const stream = random('iou');
    for (let trial = 0; trial < 20; trial++) {
      const values = Float32Array.from({ length: 64 }, () => stream.uniform());
      const inside = Uint8Array.from({ length: 64 }, () => stream.below(2));
      const marked = values.map((value) => (value >= 0.3 ? 1 : 0));
      const both = marked.filter((value, i) => value && inside[i]).length;
      const either = marked.filter((value, i) => value || inside[i]).length;
      expect(localization(areasAt(values, inside, 0.3))).toBeCloseTo(both / either, 14);
    }
  });

  it('measures the energy inside', () => {
    expect(energyInside(map(3, 1, 0, 0), mask(1, 0, 0, 1))).toBe(0.75);
    expect(energyInside(empty, left)).toBe(0);
  });

  it('ranks: the share of the highest positions that is inside, by hand, ties as a draw', () => {
    const inside = mask(1, 1, 0, 0, 1);
    expect(rankedInside(map(0.9, 0.1, 0.8, 0.2, 0.7), inside)).toBeCloseTo(2 / 3, 15);
    // The highest, and two of the three at 0.5, of which two are inside: 1 + 2 · 2/3.
    expect(rankedInside(map(1, 0.5, 0.5, 0, 0.5), inside)).toBeCloseTo((1 + 4 / 3) / 3, 15);
    expect(rankedInside(half, left)).toBe(1);
    expect(rankedInside(other, left)).toBe(0);
    expect(rankedInside(empty, left)).toBe(0.5);
  });

  it('points: hit, miss, shared maximum, empty map', () => {
    expect(pointing(map(0.1, 1, 0.2), mask(0, 1, 0))).toBe(1);
    expect(pointing(map(0.1, 1, 0.2), mask(1, 0, 1))).toBe(0);
    expect(pointing(map(1, 1, 0, 1), mask(1, 0, 0, 0))).toBeCloseTo(1 / 3, 15);
    expect(pointing(empty, left)).toBe(0);
    expect(pointing(everywhere, left)).toBe(0.5);
  });

  it('points with a tolerance measured as the crow flies', () => {
    const inside = mask(1, 0, 0, 0, 0, 0, 0, 0, 0);
    const corner = map(0, 0, 0, 0, 1, 0, 0, 0, 0);
    expect([1, Math.SQRT2].map((tolerance) => pointing(corner, inside, tolerance, 3))).toEqual([0, 1]);
  });

  it('compares boxes', () => {
    expect(iouOf(box(0, 0, 4, 4), box(0, 0, 4, 4))).toBe(1);
    expect(iouOf(box(0, 0, 4, 4), box(2, 0, 6, 4))).toBeCloseTo(8 / 24, 15);
    expect(iouOf(box(0, 0, 4, 4), box(4, 0, 8, 4))).toBe(0);
  });

  it('proposes the box of the largest region, not of all', () => {
    // biome-ignore format: it is a picture
    const values = map(
      0.9, 0, 0, 0, 0,
      0,   0, 0, 1, 1,
      0,   0, 0, 0, 1,
      0.3, 0, 0, 0, 0,
    );
    expect(proposeBox(values, 5, 0.15)).toEqual({ x0: 3, y0: 1, x1: 5, y1: 3 });
    expect(proposeBox(values, 5, 0.95)).toEqual({ x0: 3, y0: 1, x1: 5, y1: 3 });
    expect(proposeBox(new Float32Array(20), 5, 0)).toBeUndefined();
  });
});
