import { describe, expect, test } from 'vitest';
import { blend, byteOf, stretchMap } from '../../src/image/blend.js';
import { colormapTable } from '../../src/image/colormap.js';
import { drawBox, drawCutout, drawHeat, drawMap, drawOverlay } from '../../src/image/overlay.js';
import type { Pixels } from '../../src/image/pixels.js';
import { pattern } from './pictures.js';

const map = (height: number, width: number, value: (x: number, y: number) => number) => ({
  data: Float32Array.from({ length: height * width }, (_, i) => value(i % width, Math.floor(i / width))),
  dims: [height, width],
});
const at = (picture: Pixels, x: number, y: number) => [
  ...picture.data.subarray(3 * (y * picture.width + x), 3 * (y * picture.width + x) + 3),
];
const turbo = (value: number) => [...colormapTable('turbo').subarray(3 * value, 3 * value + 3)];

describe('stretchMap', () => {
  test('is torch.nn.functional.interpolate(mode="bilinear", align_corners=False) over a whole picture', () => {
    // torch 2.13: interpolate(tensor([[0, 1, 2], [3, 4, 5]]), size=(4, 5))
    const expected = [
      [0, 0.4, 1, 1.6, 2],
      [0.75, 1.15, 1.75, 2.35, 2.75],
      [2.25, 2.65, 3.25, 3.85, 4.25],
      [3, 3.4, 4, 4.6, 5],
    ];
    const over = { x: 0, y: 0, width: 5, height: 4 };
    const box = { left: 0, top: 0, width: 5, height: 4 };
    const out = stretchMap(Float32Array.of(0, 1, 2, 3, 4, 5), [2, 3], over, box);
    expected.flat().forEach((value, i) => expect(out[i]).toBeCloseTo(value, 6));
  });

  test('a plane stays a plane wherever the rectangle lies', () => {
    const { data, dims } = map(30, 40, (x, y) => 0.01 * (x + 0.5) + 0.002 * (y + 0.5));
    const over = { x: 3.25, y: -7.5, width: 61, height: 44.5 };
    const box = { left: 6, top: 2, width: 50, height: 30 };
    const out = stretchMap(data, dims, over, box);
    for (const [i, j] of [
      [0, 0],
      [49, 0],
      [17, 29],
    ]) {
      const u = ((box.left + i + 0.5 - over.x) / over.width) * 40;
      const v = ((box.top + j + 0.5 - over.y) / over.height) * 30;
      expect(out[j * 50 + i]).toBeCloseTo(0.01 * u + 0.002 * v, 6);
    }
  });

  test('one value fills everything, beyond the rectangle too', () => {
    const out = stretchMap(
      Float32Array.of(0.7),
      [1, 1],
      { x: 1, y: 1, width: 1, height: 1 },
      { left: 0, top: 0, width: 3, height: 3 },
    );
    expect(out).toEqual(new Float32Array(9).fill(0.7));
  });
});

describe('a picture of many rows', () => {
  test.each([
    { x: 0, y: 0, width: 20, height: 300 },
    { x: 3.5, y: 140.25, width: 9, height: 20 },
    { x: -4, y: -20.5, width: 40, height: 149 },
    { x: 2, y: 250, width: 12, height: 90 },
    { x: 30, y: 400, width: 12, height: 90 },
  ])('is drawn as one of few, with a map over %j', (over) => {
    const picture = pattern(20, 300);
    const heat = map(7, 5, (x, y) => (x * y) / 24);
    const first = (start: number, length: number) => Math.min(Math.max(Math.ceil(start - 0.5), 0), length);
    const [left, top] = [first(over.x, 20), first(over.y, 300)];
    const box = {
      left,
      top,
      width: first(over.x + over.width, 20) - left,
      height: first(over.y + over.height, 300) - top,
    };
    const expected = new Uint8Array(picture.data.length);
    const values = stretchMap(heat.data, heat.dims, over, box);
    blend(picture.data, 20, box, values, colormapTable('turbo'), 0.5, 0.6, expected);
    expect(drawOverlay(picture, heat, { geometry: over }).data).toEqual(expected);
  });
});

