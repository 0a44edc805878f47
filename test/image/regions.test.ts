import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Region, regions, toPicture } from '../../src/image/regions.js';

/** A map drawn with digits, in eighths; a dot is 0. */
function drawn(...rows: string[]): [Float32Array, number[]] {
  const values = rows
    .join('')
    .split('')
    .map((digit) => (digit === '.' ? 0 : Number(digit) / 8));
  return [Float32Array.from(values), [rows.length, rows[0].length]];
}

test('regions touch by edges and corners; boxes, areas, masses; largest first, then heaviest, then in reading order', () => {
  const [map, dims] = drawn(
    '88....4', //
    '8.....4',
    '.8....4',
    '....1..', // 1 is an eighth of the maximum: under 15 %
    '4.4....',
    '......8',
  );
  expect(regions(map, dims)).toEqual([
    { x: 0, y: 0, width: 2, height: 3, area: 4, mass: 4 },
    { x: 6, y: 0, width: 1, height: 3, area: 3, mass: 1.5 },
    { x: 6, y: 5, width: 1, height: 1, area: 1, mass: 1 },
    { x: 0, y: 4, width: 1, height: 1, area: 1, mass: 0.5 },
    { x: 2, y: 4, width: 1, height: 1, area: 1, mass: 0.5 },
  ]);
  expect(regions(map, dims, { threshold: 0.125 })).toHaveLength(6);
  expect(regions(map, dims, { threshold: 1 }).map((region) => region.area)).toEqual([4, 1]);
});

test('a threshold of 0 takes what is positive; a map without that has no regions', () => {
  const [map, dims] = drawn('.1.', '1.1', '.1.');
  expect(regions(map, dims, { threshold: 0 })).toEqual([
    { x: 0, y: 0, width: 3, height: 3, area: 4, mass: 0.5 },
  ]);
  expect(regions(new Float32Array(6), [2, 3])).toEqual([]);
  expect(regions(Float32Array.of(-1, Number.NaN, -2), [1, 3])).toEqual([]);
  expect(regions(Float32Array.of(Number.NaN, 1), [1, 2])).toEqual([
    { x: 1, y: 0, width: 1, height: 1, area: 1, mass: 1 },
  ]);
  expect(regions(new Float32Array(0), [0, 0])).toEqual([]);
});

test('options and dims are checked', () => {
  expect(() => regions(new Float32Array(4), [2, 2], { threshold: 1.5 })).toThrow(
    '"threshold" must be a number from 0 to 1',
  );
  expect(() => regions(new Float32Array(4), [2, 2], { treshold: 0.5 } as object)).toThrow(
    'Closest: "threshold".',
  );
  expect(() => regions(new Float32Array(4), [2, 3])).toThrow(
    '"dims" must be [h, w] of the map\'s 4 values; received [2, 3].',
  );
});

test('as merging neighbours until nothing changes finds them', () => {
  fc.assert(
    fc.property(
      fc
        .integer({ min: 1, max: 9 })
        .chain((width) =>
          fc.tuple(
            fc.constant(width),
            fc.array(fc.constantFrom(0, 0.1, 0.5, 1), { minLength: width, maxLength: 9 * width }),
          ),
        ),
      ([width, values]) => {
        const height = Math.floor(values.length / width);
        const map = Float32Array.from(values.slice(0, width * height));
        const label = (region: Region) =>
          `${region.x} ${region.y} ${region.width} ${region.height} ${region.area}`;
        expect(regions(map, [height, width]).map(label).sort()).toEqual(merged(map, width, height).sort());
      },
    ),
    { numRuns: 300 },
  );
});

/** The slow way: every position its own label, the smallest label of a neighbourhood wins. */
function merged(map: Float32Array, width: number, height: number): string[] {
  const most = Math.max(...map);
  const labels = [...map.keys()].map((i) => (map[i] > 0 && map[i] >= 0.15 * most ? i : -1));
  for (let changed = true; changed; ) {
    changed = false;
    for (let i = 0; i < labels.length; i++)
      for (let j = 0; j < labels.length; j++) {
        const near =
          Math.abs((i % width) - (j % width)) <= 1 &&
          Math.abs(Math.floor(i / width) - Math.floor(j / width)) <= 1;
        if (!near || labels[i] < 0 || labels[j] < 0 || labels[j] >= labels[i]) continue;
        labels[i] = labels[j];
        changed = true;
      }
  }
  expect(labels.length).toBe(width * height);
  return [...new Set(labels.filter((label) => label >= 0))].map((label) => {
    const members = [...labels.keys()].filter((i) => labels[i] === label);
    const [xs, ys] = [members.map((i) => i % width), members.map((i) => Math.floor(i / width))];
    const [x, y] = [Math.min(...xs), Math.min(...ys)];
    return `${x} ${y} ${Math.max(...xs) - x + 1} ${Math.max(...ys) - y + 1} ${members.length}`;
  });
}

test('a snake through a large map is one region', () => {
  const size = 1001;
  const map = new Float32Array(size * size);
  for (let y = 0; y < size; y++)
    for (let x = 0; x < size; x++)
      if (y % 2 === 0 || x === (y % 4 === 1 ? size - 1 : 0)) map[y * size + x] = 1;
  expect(regions(map, [size, size])).toEqual([
    { x: 0, y: 0, width: size, height: size, area: 501 * size + 500, mass: 501 * size + 500 },
  ]);
});

test('toPicture', () => {
  const box = toPicture({ x: 2, y: 1, width: 4, height: 3 }, [10, 8], {
    x: 5,
    y: -10,
    width: 80,
    height: 50,
  });
  expect(box).toEqual({ x: 25, y: -5, width: 40, height: 15 });
});
