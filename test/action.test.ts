import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  clipSize,
  drawClips,
  lastClipActivation,
  trainAction,
  untrainedAction,
} from '../scripts/assets/action.js';
import { type ClipFigures, clipFigures, openDrawn, tubeOf } from '../scripts/assets/clip-figures.js';
import { actions, drawClip, frameCount } from '../scripts/assets/clips.js';
import {
  actionRecipe,
  actionSidecar,
  clipDemonstrations,
  clipRate,
  heldOut,
  largeClip,
} from '../scripts/assets/recipe.js';
import { Explainer } from '../src/batch/explainer.js';
import { readClips } from '../src/clip/read-clips.js';
import type { Subject } from '../src/evaluate/subject.js';
import { variantsOfMethods } from '../src/evaluate/variants.js';
import { type Constant, floatsOf } from '../src/onnx/constant.js';
import { weightsOf } from '../src/train/training-form.js';

const assets = fileURLToPath(new URL('../assets/', import.meta.url));
const model = join(assets, 'action.onnx');

describe('a drawn clip', () => {
  const clips = Array.from({ length: 40 }, (_, i) => drawClip(7_000 + i, 32));

  it('has one action, before and after which what acts stands still', () => {
    for (const [i, { action, first, last, boxes, frames }] of clips.entries()) {
      expect(action).toBe(actions[(7_000 + i) % actions.length]);
      expect(frames).toHaveLength(frameCount);
      expect(last).toBeGreaterThanOrEqual(first + frameCount / 3 - 1);
      for (const [t, box] of boxes.entries()) {
        expect(box).toHaveLength(action === 'swaps' ? 2 : 1);
        if (t <= first) expect(box).toEqual(boxes[0]);
        if (t >= last) expect(box).toEqual(boxes[frameCount - 1]);
      }
      if (action !== 'blinks') expect(boxes[first]).not.toEqual(boxes[last]);
    }
    expect(clips.filter(({ first, last }) => last - first + 1 === frameCount / 3).length).toBeGreaterThan(10);
  });

  it('goes where its action says', () => {
    const centre = ([[x0, y0, x1, y1]]: (typeof clips)[number]['boxes'][number]) => ({
      x: (x0 + x1) / 2,
      y: (y0 + y1) / 2,
      area: (x1 - x0) * (y1 - y0),
    });
    const changes = {
      'moves left': ({ x }: ReturnType<typeof centre>) => -x,
      'moves right': ({ x }: ReturnType<typeof centre>) => x,
      'moves up': ({ y }: ReturnType<typeof centre>) => -y,
      'moves down': ({ y }: ReturnType<typeof centre>) => y,
      approaches: ({ area }: ReturnType<typeof centre>) => area,
      recedes: ({ area }: ReturnType<typeof centre>) => -area,
    };
    for (const [action, of] of Object.entries(changes))
      for (const { boxes, first, last } of clips.filter((clip) => clip.action === action))
        expect(of(centre(boxes[last]))).toBeGreaterThan(of(centre(boxes[first])));
  });

  it('is told by no frame: what acts is as often here as there, whichever way it goes', () => {
    const mean = (action: string, of: (box: readonly number[]) => number) => {
      const own = Array.from({ length: 60 }, (_, i) =>
        drawClip(actions.length * i + actions.indexOf(action as never), 8),
      );
      const all = own.flatMap(({ boxes }) => boxes.map(([box]) => of(box)));
      return all.reduce((sum, value) => sum + value, 0) / all.length;
    };
    expect(Math.abs(mean('moves left', ([x]) => x) - mean('moves right', ([x]) => x))).toBeLessThan(0.08);
    expect(Math.abs(mean('moves up', ([, y]) => y) - mean('moves down', ([, y]) => y))).toBeLessThan(0.08);
    const width = ([x0, , x1]: readonly number[]) => x1 - x0;
    expect(Math.abs(mean('approaches', width) - mean('recedes', width))).toBeLessThan(0.08);
  });
});

