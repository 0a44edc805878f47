import { describe, expect, test } from 'vitest';
import { type OutputOptions, outputOptions, saveKinds } from '../../src/batch/output-options.js';
import { encodeOutput, endingOf } from '../../src/batch/output-files.js';
import { resultLine } from '../../src/batch/results/result-line.js';
import type { Explanation } from '../../src/explain/explanation.js';
import { decodeImage } from '../../src/image/decode.js';
import { parseNpy } from '../../src/image/npy.js';
import { drawBox, drawHeat, drawOverlay } from '../../src/image/overlay.js';
import { toPicture } from '../../src/image/regions.js';
import { readOptions } from '../../src/options.js';
import { checkSidecar } from '../../src/image/sidecar.js';

/** A grey picture of 6×4 of which the network saw the middle 4×4, and a map of 2×2 that is hot at the right. */
const picture = { data: new Uint8Array(6 * 4 * 3).fill(128), width: 6, height: 4, channels: 3 as const };
const geometry = { x: 1, y: 0, width: 4, height: 4 };
const map = {
  data: Float32Array.of(0, 1, 0, 0.5),
  dims: [2, 2],
  empty: false,
  logScale: 3,
  bounds: [{ x: 1, y: 0, width: 1, height: 2, area: 2, mass: 1.5 }],
};
const target = {
  target: {
    class: 7,
    name: 'seven',
    kind: 'class',
    score: Math.fround(0.1),
    probability: Math.fround(1 / 3),
  },
  layers: ['relu'],
  method: 'grad-cam++' as const,
  settings: { form: 'exp' },
  backend: 'reference' as const,
  map,
  raw: { data: Float32Array.of(0, 4), dims: [1, 2] },
};
const explanation: Explanation = {
  image: { path: 'a.png', width: 6, height: 4 },
  inputDims: [3, 2, 2],
  scores: new Float32Array(8),
  scoreDims: [8],
  targets: [target],
  picture,
  geometry,
};
const { input: preprocessing } = await checkSidecar({ input: { size: [2, 2] } });
const settingsOf = (options: OutputOptions) => readOptions('the outputs', outputOptions, options);
const drawing = { explanation, target, settings: settingsOf({}), preprocessing };

const fileOf = async (...of: Parameters<typeof encodeOutput>) => Buffer.concat(await encodeOutput(...of));
const inPng = { ...drawing, settings: settingsOf({ format: 'png' }) };

