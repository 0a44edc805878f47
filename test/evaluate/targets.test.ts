import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Explainer } from '../../src/batch/explainer.js';
import { evaluate } from '../../src/evaluate/evaluate.js';
import { measureHere } from '../../src/evaluate/measurer.js';
import { openSubject } from '../../src/evaluate/open.js';
import { encodePng } from '../../src/image/encode.js';
import { int64Constant } from '../../src/onnx/constant.js';
import { parseTarget, type Target } from '../../src/targets/index.js';
import { bytesFrom, classifier, type ShortGraph, values, weights } from '../support/network.js';

let folder: string;
let picture: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'targets-'));
  picture = join(folder, 'picture.png');
  for (const [i, name] of ['picture', 'other'].entries()) {
    const data = Uint8Array.from(values(9 + i, [8, 8, 3]), (value) => (value + 1) * 127);
    await writeFile(join(folder, `${name}.png`), encodePng({ data, width: 8, height: 8, channels: 3 }));
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const base = classifier();
const sidecar = { input: { size: [8, 8], mean: [0.5, 0.5, 0.5], std: [0.1, 0.1, 0.1] } };

async function modelOf(name: string, graph: ShortGraph, more: object = {}): Promise<string> {
  const path = join(folder, `${name}.onnx`);
  await writeFile(path, bytesFrom(graph));
  await writeFile(join(folder, `${name}.json`), JSON.stringify({ ...sidecar, ...more }));
  return path;
}

/** What `evaluate faithfulness` says of one picture, and what explaining it does. */
async function evaluated(model: string, target: Target | undefined, options: object = {}) {
  const out = join(folder, `out-${Math.random()}`);
  const subject = await openSubject(model, { backend: 'reference' });
  const { report, failures } = await evaluate('faithfulness', {
    model: measureHere(subject),
    images: [picture],
    steps: 2,
    method: ['grad-cam++', 'random'],
    out,
    ...(target === undefined ? {} : { target }),
    ...options,
  });
  const value = (key: string) =>
    report?.summaries[0].metrics.find((metric) => metric.key === key)?.values.map((item) => item?.mean);
  await using explainer = await Explainer.open(model, { backend: 'reference' });
  const [explanation] = await explainer.explain(picture, target === undefined ? {} : { targets: target });
  return { value, failures, report, explained: explanation?.targets[0].target };
}

const segmenter: ShortGraph = {
  inputs: { image: ['N', 3, 8, 8] },
  outputs: ['segments'],
  nodes: [...base.nodes.slice(0, 4), ['Conv', ['relu2', 'w9'], ['segments'], {}]],
  constants: { ...base.constants, w9: weights(9, [4, 6, 1, 1]) },
};
/** 16 candidates of YOLOv8: four numbers of a box and three classes. */
const detector: ShortGraph = {
  inputs: { image: ['N', 3, 8, 8] },
  outputs: ['output'],
  nodes: [
    ...base.nodes.slice(0, 4),
    ['Conv', ['relu2', 'w9'], ['raw'], {}],
    ['Reshape', ['raw', 'dims'], ['flat']],
    ['Sigmoid', ['flat'], ['output']],
  ],
  constants: { ...base.constants, w9: weights(9, [7, 6, 1, 1]), dims: int64Constant([0, 7, 16]) },
};
const embedder: ShortGraph = {
  ...base,
  outputs: ['unit'],
  nodes: [...base.nodes, ['LpNormalization', ['logits'], ['unit'], { axis: 1, p: 2 }]],
};

describe('faithfulness of any target', () => {
  it('a class, and what tells it from others', async () => {
    const model = await modelOf('classes', base, { classes: ['ant', 'bee', 'cat', 'dog', 'eel'] });
    for (const typed of ['class:bee', 'contrast:dog:rivals=ant', 'top:2']) {
      const { value, report, explained } = await evaluated(model, parseTarget(typed));
      expect(report?.breakdowns?.[0].rows.map((row) => row.class)).toEqual([explained.name]);
      expect(value('averageDrop')?.every((drop) => drop !== undefined && drop >= 0 && drop <= 1)).toBe(true);
    }
  });

  it('a segment, an object and a likeness, with metrics that explain again', async () => {
    const models: [string, Target | undefined][] = [
      [await modelOf('segments', segmenter), undefined],
      [await modelOf('objects', detector), { kind: 'detection', layout: 'yolov8' }],
      [await modelOf('likeness', embedder), { kind: 'embedding', like: join(folder, 'other.png') }],
      [await modelOf('binary', classifier({ classes: 1, tail: 'sigmoid' })), undefined],
    ];
    for (const [model, target] of models) {
      const { value, failures, explained, report } = await evaluated(model, target, {
        metrics: ['all'],
        repeats: 2,
        perturbations: 5,
        percentiles: [50],
      });
      expect(failures).toEqual([]);
      expect(report?.breakdowns?.[0].rows.map((row) => row.class)).toEqual([explained.name]);
      for (const key of ['averageDrop', 'deletionAuc', 'roadMostFirst', 'infidelity', 'coherency', 'adcc'])
        for (const found of value(key) ?? [NaN]) expect(found, `${model} ${key}`).toBeGreaterThanOrEqual(0);
      // Where everything is kept, the confidence is the picture's own.
      const own = explained.probability ?? (1 + explained.score) / 2;
      const deletion = report?.charts?.find(({ key }) => key === 'deletion')?.lines[0];
      expect(deletion?.y[0]).toBeCloseTo(own, 5);
      expect(deletion?.y[2]).not.toBeCloseTo(own, 5);
    }
  });

  it('lists pictures that show nothing of it', async () => {
    const model = await modelOf('segments', segmenter);
    await using explainer = await Explainer.open(model, { backend: 'reference' });
    const [{ scores }] = await explainer.explain(picture, { targets: { kind: 'segmentation' } });
    const isAnswer = (c: number) =>
      [...Array(16).keys()].some((p) => [0, 1, 2, 3].every((d) => scores[16 * d + p] <= scores[16 * c + p]));
    const nowhere = [0, 1, 2, 3].find((c) => !isAnswer(c));
    expect(nowhere).toBeDefined();
    const { failures } = await evaluated(model, { kind: 'segmentation', class: nowhere });
    expect(failures).toMatchObject([{ error: expect.stringContaining('shows nothing of what is to be') }]);
  });

  it('refuses what has no probability and no bounds, and what is no target', async () => {
    const model = await modelOf('regression', classifier({ classes: 1 }));
    await expect(evaluated(model, { kind: 'regression' })).rejects.toThrow(
      'Evaluations compare probabilities, or values in 0 … 1; "value" (regression) has neither.',
    );
    await expect(evaluated(model, { kind: 'segmentations' } as never)).rejects.toThrow('"targets" must be');
    await expect(evaluated(model, undefined, { metrics: ['roed'] })).rejects.toThrow('Closest: "road"');
  });
});
