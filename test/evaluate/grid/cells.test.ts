import { describe, expect, it } from 'vitest';
import { gridCells, gridScore } from '../../../src/evaluate/grid/grid-cells.js';
import { resizeArea } from '../../../src/evaluate/resize-area.js';

const map = (...values: number[]): Float32Array => Float32Array.from(values);

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