describe('files of an explanation', () => {
  test('the overlay covers what the network saw; over the network’s input it covers all', async () => {
    const original = await decodeImage(await fileOf('overlay', inPng));
    expect(original).toEqual(drawOverlay(picture, map, { geometry }));
    const input = {
      ...drawing,
      settings: settingsOf({ format: 'png', picture: 'input', colormap: 'jet', opacity: 1 }),
    };
    const seen = await decodeImage(await fileOf('overlay', input));
    const grey = { data: new Uint8Array(12).fill(128), width: 2, height: 2, channels: 3 as const };
    expect(seen).toEqual(drawOverlay(grey, map, { colormap: 'jet', opacity: 1 }));
  });

  test('what was detected has its box, where it lies in what is shown', async () => {
    const box = { x: 0.5, y: 0, width: 1, height: 1 }; // of the 2 × 2 input
    const boxed = { ...inPng, target: { ...target, target: { ...target.target, box } } };
    const expected = drawBox(drawOverlay(picture, map, { geometry }), toPicture(box, [2, 2], geometry));
    expect(await decodeImage(await fileOf('overlay', boxed))).toEqual(expected);
    const alone = await fileOf('overlay', { ...boxed, explanation: { ...explanation, picture: undefined } });
    expect(await decodeImage(alone)).toEqual(drawBox(drawHeat(map), box));
  });

  test('the map in grey, and the numbers', async () => {
    const grey = await decodeImage(await fileOf('map', drawing));
    expect(Array.from(grey.data.filter((_, i) => i % 3 === 0))).toEqual([0, 255, 0, 128]);
    expect(parseNpy(await fileOf('npy', drawing))).toEqual({ type: 'float32', dims: [2, 2], data: map.data });
    expect(parseNpy(await fileOf('raw', drawing))).toEqual({
      type: 'float32',
      dims: [1, 2],
      data: target.raw.data,
    });
  });

  test('of tensors, the colours alone; a cutout is refused', async () => {
    const tensor = { ...drawing, explanation: { ...explanation, picture: undefined, geometry: undefined } };
    expect(await decodeImage(await fileOf('overlay', tensor))).toMatchObject({ width: 2, height: 2 });
    await expect(fileOf('cutout', tensor)).rejects.toThrow(
      '"a.png" holds no picture that a cutout could show',
    );
    expect((await decodeImage(await fileOf('cutout', drawing))).width).toBe(6);
  });

  test('guided backpropagation’s raw file is its signed attribution', async () => {
    const attribution = { data: Float32Array.of(-1, 2), dims: [1, 1, 2] };
    const guided = { ...drawing, target: { ...target, raw: undefined, attribution } };
    expect(parseNpy(await fileOf('raw', guided))).toEqual({ type: 'float32', ...attribution });
  });

  test('options: defaults, each kind once and in one order, what is unknown', () => {
    expect(settingsOf({})).toEqual({
      save: ['overlay'],
      format: undefined,
      quality: 90,
      colormap: 'turbo',
      opacity: 0.5,
      picture: 'original',
      video: undefined,
      timeline: false,
    });
    expect(settingsOf({ save: ['raw', 'map', 'raw'] }).save).toEqual(['map', 'raw']);
    expect(() => settingsOf({ save: ['heat'] as never })).toThrow(
      /"save" must be one of overlay, map, npy, raw, cutout/,
    );
    expect(() => settingsOf({ opacity: 2 })).toThrow(/"opacity" must be a number from 0 to 1/);
    expect(() => settingsOf({ opacty: 1 } as never)).toThrow(/Closest: "opacity"/);
    expect(() => settingsOf({ quality: 0 })).toThrow(/"quality" must be a whole number from 1 to 100/);
    expect(() => settingsOf({ format: 'jpg' as never })).toThrow(/"format" must be one of png, jpeg, webp/);
  });

  test('formats: photographs are JPEG, what is exact is PNG, unless another is asked for', async () => {
    const endings = (options: OutputOptions) => saveKinds.map((kind) => endingOf(kind, settingsOf(options)));
    expect(endings({})).toEqual([
      '.overlay.jpg',
      '.map.png',
      '.npy',
      '.raw.npy',
      '.cutout.png',
      '.sheet.png',
    ]);
    expect(endings({ format: 'webp' })).toEqual([
      '.overlay.webp',
      '.map.webp',
      '.npy',
      '.raw.npy',
      '.cutout.webp',
      '.sheet.webp',
    ]);
    const exact = await decodeImage(await fileOf('overlay', inPng));
    const errorOf = async (format: 'jpeg' | 'webp', quality: number) => {
      const settings = settingsOf({ format, quality });
      const { data } = await decodeImage(await fileOf('overlay', { ...drawing, settings }));
      return data.reduce((sum, value, i) => sum + Math.abs(value - exact.data[i]), 0) / data.length;
    };
    expect(await errorOf('jpeg', 100)).toBeLessThan(1);
    for (const format of ['jpeg', 'webp'] as const)
      expect(await errorOf(format, 5), format).toBeGreaterThan(await errorOf(format, 100));
    for (const kind of ['map', 'cutout'] as const) {
      const lossless = { ...drawing, settings: settingsOf({ format: 'webp', quality: 1 }) };
      expect(await decodeImage(await fileOf(kind, lossless))).toEqual(
        await decodeImage(await fileOf(kind, drawing)),
      );
    }
  });
});

test('a line holds what the explanation says, its numbers in the fewest digits that give the same float32', () => {
  const line = JSON.parse(JSON.stringify(resultLine(4, explanation, target, { overlay: 'a.overlay.png' })));
  expect(line).toEqual({
    index: 4,
    image: { path: 'a.png', width: 6, height: 4 },
    target: { class: 7, name: 'seven', kind: 'class', score: 0.1, probability: 0.33333334 },
    layers: ['relu'],
    method: 'grad-cam++',
    settings: { form: 'exp' },
    backend: 'reference',
    map: { dims: [2, 2], empty: false, logScale: 3, bounds: map.bounds, geometry },
    files: { overlay: 'a.overlay.png' },
  });
});
