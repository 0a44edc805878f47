import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { explainFolder } from '../../src/batch/explain-folder.js';
import { Explainer } from '../../src/batch/explainer.js';
import type { ClipLayout } from '../../src/image/frame-sampling.js';
import type { Pixels } from '../../src/image/pixels.js';
import { preprocess, threeCrops } from '../../src/image/preprocess.js';
import { clipNetwork, drawnFrames } from './clips.js';

const folder = mkdtempSync(join(tmpdir(), 'gradcampp-crops-'));
const file = (name: string) => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true }));

const input = { size: [8, 8], resize: 9, mean: [0.3, 0.3, 0.3], std: [0.2, 0.2, 0.2] } as const;
const open = (layout: ClipLayout, frames = {}, N: number | string = 'N') =>
  Explainer.open(clipNetwork(layout, 4, N), {
    backend: 'reference',
    preprocess: { input: { layout, ...input, frames: { crops: 3 } } },
    frames,
  });
/** Twice as wide as high: 18 × 9 is left of them, and crops begin at 0, 5 and 10. */
const frames = drawnFrames(4, 40, 20);

/** What is explained of each crop alone, and what their mean says. */
async function alone(layout: ClipLayout, of: readonly Pixels[]) {
  await using explainer = await open(layout, { crops: 1 });
  const { frame } = explainer.clips!;
  const [T, size] = [of.length, 64];
  const dims = { NCTHW: [3, T, 8, 8], NTCHW: [T, 3, 8, 8], NTHWC: [T, 8, 8, 3] }[layout];
  const tensors = threeCrops(of[0].width, of[0].height, frame).map((crop) => {
    const data = new Float32Array(3 * T * size);
    of.forEach((pixels, t) =>
      preprocess(pixels, frame, undefined, crop).tensor.forEach((value, i) => {
        const [c, place] = [Math.floor(i / size), i % size];
        data[layout === 'NCTHW' ? (c * T + t) * size + place : t * 3 * size + i] = value;
      }),
    );
    return { type: 'float32', dims, data } as const;
  });
  const scores = (await explainer.predict(tensors)).map((own) => own.scores);
  const mean = scores[0].map((_, i) => (scores[0][i] + scores[1][i] + scores[2][i]) / 3);
  const best = mean.indexOf(Math.max(...mean));
  const explained = await explainer.explain(tensors, { targets: best });
  return { mean, best, raws: explained.map(({ targets }) => targets[0].raw!.data) };
}

test('lie at the beginning, in the middle and at the end of what is left of the longer edge', async () => {
  await using explainer = await open('NCTHW');
  const { frame } = explainer.clips!;
  expect(threeCrops(40, 20, frame)).toEqual([{ x: 0 }, { x: 5 }, { x: 10 }]);
  expect(threeCrops(20, 40, frame)).toEqual([{ y: 0 }, { y: 5 }, { y: 10 }]);
  expect(threeCrops(20, 20, frame)).toEqual([{ x: 0 }, { x: 1 }]); // 9 × 9: half a pixel is rounded to even
  expect(threeCrops(20, 20, { ...frame, resize: 8 })).toEqual([{}]);
});

describe('the mean of three crops', () => {
  test.each(['NCTHW', 'NTHWC'] as const)(
    '%s: of scores, and of maps where they lie in the frame',
    async (layout) => {
      const { mean, best, raws } = await alone(layout, frames);
      await using explainer = await open(layout);
      const [{ scores, targets, image, geometry }] = await explainer.explain({ frames });
      const [{ target, map, raw }] = targets;
      expect(image.clip).toMatchObject({ count: 4, crops: 3 });
      expect(target.class).toBe(best);
      scores.forEach((score, i) => expect(score).toBeCloseTo(mean[i], 5));
      expect(target.score).toBeCloseTo(mean[best], 5);
      const [prediction] = await explainer.predict({ frames });
      expect(prediction.scores).toEqual(scores);
      // The layer is as large as the input, so nothing is upsampled; together they are 18 × 8.
      expect(map.dims).toEqual([4, 8, 18]);
      expect(raw).toBeUndefined();
      const sum = Float64Array.from({ length: 4 * 8 * 18 }, (_, i) => {
        const [t, y, x] = [Math.floor(i / 144), Math.floor(i / 18) % 8, i % 18];
        const own = [0, 5, 10].flatMap((start, k) =>
          x >= start && x < start + 8 ? [raws[k][(t * 8 + y) * 8 + x - start]] : [],
        );
        return own.reduce((total, value) => total + value, 0) / own.length;
      });
      const [least, most] = [Math.min(...sum), Math.max(...sum)];
      sum.forEach((value, i) => expect(map.data[i]).toBeCloseTo((value - least) / (most - least), 5));
      expect(map.frames?.reduce((total, { energy }) => total + energy, 0)).toBeCloseTo(1, 6);
      const scale = 20 / 9;
      expect(geometry?.x).toBeCloseTo(0, 10);
      expect(geometry?.width).toBeCloseTo(18 * scale, 10);
      expect(geometry?.height).toBeCloseTo(8 * scale, 10);
    },
  );

  test('is the same in a network that takes one clip, or two, at once', async () => {
    const explained = [];
    for (const N of ['N', 1, 2]) {
      await using explainer = await open('NCTHW', {}, N);
      explained.push(...(await explainer.explain({ frames })));
    }
    const [{ scores, targets }, ...others] = explained;
    for (const other of others) {
      other.scores.forEach((score, i) => expect(score).toBeCloseTo(scores[i], 5));
      other.targets[0].map.data.forEach((value, i) => expect(value).toBeCloseTo(targets[0].map.data[i], 5));
    }
  });

  test('is one where the frame is no longer than the crop', async () => {
    const square = drawnFrames(4, 24, 24);
    await using explainer = await Explainer.open(clipNetwork(), {
      backend: 'reference',
      preprocess: { input: { layout: 'NCTHW', ...input, resize: 8 } },
      frames: { crops: 3 },
    });
    const [{ image, targets }] = await explainer.explain({ frames: square });
    expect(image.clip).not.toHaveProperty('crops');
    expect(targets[0].map.dims).toEqual([4, 8, 8]);
  });

  test('is that of a run, with its overlay; other numbers of crops are refused', async () => {
    writeFileSync(file('model.onnx'), clipNetwork());
    writeFileSync(file('model.json'), JSON.stringify({ input: { layout: 'NCTHW', ...input } }));
    const { webp } = await import('../../src/clip/writers/webp.js');
    writeFileSync(file('wide.webp'), await webp.write(frames, { rate: 4 }));
    const run = (out: string, save: readonly 'overlay'[]) =>
      explainFolder({
        model: file('model.onnx'),
        images: [file('wide.webp')],
        out: file(out),
        open: { frames: { crops: 3 } },
        outputs: { save: [...save, 'npy', 'raw'], video: 'webp' },
        workforce: { workers: 0 },
      });
    expect((await run('a', ['overlay'])).explained).toBe(1);
    expect((await run('b', [])).explained).toBe(1);
    const line = (out: string) => JSON.parse(readFileSync(join(file(out), 'results.jsonl'), 'utf8'));
    expect(line('a').image.clip).toMatchObject({ crops: 3 });
    expect(line('a').map.dims).toEqual([4, 8, 18]);
    expect({ ...line('b'), files: undefined }).toEqual({ ...line('a'), files: undefined });
    await expect(open('NCTHW', { crops: 2 })).rejects.toThrow('"frames.crops" must be 1 or 3; received 2');
  });
});