describe('blend', () => {
  test('is the rounded mix of pixel and colour', () => {
    const picture = pattern(16, 16);
    const values = Float32Array.from({ length: 256 }, (_, i) => i / 255);
    const out = new Uint8Array(768);
    const box = { left: 0, top: 0, width: 16, height: 16 };
    for (const opacity of [0, 0.25, 0.5, 0.77, 1]) {
      blend(picture.data, 16, box, values, colormapTable('jet'), opacity, 1, out);
      // The shares are 16-bit fractions: at most 255 · 2⁻¹⁷ off, and rounded.
      out.forEach((value, i) => {
        const exact = picture.data[i] * (1 - opacity) + colormapTable('jet')[i] * opacity;
        expect(Math.abs(value - exact)).toBeLessThan(0.503);
      });
    }
    expect(out).toEqual(colormapTable('jet')); // opacity 1: the colours themselves
    blend(picture.data, 16, box, values, colormapTable('jet'), 0, 1, out);
    expect(out).toEqual(picture.data);
  });

  test('can write over its input', () => {
    const picture = pattern(9, 7);
    const values = new Float32Array(6).fill(0.5);
    const box = { left: 2, top: 3, width: 3, height: 2 };
    const out = new Uint8Array(189);
    blend(picture.data, 9, box, values, colormapTable('gray'), 0.3, 0.5, out);
    blend(picture.data, 9, box, values, colormapTable('gray'), 0.3, 0.5, picture.data);
    expect(picture.data).toEqual(out);
  });

  test('byteOf clamps and rounds', () => {
    const values = [-1, 0, 0.00195, 0.00197, 0.5, 0.9999, 1, 7, Number.NaN, Infinity, -Infinity];
    expect(values.map(byteOf)).toEqual([0, 0, 0, 1, 128, 255, 255, 255, 0, 255, 0]);
  });
});

describe('drawOverlay', () => {
  const grey: Pixels = { data: new Uint8Array(20 * 10 * 3).fill(100), width: 20, height: 10, channels: 3 };
  const mix = (value: number) => turbo(value).map((colour) => Math.round((100 + colour) / 2));

  test('over the whole picture by default, half colour', () => {
    const out = drawOverlay(
      grey,
      map(1, 2, (x) => x),
    );
    expect([out.width, out.height, out.channels]).toEqual([20, 10, 3]);
    expect(at(out, 0, 0)).toEqual(mix(0));
    expect(at(out, 19, 9)).toEqual(mix(255));
    expect(at(out, 9, 5)).toEqual(mix(byteOf(0.45))); // the centre of column 9 is 0.45 of the way between the two
    expect(grey.data.every((value) => value === 100)).toBe(true);
  });

  test('in the rectangle that the network saw; darker outside', () => {
    const geometry = { x: 4.5, y: 1.6, width: 8, height: 6 };
    const out = drawOverlay(
      grey,
      map(5, 5, () => 1),
      { geometry },
    );
    // The centres of columns 4…11 and rows 2…7 lie in 4.5…12.5 and 1.6…7.6.
    for (let y = 0; y < 10; y++)
      for (let x = 0; x < 20; x++) {
        const inside = x >= 4 && x <= 11 && y >= 2 && y <= 7;
        expect([x, y, ...at(out, x, y)]).toEqual([x, y, ...(inside ? mix(255) : [60, 60, 60])]);
      }
  });

  test('opacity 0 is the picture, 1 the colours; the table is an option', () => {
    const picture = pattern(12, 8);
    const geometry = { x: 2, y: 2, width: 6, height: 4 };
    const constant = map(2, 2, () => 0.2);
    expect(drawOverlay(picture, constant, { opacity: 0, geometry }).data).toEqual(picture.data);
    expect(at(drawOverlay(picture, constant, { opacity: 1 }), 3, 3)).toEqual(turbo(51));
    expect(at(drawOverlay(picture, constant, { opacity: 1, colormap: 'gray' }), 3, 3)).toEqual([51, 51, 51]);
  });

  test('where the map is below the threshold the picture keeps its colours', () => {
    const picture: Pixels = { data: new Uint8Array(4 * 3).fill(100), width: 4, height: 1, channels: 3 };
    const map = { data: Float32Array.of(0.1, 0.5, 0.49, Number.NaN), dims: [1, 4] };
    const whole = drawOverlay(picture, map, { opacity: 1 }).data;
    const { data } = drawOverlay(picture, map, { opacity: 1, threshold: 0.5 });
    expect(data).toEqual(whole.map((level, i) => (i >= 3 && i < 6 ? level : 100)));
  });

  test('a rectangle beyond the picture, as padding makes it, and one pixel', () => {
    const out = drawOverlay(
      grey,
      map(4, 4, (x) => (x < 2 ? 0 : 1)),
      { geometry: { x: -20, y: -5, width: 40, height: 20 } },
    );
    expect(at(out, 0, 0)).toEqual(mix(byteOf(0.5 + 0.5 / 10))); // the middle of the map lies at x = 0
    expect(at(out, 19, 9)).toEqual(mix(255));
    const pixel: Pixels = { data: Uint8Array.of(100, 100, 100), width: 1, height: 1, channels: 3 };
    expect(
      at(
        drawOverlay(
          pixel,
          map(3, 3, () => 1),
        ),
        0,
        0,
      ),
    ).toEqual(mix(255));
    const missed = drawOverlay(
      grey,
      map(1, 1, () => 1),
      { geometry: { x: 40, y: 40, width: 5, height: 5 } },
    );
    expect(missed.data).toEqual(new Uint8Array(600).fill(60));
  });

  test('options and dims are checked', () => {
    const good = map(2, 2, () => 0);
    expect(() => drawOverlay(grey, good, { opacity: 1.1 })).toThrow('"opacity" must be a number from 0 to 1');
    expect(() => drawOverlay(grey, good, { color: 'jet' } as object)).toThrow('Closest: "colormap".');
    expect(() => drawOverlay(grey, { data: good.data, dims: [1, 2, 2] })).toThrow(
      'A map of dims [1, 2, 2] cannot be drawn, only one of [h, w]',
    );
  });
});

