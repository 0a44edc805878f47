import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { evaluate } from '../../src/evaluate/evaluate.js';
import { measureHere } from '../../src/evaluate/measurer.js';
import { openSubject } from '../../src/evaluate/open.js';
import { webp } from '../../src/clip/writers/webp.js';
import { encodePng } from '../../src/image/encode.js';
import { clipLayouts } from '../../src/image/frame-sampling.js';
import { clipNetwork, drawnFrame, drawnFrames } from '../clip/clips.js';

const folder = mkdtempSync(join(tmpdir(), 'evaluate-clips-'));
const file = (name: string) => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const sidecar = (layout: string) => ({
  input: { layout, size: [8, 8], resizeMode: 'stretch', mean: [0.3, 0.3, 0.3], std: [0.2, 0.2, 0.2] },
  classes: ['ant', 'bee', 'cat', 'dog', 'eel'],
});
beforeAll(async () => {
  for (const layout of clipLayouts) {
    writeFileSync(file(`${layout}.onnx`), clipNetwork(layout));
    writeFileSync(file(`${layout}.json`), JSON.stringify(sidecar(layout)));
  }
  mkdirSync(file('clips/walk'), { recursive: true });
  for (const i of [0, 1, 2])
    writeFileSync(
      file(`clips/c${i}.webp`),
      Buffer.concat([await webp.write(drawnFrames(9 + i, 20, 12 + 4 * i), { rate: 10 } as never)]),
    );
  for (let t = 0; t < 6; t++) writeFileSync(file(`clips/walk/${t}.png`), encodePng(drawnFrame(t + 3)));
});

const common = {
  model: file('NCTHW.onnx'),
  images: [file('clips')],
  method: ['grad-cam++', 'random'],
  open: { backend: 'reference' },
  workers: 0,
} as const;
const results = (out: string) => JSON.parse(readFileSync(join(file(out), 'results.json'), 'utf8'));

