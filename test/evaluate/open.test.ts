import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { controlMap } from '../../src/evaluate/control.js';
import { openSubject } from '../../src/evaluate/open.js';
import type { Subject, Variant } from '../../src/evaluate/subject.js';
import { Explainer } from '../../src/batch/explainer.js';
import { encodePng } from '../../src/image/encode.js';
import { floatConstant } from '../../src/onnx/constant.js';
import { bytesFrom, classifier, type ClassifierOptions, values } from '../support/network.js';

const sidecar = {
  input: { size: [8, 8], mean: [0.5, 0.4, 0.3], std: [0.2, 0.25, 0.5], channels: 'BGR' },
  classes: ['ant', 'bee', 'cat', 'dog', 'eel'],
};
const variants: Variant[] = [
  { name: 'plus', method: 'grad-cam++' },
  { name: 'plain', method: 'grad-cam' },
  { name: 'earlier', method: 'grad-cam++', layer: 'relu1' },
];

let folder: string;
let picture: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'open-'));
  picture = join(folder, 'picture.png');
  const data = Uint8Array.from(values(9, [12, 10, 3]), (value) => (value + 1) * 127);
  await writeFile(picture, encodePng({ data, width: 10, height: 12, channels: 3 }));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function modelOf(name: string, options: ClassifierOptions): Promise<string> {
  const path = join(folder, `${name}.onnx`);
  await writeFile(path, bytesFrom(classifier(options)));
  await writeFile(join(folder, `${name}.json`), JSON.stringify(sidecar));
  return path;
}

async function using<T>(model: string, use: (subject: Subject) => Promise<T>, options = {}): Promise<T> {
  const subject = await openSubject(model, options);
  try {
    return await use(subject);
  } finally {
    await subject.close();
  }
}