describe('the embedded action network', () => {
  let subject: Subject;
  let figures: ClipFigures[];
  beforeAll(async () => {
    subject = await openDrawn(model);
    figures = [];
    for (let i = 0; i < 60; i++)
      figures.push(
        await clipFigures(subject, heldOut + 100_000 + i, variantsOfMethods(['grad-cam++', 'grad-cam'])),
      );
  });
  afterAll(() => subject.close());

  it('is small, and its sidecar is the one that the script writes', async () => {
    expect((await stat(model)).size).toBeLessThan(400_000);
    expect(JSON.parse(await readFile(join(assets, 'action.json'), 'utf8'))).toEqual(actionSidecar);
    expect(subject.classes).toEqual([...actions]);
    // As many steps in time as frames.
    expect(subject.layer).toEqual([frameCount, 10, 10]);
    expect(Object.fromEntries(subject.description).layer).toContain(lastClipActivation);
  });

  // What holds for 540 clips is in docs/evaluation.md.
  it('knows what happens in clips that it has not seen', () => {
    expect(figures.filter(({ action, found }) => action === found).length).toBeGreaterThanOrEqual(54);
  });

  it('is explained where and when it happens', () => {
    const sums = (key: string) =>
      [0, 1].map((v) => {
        const own = figures.map(({ tube }) => tube.variants[v][key] - tube.chances[key]);
        return own.reduce((sum, value) => sum + value, 0) / own.length;
      });
    for (const key of ['energyInSpace', 'energyInTube'])
      for (const above of sums(key)) expect(above).toBeGreaterThan(0.1);
    for (const above of sums('energyInTime')) expect(above).toBeGreaterThan(0.05);
  });
});

describe('the embedded clips', () => {
  const shown = clipDemonstrations.map((demonstration) => ({
    ...demonstration,
    clip: drawClip(demonstration.seed, largeClip),
  }));

  it('are all there and no others, with boxes for their frames', async () => {
    const names = clipDemonstrations.map(({ file }) => file);
    expect((await readdir(join(assets, 'clips'))).sort()).toEqual([...names, 'tubes.json'].sort());
    const tubes = JSON.parse(await readFile(join(assets, 'clips/tubes.json'), 'utf8'));
    const expected = shown.map(({ file, clip }) => {
      const boxes = tubeOf(clip).boxes.map(({ frame, box: { x0, y0, x1, y1 } }) => [frame, x0, y0, x1, y1]);
      return { clip: file, class: clip.action, boxes };
    });
    expect(tubes).toEqual(expected);
  });

  it.each(shown)('$file is what the script draws, and known', async ({ file, clip: drawn }) => {
    const path = join(assets, 'clips', file);
    expect((await stat(path)).size).toBeLessThan(200_000);
    const { action, first, last } = drawn;
    await using explainer = await Explainer.open(model, { backend: 'reference', threads: 1 });
    const sampling = { count: frameCount };
    const stored = [];
    for await (const clip of readClips(path, { ...explainer.clips, sampling } as never)) stored.push(clip);
    expect(stored).toHaveLength(1);
    const [{ frames, clip }] = stored;
    expect(clip).toMatchObject({ start: 0, interval: 1, count: frameCount });
    expect(clip.rate).toBeCloseTo(clipRate, 1);
    for (const [t, { data }] of frames!.entries()) {
      const difference =
        data.reduce((sum, value, i) => sum + Math.abs(value - drawn.frames[t][i]), 0) / data.length;
      expect(difference).toBeLessThan(6); // lossy
    }
    const [{ targets }] = await explainer.explain(path, { method: ['grad-cam++', 'grad-cam'] });
    for (const { target, map } of targets) {
      expect(target.name).toBe(action);
      expect(map.dims).toEqual([frameCount, clipSize, clipSize]);
      // No two frames in which something moves have the same map.
      const plane = clipSize * clipSize;
      const own = Array.from({ length: last - first + 1 }, (_, i) =>
        map.data.subarray((first + i) * plane, (first + i + 1) * plane),
      );
      for (const [i, a] of own.entries())
        for (const b of own.slice(i + 1)) {
          const apart = a.reduce((sum, value, p) => sum + Math.abs(value - b[p]), 0);
          expect(apart).toBeGreaterThan(0.02 * a.reduce((sum, value) => sum + value, 0));
          expect(apart).toBeGreaterThan(0);
        }
    }
  });
});

describe('the training script', () => {
  it('lowers the loss of the action network, and the same recipe gives the same weights', async () => {
    const short = { ...actionRecipe, pictures: 10, epochs: 12, learningRate: 0.03 };
    const clips = drawClips(short);
    const run = async () => {
      const losses: number[] = [];
      const report = (line: string) => losses.push(Number(line.split(' ').at(-1)));
      return { trained: await trainAction(untrainedAction(1), clips, short, report), losses };
    };
    const [first, second] = [await run(), await run()];
    expect(first.losses[11]).toBeLessThan(first.losses[0]);
    for (const name of weightsOf(first.trained)) {
      const constant = first.trained.constants.get(name) as Constant;
      expect(floatsOf(constant).every(Number.isFinite)).toBe(true);
      expect(
        Buffer.compare(constant.bytes, second.trained.constants.get(name)?.bytes ?? new Uint8Array()),
      ).toBe(0);
    }
  });
});
