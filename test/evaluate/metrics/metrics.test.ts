import { describe, expect, it } from 'vitest';
import { drop, increase, wins } from '../../../src/evaluate/metrics/confidence.js';
import { area, countAt, fractions } from '../../../src/evaluate/metrics/curve.js';
import { gridCells, gridScore, resizeArea } from '../../../src/evaluate/metrics/grid.js';
import {
  areasAt,
  boxIoU,
  energyInside,
  localization,
  pointing,
  proposeBox,
} from '../../../src/evaluate/metrics/localization.js';
import { ranksOf, saliencyOrder } from '../../../src/evaluate/metrics/order.js';
import {
  meanRanks,
  rankCorrelation,
  structuralSimilarity,
} from '../../../src/evaluate/metrics/similarity.js';
import { random } from '../../../src/random-stream.js';

const map = (...values: number[]): Float32Array => Float32Array.from(values);
const mask = (...values: number[]): Uint8Array => Uint8Array.from(values);

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

  it('keeps ties apart', () => {
    expect(wins([0, 0.5, 0.2, 1], [0.1, 0.5, 0.1, 1])).toEqual({ a: 0.25, b: 0.25, ties: 0.5 });
  });
});

describe('saliency order', () => {
  it('is descending, ties in row-major order without a control', () => {
    expect([...saliencyOrder(map(0.2, 0.9, 0, 0.9, 0.2))]).toEqual([1, 3, 0, 4, 2]);
  });

  it('lets another order decide ties, so that an empty map is ranked as the control is', () => {
    const control = map(0.3, 0.1, 0.9, 0.5);
    expect(saliencyOrder(map(0, 0, 0, 0), saliencyOrder(control))).toEqual(saliencyOrder(control));
    expect([...saliencyOrder(map(0, 1, 1, 0), saliencyOrder(control))]).toEqual([2, 1, 3, 0]);
  });

  it('equals a stable sort with a comparator on 10,000 floats of all signs and sizes', () => {
    const stream = random('order');
    const values = Float32Array.from({ length: 10_000 }, () =>
      Math.fround((stream.below(50) - 25) * 10 ** (stream.below(30) - 15)),
    );
    const expected = [...values.keys()].sort((i, j) => values[j] - values[i]);
    expect([...saliencyOrder(values)]).toEqual(expected);
    const ranks = ranksOf(saliencyOrder(values));
    expect(expected.every((position, rank) => ranks[position] === rank)).toBe(true);
  });

  it('does not tell -0 from 0', () => {
    expect([...saliencyOrder(map(0, -0, 0))]).toEqual([0, 1, 2]);
  });
});

describe('curves', () => {
  it('takes areas by the trapezoid rule over true fractions', () => {
    expect(fractions(4)).toEqual([0, 0.25, 0.5, 0.75, 1]);
    expect(area({ x: [0, 0.25, 1], y: [1, 0.5, 0] })).toBeCloseTo(0.25 * 0.75 + 0.75 * 0.25, 15);
    expect([0, 0.5, 1].map((q) => countAt(q, 5))).toEqual([0, 3, 5]);
  });
});

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
    expect(boxIoU(box(0, 0, 4, 4), box(0, 0, 4, 4))).toBe(1);
    expect(boxIoU(box(0, 0, 4, 4), box(2, 0, 6, 4))).toBeCloseTo(8 / 24, 15);
    expect(boxIoU(box(0, 0, 4, 4), box(4, 0, 8, 4))).toBe(0);
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

describe('grid pointing game', () => {
  it('covers the picture with cells that differ by at most a pixel', () => {
    const cells = gridCells(3, 227, 226);
    const covered = new Uint8Array(227 * 226);
    for (const { x0, y0, x1, y1 } of cells) {
      expect([75, 76]).toContain(x1 - x0);
      expect([75, 76]).toContain(y1 - y0);
      for (let y = y0; y < y1; y++) for (let x = x0; x < x1; x++) covered[y * 227 + x]++;
    }
    expect(covered.every((count) => count === 1)).toBe(true);
  });

  it('scores 1 in the right cell, 0 in a wrong one, 1/n² everywhere, 0 for nothing', () => {
    const cells = gridCells(2, 4, 4);
    const inCell = Float32Array.from({ length: 16 }, (_, p) => (p % 4 >= 2 && p < 8 ? 0.7 : 0));
    expect(cells.map((cell) => gridScore(inCell, 4, cell))).toEqual([0, 1, 0, 0]);
    expect(gridScore(new Float32Array(16).fill(0.2), 4, cells[2])).toBeCloseTo(0.25, 7);
    expect(gridScore(new Float32Array(16), 4, cells[0])).toBe(0);
  });

  it('shrinks by averaging areas, keeping the mean', () => {
    expect([...resizeArea(map(1, 2, 3, 4), 2, 2, 1, 1)]).toEqual([2.5]);
    // 3 → 2: the middle pixel is shared.
    expect([...resizeArea(map(0, 3, 9), 3, 1, 2, 1)]).toEqual([1, 7]);
    const same = map(5, 1, 2, 8);
    expect([...resizeArea(same, 2, 2, 2, 2)]).toEqual([...same]);
  });
});

describe('similarity', () => {
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

  it('gives the SSIM of scikit-image 0.26.0 (Gaussian weights, σ 1.5, no sample covariance)', () => {
    const a = Float32Array.from({ length: 169 }, (_, i) => ((i * 37) % 101) / 100);
    const b = Float32Array.from({ length: 169 }, (_, i) => ((i * 53 + 7) % 89) / 88);
    const c = a.map((value, i) => Math.min(Math.max(value * 0.8 + 0.1 * b[i], 0), 1));
    expect(structuralSimilarity(a, b, 13)).toBeCloseTo(-0.0035150388601811328, 7);
    expect(structuralSimilarity(a, c, 13)).toBeCloseTo(0.9648622793968451, 6);
    expect(structuralSimilarity(a, a, 13)).toBeCloseTo(1, 14);
  });

  it('uses a smaller window on a smaller map: of one position, (2ab + c₁)/(a² + b² + c₁), on 4 × 2', () => {
    const a = map(0, 1, 0, 1, 0, 1, 0, 1);
    const opposite = a.map((value) => 1 - value);
    expect(structuralSimilarity(a, a, 4)).toBe(1);
    expect(structuralSimilarity(a, opposite, 4)).toBeCloseTo(1e-4 / (1 + 1e-4), 14);
  });
});
