import { expect, test } from 'vitest';
import { colormaps, colormapTable } from '../../src/image/colormap.js';
import { digest } from './pictures.js';

// Digests of the published floats times 255, rounded. viridis and inferno: equal to d3-scale-chromatic 3.1.1, all 256
// colours. turbo: its author's bytes, of which some stand below. jet: by formula, below.
const digests = {
  turbo: 'c4ae9ddb8a7f1356',
  viridis: '18545f7c72a02f02',
  inferno: 'e24e8bd38b972989',
  jet: '41c345f3af6f2b38',
  gray: '72432263dbfe17ab',
};

test('the tables are the published ones', () => {
  expect(Object.fromEntries(colormaps.map((name) => [name, digest(colormapTable(name))]))).toEqual(digests);
});

test('some colours', () => {
  const colours = (name: keyof typeof digests, ...indices: number[]) =>
    indices.map((i) => [...colormapTable(name).subarray(3 * i, 3 * i + 3)]);
  // turbo_srgb_bytes in A. Mikhailov's publication of 2019
  expect(colours('turbo', 0, 1, 2, 20, 255)).toEqual([
    [48, 18, 59],
    [50, 21, 67],
    [51, 24, 74],
    [66, 75, 181],
    [122, 4, 3],
  ]);
  expect(colours('viridis', 0, 255)).toEqual([
    [0x44, 0x01, 0x54],
    [0xfd, 0xe7, 0x25],
  ]);
  expect(colours('inferno', 0, 255)).toEqual([
    [0, 0, 4],
    [252, 255, 164],
  ]);
  expect(colours('gray', 0, 77, 255)).toEqual([
    [0, 0, 0],
    [77, 77, 77],
    [255, 255, 255],
  ]);
});

test('jet is within half a level of its breakpoints', () => {
  const lines = [
    [0, 0, 0.35, 0, 0.66, 1, 0.89, 1, 1, 0.5],
    [0, 0, 0.125, 0, 0.375, 1, 0.64, 1, 0.91, 0, 1, 0],
    [0, 0.5, 0.11, 1, 0.34, 1, 0.65, 0, 1, 0],
  ];
  const table = colormapTable('jet');
  for (let i = 0; i < 256; i++)
    for (const [c, line] of lines.entries()) {
      let k = 2;
      while (line[k] < i / 255) k += 2;
      const [x0, y0, x1, y1] = line.slice(k - 2, k + 2);
      const value = 255 * (y0 + ((i / 255 - x0) / (x1 - x0)) * (y1 - y0));
      expect(Math.abs(table[3 * i + c] - value)).toBeLessThanOrEqual(0.5 + 1e-9);
    }
});

test('an unknown table offers the closest', () => {
  expect(() => colormapTable('virdis' as 'viridis')).toThrow(
    '"colormap" must be one of turbo, viridis, inferno, jet, gray; received "virdis". Closest: "viridis".',
  );
});