describe('a subject over a real network', () => {
  it('says what it is', async () => {
    await using(await modelOf('plain', {}), async (subject) => {
      expect(subject).toMatchObject({
        classes: sidecar.classes,
        layout: { channels: 3, positions: 64, run: 64 },
        size: [8, 8],
        layer: [4, 4],
      });
      // −mean / std: what (0 − mean) / std makes of black.
      [-2.5, -1.6, -0.6].forEach((value, c) => expect(subject.black[c]).toBeCloseTo(value, 12));
      const description = Object.fromEntries(subject.description);
      expect(description).toMatchObject({ model: 'plain.onnx', layer: 'relu2 [4, 4]' });
      expect(description['SHA-256 of the model file']).toMatch(/^[0-9a-f]{64}$/);
    });
  });

  it('knows the layers whose channels are the classes', async () => {
    const weights = (seed: number, dims: readonly number[]) => floatConstant(values(seed, dims), dims);
    const bytes = bytesFrom({
      inputs: { x: ['N', 3, 8, 8] },
      outputs: ['scores'],
      nodes: [
        ['Conv', ['x', 'w1'], ['c1']],
        ['Relu', ['c1'], ['r1']],
        ['Conv', ['r1', 'w2'], ['c2']],
        ['Relu', ['c2'], ['maps']],
        ['GlobalAveragePool', ['maps'], ['pooled']],
        ['Flatten', ['pooled'], ['scores']],
      ],
      constants: { w1: weights(1, [6, 3, 3, 3]), w2: weights(2, [5, 6, 1, 1]) },
    });
    await writeFile(join(folder, 'maps.onnx'), bytes);
    await writeFile(join(folder, 'maps.json'), JSON.stringify(sidecar));
    await using(
      join(folder, 'maps.onnx'),
      async (subject) => {
        expect(subject.classMaps?.(variants[0])).toEqual(['maps']);
        expect(subject.classMaps?.({ ...variants[0], layer: 'r1' })).toEqual([]);
        const { tensor } = await subject.prepare(picture);
        const { maps } = await subject.explain({ image: 'p', tensor }, variants.slice(0, 2), [3]);
        expect(maps[0]).toEqual(maps[1]);
      },
      { layer: 'maps' },
    );
  });

  it('prepares a picture once: tensor, view and geometry', async () => {
    await using(await modelOf('plain', {}), async (subject) => {
      const prepared = await subject.prepare(picture);
      expect(prepared.tensor.length).toBe(3 * 64);
      expect(prepared.view()).toMatchObject({ width: 8, height: 8, channels: 3 });
      // 10 × 12 scaled to 8 × 9, of which 8 × 8 are kept: 12 / 9 pictures' pixels a row.
      expect(prepared.geometry).toMatchObject({
        picture: { width: 10, height: 12 },
        crop: { x: 0, width: 10, height: (8 * 12) / 9 },
        input: { width: 8, height: 8 },
      });
      // The first plane is blue, normalised with the first mean and std.
      const [, , blue] = prepared.view().data;
      expect(prepared.tensor[0]).toBeCloseTo((blue / 255 - 0.5) / 0.2, 4);
    });
  });

  it('gives the maps of the explainer, each variant at its layer, and probabilities of a plain pass', async () => {
    const model = await modelOf('plain', {});
    await using(model, async (subject) => {
      const prepared = await subject.prepare(picture);
      const { tensor } = prepared;
      const { targets, maps } = await subject.explain(prepared, variants);
      const explainer = await Explainer.open(model);
      const earlier = await Explainer.open(model, { layer: 'relu1' });
      const [own] = await explainer.explain(picture, { method: ['grad-cam++', 'grad-cam'] });
      const [other] = await earlier.explain(picture);
      expect(targets.map((target) => target.class)).toEqual([own.targets[0].target.class]);
      expect(maps.map(([map]) => map.data)).toEqual([
        own.targets[0].map.data,
        own.targets[1].map.data,
        other.targets[0].map.data,
      ]);
      const two = new Float32Array(2 * tensor.length);
      two.set(tensor);
      const predicted = await subject.predict(two, 2);
      expect(predicted.length).toBe(10);
      const [target] = targets;
      expect(target.confidence).toBeCloseTo(predicted[target.class], 6);
      expect((await target.confidenceIn(two, 2))[0]).toBeCloseTo(predicted[target.class], 6);
      expect(predicted.slice(5).reduce((a, b) => a + b)).toBeCloseTo(1, 6);
      await explainer.close();
      await earlier.close();
    });
  });

  it('draws the random control by the name of the picture and the seed', async () => {
    await using(await modelOf('plain', {}), async (subject) => {
      const { tensor } = await subject.prepare(picture);
      const control = async (image: string, seed: number) => {
        const { maps } = await subject.explain({ image, tensor }, [
          { name: 'random', method: 'random', seed },
        ]);
        return maps[0][0].data;
      };
      const first = await control('a', 1);
      expect(await control('a', 1)).toEqual(first);
      expect(await control('b', 1)).not.toEqual(first);
      expect(await control('a', 2)).not.toEqual(first);
      const ties = controlMap(subject, { image: 'a' }, 1).data;
      first.forEach((value, i) => expect(value).toBeCloseTo(ties[i], 5));
    });
  });

  it('explains several classes at once, and none but the top class without variants', async () => {
    await using(await modelOf('plain', {}), async (subject) => {
      const prepared = await subject.prepare(picture);
      const both = await subject.explain(prepared, variants, [3, 0]);
      const one = await subject.explain(prepared, variants, [0]);
      expect(both.targets.map((target) => target.class)).toEqual([3, 0]);
      expect(both.maps.map((maps) => maps[1].data)).toEqual(one.maps.map((maps) => maps[0].data));
      const none = await subject.explain(prepared, []);
      expect(none.maps).toEqual([]);
      const all = await subject.predict(prepared.tensor, 1);
      expect(none.targets[0].confidence).toBeCloseTo(Math.max(...all), 6);
    });
  });

  it('gives probabilities whatever ends the model, also with a fixed batch', async () => {
    const rows: Float32Array[] = [];
    for (const [name, options] of [
      ['logits', {}],
      ['softmax', { tail: 'softmax' }],
      ['fixed', { batch: 2 }],
    ] as const) {
      const model = await modelOf(name, options);
      rows.push(
        await using(model, async (subject) => {
          const { tensor } = await subject.prepare(picture);
          const three = Float32Array.from([...tensor, ...tensor, ...tensor]);
          const all = await subject.predict(three, 3);
          expect(all.length).toBe(15);
          expect(all.slice(10)).toEqual(all.slice(0, 5));
          return all.slice(0, 5);
        }),
      );
    }
    for (const row of rows) row.forEach((value, i) => expect(value).toBeCloseTo(rows[0][i], 6));
  });

  it('opens the same network with shuffled weights', async () => {
    await using(await modelOf('plain', {}), async (subject) => {
      const { randomization } = subject;
      expect(randomization?.groups.length).toBe(4);
      const { tensor } = await subject.prepare(picture);
      const before = await subject.predict(tensor, 1);
      const again = await randomization!.open([], 1);
      [...(await again.predict(tensor, 1))].forEach((value, i) => expect(value).toBeCloseTo(before[i], 6));
      await again.close();
      const randomized = await randomization!.open([0, 1, 2, 3], 1);
      expect(randomized.layer).toEqual(subject.layer);
      expect(randomized.classes).toEqual(subject.classes);
      const after = await randomized.predict(tensor, 1);
      expect(Math.max(...after.map((value, i) => Math.abs(value - before[i])))).toBeGreaterThan(1e-3);
      const { maps } = await randomized.explain({ image: picture, tensor }, variants, [0]);
      expect(maps.length).toBe(3);
      await randomized.close();
    });
  });

  it('refuses scores that are no probabilities', async () => {
    await using(await modelOf('regression', { classes: 1 }), async (subject) => {
      const { tensor } = await subject.prepare(picture);
      await expect(subject.predict(tensor, 1)).rejects.toThrow('Evaluations compare class probabilities');
    });
  });
});
