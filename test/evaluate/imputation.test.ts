import { describe, expect, it } from 'vitest';
import { impute } from '../../src/evaluate/imputation.js';
import { random } from '../../src/random-stream.js';

/** A grey picture with some positions imputed. */
function imputed(values: readonly number[], removed: readonly number[], size: readonly number[]): number[] {
  const out = new Float32Array(values.length);
  const layout = { channels: 1, positions: values.length, run: values.length };
  impute(Float32Array.from(values), Uint8Array.from(removed), layout, size, out);
  return [...out];
}

describe('linear imputation', () => {
  it('is the weighted mean of the eight neighbours, by hand', () => {
    const values = [1, 2, 3, 4, 99, 6, 7, 8, 10];
    // (2 + 4 + 6 + 8) / 6 + (1 + 3 + 7 + 10) / 12
    const [, , , , middle] = imputed(values, [0, 0, 0, 0, 1, 0, 0, 0, 0], [3, 3]);
    expect(middle).toBeCloseTo(20 / 6 + 21 / 12, 5);
  });

  it('counts at a corner what is there, in proportion', () => {
    // 2 / 6 + 4 / 6 + 5 / 12, by 1/6 + 1/6 + 1/12
    const [corner] = imputed([99, 2, 3, 4, 5, 6, 7, 8, 9], [1, 0, 0, 0, 0, 0, 0, 0, 0], [3, 3]);
    expect(corner).toBeCloseTo((4 + 8 + 5) / 5, 5);
  });

  it('ties removed pixels to each other: a system of two unknowns by hand', () => {
    // One row: a and b with 0 and 3 at the ends. 2 a = 0 + b and 2 b = a + 3, so a = 1 and b = 2.
    const row = imputed([0, 9, 9, 3], [0, 1, 1, 0], [1, 4]);
    expect(row[1]).toBeCloseTo(1, 4);
    expect(row[2]).toBeCloseTo(2, 4);
  });

  it('solves the system that it says, whatever is removed, and leaves the rest', () => {
    const [height, width] = [37, 45];
    for (const share of [0.2, 0.6, 0.95]) {
      const stream = random('imputation', share);
      const values = Array.from({ length: height * width }, () => stream.uniform());
      // Blocks of 8 × 8 and single pixels.
      const blocks = Array.from({ length: 36 }, () => stream.uniform() < share);
      const removed = values.map((_, p) => {
        const [x, y] = [p % width, Math.floor(p / width)];
        return Number(blocks[6 * (y >> 3) + (x >> 3)] || stream.uniform() < 0.1);
      });
      const found = imputed(values, removed, [height, width]);
      let worst = 0;
      found.forEach((value, p) => {
        if (!removed[p]) return expect(value).toBe(Math.fround(values[p]));
        let [sum, weights] = [0, 0];
        for (const dx of [-1, 0, 1])
          for (const dy of [-1, 0, 1]) {
            const [x, y] = [(p % width) + dx, Math.floor(p / width) + dy];
            if ((dx === 0 && dy === 0) || x < 0 || y < 0 || x >= width || y >= height) continue;
            const weight = dx === 0 || dy === 0 ? 1 / 6 : 1 / 12;
            sum += weight * found[y * width + x];
            weights += weight;
          }
        worst = Math.max(worst, Math.abs(value - sum / weights));
      });
      expect(worst).toBeLessThan(1e-4);
    }
  });

  it('keeps channels and frames apart, wherever the channels lie, and gives 0 where nothing is left', () => {
    // Two frames of 1 × 3, two channels behind each other at every position.
    const tensor = Float32Array.of(1, 10, 9, 9, 3, 30, 5, 5, 5, 5, 5, 5);
    const out = new Float32Array(12);
    const layout = { channels: 2, positions: 6, run: 1 };
    impute(tensor, Uint8Array.of(0, 1, 0, 1, 1, 1), layout, [2, 1, 3], out);
    [1, 10, 2, 20, 3, 30, 0, 0, 0, 0, 0, 0].forEach((value, i) => expect(out[i]).toBeCloseTo(value, 4));
  });
});