test('drawMap and drawHeat are the map at its own size', () => {
  const values = map(2, 3, (x, y) => (3 * y + x) / 5);
  expect(drawMap(values)).toEqual({
    data: Uint8Array.of(0, 51, 102, 153, 204, 255),
    width: 3,
    height: 2,
    channels: 1,
  });
  const heat = drawHeat(values, 'turbo');
  expect([heat.width, heat.height, at(heat, 1, 0), at(heat, 2, 1)]).toEqual([3, 2, turbo(51), turbo(255)]);
});

describe('drawBox', () => {
  const grey = (width: number, height: number) => ({
    data: new Uint8Array(width * height * 3).fill(100),
    width,
    height,
    channels: 3 as const,
  });

  test('is white within its edges, black around, and leaves all else', () => {
    const picture = drawBox(grey(8, 7), { x: 2, y: 1.6, width: 4, height: 3 });
    const rows = Array.from({ length: 7 }, (_, y) =>
      Array.from(
        { length: 8 },
        (__, x) => ({ 0: '#', 100: '.', 255: 'o' })[picture.data[3 * (y * 8 + x)]],
      ).join(''),
    );
    expect(rows).toEqual([
      '........',
      '.######.',
      '.#oooo#.',
      '.#o..o#.',
      '.#oooo#.',
      '.######.',
      '........',
    ]);
  });

  test('is cut at the edges of the picture, and refuses what is no box', () => {
    const inside = drawBox(grey(4, 4), { x: -5, y: -5, width: 20, height: 20 });
    expect(inside.data.every((value) => value === 100)).toBe(true);
    expect(() => drawBox(grey(4, 4), { x: 0, y: 0, width: 0, height: 2 })).toThrow(
      '"box" must be a rectangle',
    );
  });
});

test('drawCutout keeps the salient part, fades to pale grey', () => {
  const picture: Pixels = { data: new Uint8Array(300), width: 10, height: 10, channels: 3 };
  for (let i = 0; i < 100; i++) picture.data.set([200, 0, 0], 3 * i);
  const pale = Math.round(0.7 * 255 + 0.3 * 60); // the luma of (200, 0, 0) is 59.8, in bytes 60
  const out = drawCutout(
    picture,
    map(1, 4, (x) => [1, 0.5, 0.375, 0.25][x]),
    { x: 1, y: 0, width: 8, height: 10 },
  );
  expect(at(out, 0, 5)).toEqual([pale, pale, pale]); // outside
  expect(at(out, 1, 5)).toEqual([200, 0, 0]); // 1
  expect(at(out, 3, 5)).toEqual([200, 0, 0]); // between 1 and 0.5
  expect(at(out, 8, 5)).toEqual([pale, pale, pale]); // 0.25
  const half = drawCutout(
    picture,
    map(1, 1, () => 0.375),
  );
  expect(at(half, 5, 5)).toEqual([(pale + 200) / 2, pale / 2, pale / 2].map((value) => Math.round(value)));
});
