import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { modelFile } from '../../src/graph/model-file.js';
import { checkSidecar } from '../../src/image/sidecar.js';
import { floatsOf } from '../../src/onnx/constant.js';
import { Kept } from '../../src/train/data/kept.js';
import { decodePictures, readPictures } from '../../src/train/data/pictures.js';
import { trainStudent } from '../../src/train/run/job.js';
import type { RunPlan } from '../../src/train/run/plan.js';
import { keptIn, trunkOf } from '../../src/train/run/trunk.js';
import { buildStudent } from '../../src/train/students/index.js';
import { forUse } from '../../src/train/training-form.js';
import { drawFolder, drawnClasses } from './drawn.js';

let root: string;
const at = (...parts: string[]) => join(root, ...parts);
const labels = Array.from({ length: 36 }, (_, i) => [Math.floor(i / 12)]);
const train = labels.map((_, i) => i).filter((i) => i % 6 > 0);
const validation = labels.map((_, i) => i).filter((i) => i % 6 === 0);

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'gradcampp-trunk-'));
  await drawFolder(at('data'), 12, 1);
  await mkdir(at('.partial'), { recursive: true });
  const graph = buildStudent('resnet-8', { classes: 3, size: [16, 16], width: 0.25 });
  await writeFile(at('net.onnx'), modelFile(forUse(graph)).toBytes());
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** A plan that trains behind a layer, without anything kept. */
async function planOf(trainFrom: string): Promise<RunPlan> {
  const { input: preprocessing } = await checkSidecar({ input: { size: [16, 16] } });
  const sources = labels.map(([label], i) => {
    const file = at('data', drawnClasses[label], `${i % 12}.png`);
    return { name: file, file };
  });
  const { name: pictures } = await decodePictures(sources, preprocessing, root);
  const settings = {
    student: at('net.onnx'),
    trainFrom,
    width: 1,
    epochs: 3,
    batch: 10,
    augment: ['flip', 'crop'],
    optimizer: 'sgd',
    momentum: 0.9,
    nesterov: true,
    weightDecay: 5e-4,
    schedule: 'cosine',
    warmUp: 0,
    smoothing: 0,
    loaders: 0,
    workers: 1,
  };
  return {
    settings: settings as never,
    learningRate: 0.05,
    classWeights: undefined,
    preprocessing,
    classes: drawnClasses,
    isMultiLabel: false,
    folder: root,
    cache: root,
    checkpointEvery: 1e9,
    run: trainFrom,
    seed: 1,
    pictures,
    labels,
    train,
    validation,
    test: undefined,
    masks: undefined,
    lessons: undefined,
    trunk: undefined,
  };
}

test.each(['stage1.0/relu', 'stage2.0/relu'])(
  'what is before %s, kept, trains the weights that it trains where every step computes it',
  async (trainFrom) => {
    const plan = await planOf(trainFrom);
    const trunk = await trunkOf(plan, 2, () => undefined);
    if (typeof trunk !== 'object') throw new Error(trunk);
    const kept = keptIn(root, trunk, validation);
    expect(trunk.views.length).toBe(2);
    const pictures = await readPictures(root, plan.pictures, [16, 16]);
    const learn = (own: RunPlan, more: object, folder: string) => {
      const terms = { labels: 1, kd: 0, interpret: 0, attention: 0, reasons: 0 } as never;
      const data = {
        pictures,
        labels,
        train,
        validation,
        lessons: undefined,
        masks: undefined,
        kept: undefined,
      };
      const job = { arm: 'a', seed: 1, folder, terms };
      return trainStudent(own, job, { ...data, ...more }, () => undefined);
    };
    // The same two views of each picture come again and again where a teacher's lessons are there, of which nothing is read here.
    const inSteps = await learn(plan, { lessons: { views: 2 } }, 'steps');
    const once = await learn({ ...plan, trunk }, { kept }, 'kept');
    expect(once.graph.inputs).toEqual(inSteps.graph.inputs);
    for (const [name, constant] of inSteps.graph.constants) {
      const [a, b] = [floatsOf(constant), floatsOf(once.graph.constants.get(name) as never)];
      const most = a.reduce((max, value) => Math.max(max, Math.abs(value)), 1e-6);
      expect(Math.max(...a.map((value, i) => Math.abs(value - b[i]))) / most).toBeLessThan(1e-4);
    }
    for (const [e, line] of inSteps.log.entries()) {
      expect(once.log[e].loss).toBeCloseTo(line.loss, 4);
      expect(once.log[e].validation).toBe(line.validation);
    }
    expect(inSteps.log[2].loss).toBeLessThan(inSteps.log[0].loss);
  },
  60_000,
);

test('it is computed in every step where connections lead past it, and where it would be large', async () => {
  const plan = await planOf('stage2.0/1/relu');
  expect(await trunkOf(plan, 2, () => undefined)).toBe(
    'What is before "stage2.0/1/relu" is computed in every step: connections of the network lead past it.',
  );
  expect(await trunkOf(await planOf('stage1.0/relu'), 10_000, () => undefined)).toMatch(
    /kept, it would take 1\.4 GiB, and 1 GiB at most is kept; fewer --views make it less\.$/,
  );
  const built = await planOf('stage1.0/relu');
  expect(
    await trunkOf({ ...built, settings: { ...built.settings, student: 'resnet-8' } }, 2, () => undefined),
  ).toBe(undefined);
});

test('what was cut off meanwhile is said', async () => {
  await writeFile(at('view.f32'), new Uint8Array(4 * 6));
  const [view, dims] = [at('view.f32'), [2]];
  const kept = new Kept({ dims, views: [view], originals: view, originalsOf: [7] });
  expect(kept.batch([2, 0], 0)).toEqual(new Float32Array(4));
  expect(kept.batch([7], 'original')).toEqual(new Float32Array(2));
  expect(() => kept.batch([3], 0)).toThrow(/view\.f32" was changed while it was read: remove it/);
  kept.close();
});