describe('evaluations of clips', () => {
  it('mask every frame by its own map, in every layout alike', async () => {
    const found = [];
    for (const layout of clipLayouts) {
      const options = {
        ...common,
        model: file(`${layout}.onnx`),
        metrics: ['usual', 'road', 'infidelity'],
        percentiles: [50],
      };
      const { report, images, failures } = await evaluate('faithfulness', {
        ...options,
        perturbations: 5,
        steps: 4,
        out: file(`out-${layout}`),
      });
      expect({ images, failures }).toEqual({ images: 4, failures: [] });
      expect(report?.charts?.map(({ key }) => key)).toContain('frameDeletion');
      found.push(results(`out-${layout}`).metrics);
    }
    expect(found[0].averageDrop.values['grad-cam++'].mean).toBeGreaterThan(0);
    // ROAD's noise is drawn value by value, in the order in which the layout has them.
    for (const metrics of found.slice(1))
      for (const [key, { values }] of Object.entries<{ values: Record<string, { mean: number }> }>(metrics))
        for (const method of common.method)
          expect(values[method].mean).toBeCloseTo(
            found[0][key].values[method].mean,
            key.startsWith('road') ? 1 : 5,
          );
  });

  it('go on where they were stopped, and show frames side by side', async () => {
    const dying = async () => {
      const subject = await openSubject(common.model, common.open);
      const prepare: typeof subject.prepare = (image) => {
        if (image.endsWith('walk')) throw new Error('power is gone');
        return subject.prepare(image);
      };
      return measureHere({ ...subject, prepare });
    };
    const whole = measureHere(await openSubject(common.model, common.open));
    const run = async (out: string, model = whole, more: object = {}) =>
      evaluate('faithfulness', { ...common, model, steps: 2, out: file(out), ...more });
    await expect(run('again', await dying())).rejects.toThrow('power is gone');
    const journal = readFileSync(join(file('again'), '.partial/journal.jsonl'), 'utf8');
    expect(journal.trim().split('\n').length).toBeGreaterThan(1);
    await run('once');
    const rest = measureHere(await openSubject(common.model, common.open));
    const { finishedBefore } = await run('again', rest, { resume: true });
    expect(finishedBefore).toBe(false);
    expect(results('again')).toEqual(results('once'));
    expect(readFileSync(join(file('once'), 'report.html'), 'utf8')).toContain('data:image/webp;base64,');
  });

  it('measure tubes, of folders of frames too', async () => {
    const boxes = [0, 1, 2, 3].map((t) => [t, 0, 0, 0.5, 1]);
    const tubes = [...[0, 1, 2].map((i) => `c${i}.webp`), 'walk'].map((clip) => ({ clip, boxes }));
    writeFileSync(file('tubes.json'), JSON.stringify(tubes));
    const { report, images } = await evaluate('tubes', {
      ...common,
      tubes: file('tubes.json'),
      out: file('tubes'),
    });
    expect(images).toBe(4);
    const { metrics } = results('tubes');
    expect(metrics.energyInTube.values['grad-cam++'].count).toBe(4);
    // Nine to eleven frames are sampled every second one from the first on, six one after another from the second.
    expect(metrics.energyInTime.values['grad-cam++'].mean).toBeGreaterThan(0);
    expect(report?.gallery?.items).toHaveLength(4);
    expect(report?.gallery?.items[0].boxes?.length).toBeGreaterThan(1);
  });

  it('refuse what they cannot do, with one sentence each', async () => {
    const out = file('refused');
    await expect(evaluate('grid', { ...common, out })).rejects.toThrow(
      '"grid" evaluates networks of pictures, and the model takes clips; faithfulness, tubes,',
    );
    await expect(evaluate('localization', { ...common, boxes: 'yolo', out })).rejects.toThrow(
      '"localization"',
    );
    await expect(evaluate('tubes', { ...common, out })).rejects.toThrow('"tubes" is missing');
    const frame = file('clips/walk/0.png');
    const named = { ...common, images: [frame, file('clips/walk/1.png')] };
    await expect(evaluate('faithfulness', { ...named, out })).rejects.toThrow('"images" must be the folder');
    const many = { ...common, open: { ...common.open, frames: { stride: 2 } } };
    await expect(evaluate('faithfulness', { ...many, out })).rejects.toThrow(
      'Evaluations take one clip of a video',
    );
  });

  it('say what is wrong with a model, where what it takes cannot be told', async () => {
    writeFileSync(file('damaged.onnx'), 'no model');
    writeFileSync(file('damaged-sidecar.onnx'), clipNetwork());
    writeFileSync(file('damaged-sidecar.json'), '{');
    const problem = (model: string) =>
      evaluate('faithfulness', {
        ...common,
        model: file(model),
        images: [file('clips/c0.webp')],
        out: file('none'),
      }).then(
        () => 'none',
        (error: Error) => error.message.replaceAll(folder, ''),
      );
    expect(await problem('missing.onnx')).toBe('Cannot read model "/missing.onnx": there is no such file.');
    expect(await problem('damaged.onnx')).toContain('"/damaged.onnx"');
    expect(await problem('damaged-sidecar.onnx')).toMatch(/^"\/damaged-sidecar\.json" is not JSON/);
  });

  it('know which of the frames of a video are in a clip', async () => {
    const subject = await openSubject(file('NTCHW.onnx'), { backend: 'reference' });
    try {
      const { clip, view, geometry } = await subject.prepare(file('clips/c0.webp'));
      expect(subject).toMatchObject({
        takesClips: true,
        size: [4, 8, 8],
        layout: { channels: 3, positions: 256, run: 64 },
      });
      expect(clip).toMatchObject({ start: 1, interval: 2, count: 4 });
      expect(view()).toMatchObject({ width: 16, height: 16 });
      expect(geometry.input).toEqual({ width: 8, height: 8 });
    } finally {
      await subject.close();
    }
  });
});
