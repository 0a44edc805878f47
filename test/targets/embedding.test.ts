import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { Explainer } from '../../src/batch/explainer.js';
import { encodeNpy } from '../../src/image/npy.js';
import { floatConstant, int64Constant } from '../../src/onnx/constant.js';
import { type EmbeddingTarget, embeddingTarget } from '../../src/targets/embedding.js';
import { parseTarget } from '../../src/targets/index.js';
import type { Row, Tools } from '../../src/targets/target.js';
import { bytesFrom, classifier, type ShortGraph, type ShortNode, values } from '../support/network.js';
import { facts, holdsAgainstOracle, networkFacts, randomRow, seedIsDerivative } from './support.js';

holdsAgainstOracle((oracle) => ({
  name: 'embedding',
  layer: '/t/c/c.1/Relu_output_0',
  targets: [0, 1].map(() => [{ kind: 'embedding', to: `${oracle}embedding/reference.npy` }]),
}));

const tools = {} as Tools;
async function goalFor(to: EmbeddingTarget['to'], row: Row) {
  const ready = await embeddingTarget.prepare?.({ kind: 'embedding', to }, networkFacts(['N', 3]), tools);
  const { spec } = ready as { spec: EmbeddingTarget };
  return embeddingTarget.find(spec, row, facts())[0];
}

test('the cosine with a vector', async () => {
  const row = { dims: [3], data: Float32Array.of(3, 0, 4) };
  const goal = await goalFor([0, 0, 2], row);
  expect(goal).toMatchObject({ name: 'like a vector', kind: 'embedding' });
  expect(goal.value(row)).toBeCloseTo(0.8, 7);
  expect(goal.share?.(row)).toBeCloseTo(0.9, 7);
  expect(goal.probability).toBeUndefined();
  const expected = [(0 - 0.8 * (3 / 5)) / 5, 0, (1 - 0.8 * (4 / 5)) / 5];
  for (const [i, slope] of goal.seed(row).entries()) expect(slope).toBeCloseTo(expected[i], 7);
  const zero = { dims: [3], data: new Float32Array(3) };
  expect([goal.value(zero), ...goal.seed(zero)]).toEqual([0, 0, 0, 0]);
});

test('seeds are derivatives', async () => {
  const goal = await goalFor(randomRow(7, [12]).data, randomRow(8, [3, 4]));
  seedIsDerivative(() => [goal], [3, 4]);
});

test('mistakes are sentences', async () => {
  const row = randomRow(1, [3]);
  await expect(goalFor([1, 2], row)).rejects.toThrow(
    '"targets.to" must be a vector of 3 numbers, as the output has',
  );
  await expect(goalFor([0, 0, 0], row)).rejects.toThrow('"targets.to" must be an embedding that is not zero');
  const { check } = embeddingTarget;
  expect(() => check({ kind: 'embedding' })).toThrow(
    '"targets" must be "to", a vector or .npy file, or "like"',
  );
  expect(() => check({ kind: 'embedding', to: [1, Number.NaN] })).toThrow('a list of finite numbers');
  expect(() => parseTarget('embedding:b.jpg')).toThrow(
    '"target" must be embedding:like=PICTURE or embedding:to=FILE.npy',
  );
  expect(parseTarget('embedding:like=C:\\b.jpg')).toEqual({ kind: 'embedding', like: 'C:\\b.jpg' });
});

describe('networks', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gradcampp-embedding-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const base = classifier({ head: 'pool', classes: 6 });
  const embedder = (...tail: ShortNode[]): ShortGraph => ({
    ...base,
    outputs: ['unit'],
    nodes: [...base.nodes, ...tail],
    constants: {
      ...base.constants,
      axis: int64Constant([1]),
      two: floatConstant([2], []),
      tiny: floatConstant([1e-12], []),
    },
  });
  const image = (seed: number) =>
    ({ type: 'float32', dims: [3, 8, 8], data: values(seed, [3, 8, 8]) }) as const;
  const plain: ShortNode[] = [
    ['ReduceL2', ['logits', 'axis'], ['length'], { keepdims: 1 }],
    ['Div', ['logits', 'length'], ['unit']],
  ];

  test('likeness to another picture, and to a vector in a file', async () => {
    await using explainer = await Explainer.open(bytesFrom(embedder(...plain)), { backend: 'reference' });
    const [[one], [other]] = [await explainer.predict(image(1)), await explainer.predict(image(2))];
    const cosine = one.scores.reduce((sum, value, i) => sum + value * other.scores[i], 0);
    const path = join(folder, 'other.npy');
    writeFileSync(path, encodeNpy({ type: 'float32', dims: [6], data: other.scores }));
    const [{ targets }] = await explainer.explain(image(1), {
      targets: [
        { kind: 'embedding', like: image(2), name: 'the other' },
        { kind: 'embedding', to: path },
      ],
    });
    const [like, to] = targets.map(({ target }) => target);
    expect(like).toMatchObject({
      name: 'the other',
      kind: 'embedding',
      class: undefined,
      probability: undefined,
    });
    expect(to.name).toBe('like other.npy');
    expect(like.score).toBeCloseTo(cosine, 5);
    expect(to.score).toBeCloseTo(cosine, 5);
    expect(targets[0].map.data).toEqual(targets[1].map.data);
    expect(targets[0].map.empty).toBe(false);
  });

  const spelled: [string, ShortNode[]][] = [
    ['ReduceL2 and Div', plain],
    ['LpNormalization', [['LpNormalization', ['logits'], ['unit'], { axis: 1, p: 2 }]]],
    [
      'as torch.nn.functional.normalize',
      [
        ['ReduceL2', ['logits', 'axis'], ['length'], { keepdims: 1 }],
        ['Clip', ['length', 'tiny'], ['safe']],
        ['Shape', ['logits'], ['dims']],
        ['Expand', ['safe', 'dims'], ['wide']],
        ['Div', ['logits', 'wide'], ['unit']],
      ],
    ],
    [
      'spelled out',
      [
        ['Pow', ['logits', 'two'], ['squares']],
        ['ReduceSum', ['squares', 'axis'], ['sum'], { keepdims: 1 }],
        ['Add', ['sum', 'tiny'], ['more']],
        ['Sqrt', ['more'], ['length']],
        ['Div', ['logits', 'length'], ['unit']],
      ],
    ],
  ];
  test.each(spelled)('are no classifiers where the output has length 1: %s', async (_, tail) => {
    await using explainer = await Explainer.open(bytesFrom(embedder(...tail)), { backend: 'reference' });
    const sentence =
      'The output "unit" [N, 6] holds an embedding, a vector of length 1, and no scores of classes; compare it with another picture (--like FILE, target "embedding"), or name another output ("output")';
    await expect(explainer.explain(image(1))).rejects.toThrow(`${sentence}.`);
    await expect(explainer.explain(image(1), { targets: 2 })).rejects.toThrow(
      `${sentence}; received the target 2.`,
    );
    expect(await explainer.predict(image(1))).toMatchObject([{ probabilities: undefined }]);
  });

  test('are classifiers where it is divided by something else', async () => {
    const other: ShortNode[] = [
      ['ReduceL2', ['flat', 'axis'], ['length'], { keepdims: 1 }],
      ['Div', ['logits', 'length'], ['unit']],
    ];
    await using explainer = await Explainer.open(bytesFrom(embedder(...other)), { backend: 'reference' });
    expect((await explainer.explain(image(1)))[0].targets[0].target.kind).toBe('class');
  });
});
