import { describe, expect, it } from 'vitest';
import { type GridRecord, measureGrid } from '../../../src/evaluate/grid/collage.js';
import {
  drawGrids,
  type GridCandidate,
  type GridSettings,
  measureCandidate,
} from '../../../src/evaluate/grid/draw-grids.js';
import { gridTable, summarizeGrids } from '../../../src/evaluate/grid/grid.js';
import { random } from '../../../src/random-stream.js';
import { fakeSubject, left, nothing, variants } from '../fake.js';

const settings: GridSettings = { variants, seed: 1, size: 2, grids: 6, minProbability: 0.5 };
const roundOf = (records: readonly GridRecord[]) => ({
  records,
  subject: fakeSubject({ pictures: {} }),
  plan: { jobs: [], settings, candidates: 12 },
});
const candidates: GridCandidate[] = Array.from({ length: 12 }, (_, i) => ({
  image: `p${String(i).padStart(2, '0')}`,
  class: i % 6,
  probability: 0.45 + i / 20,
}));

describe('drawing grids', () => {
  it('takes certain pictures of different classes, all before one twice', () => {
    const grids = drawGrids(candidates, { ...settings, minProbability: 0.5, grids: 3 });
    expect(grids.map((grid) => grid.image)).toEqual(['grid-0001', 'grid-0002', 'grid-0003']);
    for (const { cells } of grids) {
      expect(cells.length).toBe(4);
      expect(new Set(cells.map((cell) => cell.class)).size).toBe(4);
    }
    const images = grids.flatMap(({ cells }) => cells.map((cell) => cell.image));
    expect(images).not.toContain('p00');
    // 11 candidates, 12 cells: at least ten different pictures take part (classes may force one to wait).
    expect(new Set(images).size).toBeGreaterThanOrEqual(10);
  });

  it('does not depend on the order of the candidates, but on the seed', () => {
    const shuffled = random('candidates').shuffle(candidates);
    expect(drawGrids(shuffled, settings)).toEqual(drawGrids(candidates, settings));
    expect(drawGrids(candidates, { ...settings, seed: 2 })).not.toEqual(drawGrids(candidates, settings));
  });

  it('draws none from too few classes', () => {
    expect(drawGrids(candidates.slice(0, 3), settings)).toEqual([]);
    expect(summarizeGrids(roundOf([])).lead).toContain('No grid could be drawn');
  });
});

describe('grid pointing game', () => {
  const pictures = { a: left.map(() => 0.8), b: nothing, c: left.map(() => 0.2), d: left.map(() => 1) };
  const job = {
    image: 'grid-0001',
    cells: [
      { image: 'a', class: 0 },
      { image: 'b', class: 1 },
      { image: 'c', class: 0 },
      { image: 'd', class: 1 },
    ],
  };

  it('shrinks pictures into their cells and explains all classes from one pass', async () => {
    let seen: number[] = [];
    const subject = fakeSubject({
      pictures,
      maps: (method, tensor, target) => {
        seen = [...tensor];
        // Class 0 marks the upper left cell, class 1 the upper right one; the "worst" marks everything.
        const cell = left.map((_, p) => (p < 8 && Math.floor((p % 4) / 2) === target ? 1 : 0));
        return method === 'grad-cam++' ? cell : left.map(() => (method === 'cam' ? 0 : 1));
      },
    });
    const { record, pictures: shown } = await measureGrid(subject, job, settings);
    [0.8, 0.8, 0, 0, 0.8, 0.8, 0, 0, 0.2, 0.2, 1, 1, 0.2, 0.2, 1, 1].forEach((value, p) =>
      expect(seen[p]).toBeCloseTo(value, 6),
    );
    expect(subject.counts).toMatchObject({ explain: 1, prepare: 4 });
    const scores = record.cells.map((cell) => cell.variants.map((variant) => variant.score));
    expect(scores.map((row) => row[0])).toEqual([1, 1, 0, 0]);
    expect(scores.map((row) => row[1])).toEqual([0.25, 0.25, 0.25, 0.25]);
    expect(scores.map((row) => row[2])).toEqual([0, 0, 0, 0]);
    // The same random map is shared out among the four cells.
    expect(scores.reduce((sum, row) => sum + row[3], 0)).toBeCloseTo(1, 6);
    expect(shown.length).toBe(4);
    expect([...shown[0].view().data].filter((_, i) => i % 3 === 0).slice(0, 4)).toEqual([204, 204, 0, 0]);

    const { metrics } = summarizeGrids(roundOf([record])).summaries[0];
    expect(metrics[0].values.slice(0, 3).map((value) => value?.mean)).toEqual([0.5, 0.25, 0]);
    expect(metrics[1].values.slice(0, 3).map((value) => value?.mean)).toEqual([0.5, 0, 0]);
    expect(gridTable(roundOf([record]))[5].values.length).toBe(4);
  });

  it('finds the top class of a candidate', async () => {
    const subject = fakeSubject({ pictures });
    const { record } = await measureCandidate(subject, { image: 'c' });
    expect(record.class).toBe(1);
    expect(record.probability).toBeCloseTo(0.8, 6);
  });
});
