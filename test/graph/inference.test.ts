import { describe, expect, test } from 'vitest';
import { differentiate } from '../../src/differentiate.js';
import { Explainer } from '../../src/batch/explainer.js';
import { float, type Plain } from '../../src/graph/attributes.js';
import type { Graph } from '../../src/graph/graph.js';
import { modelFile } from '../../src/graph/model-file.js';
import {
  boolConstant,
  type Constant,
  floatConstant,
  int64Constant,
  numbersOf,
} from '../../src/onnx/constant.js';
import { readModel } from '../../src/onnx/read.js';
import { DataType } from '../../src/onnx/types.js';
import { prepareGraph } from '../../src/runtime/prepare.js';
import { bytesFrom, classifier, graphFrom, type ShortNode, values } from '../support/network.js';
import { outputsOf } from './equal.js';

const number = (value: number) => floatConstant([value], []);
const constants: Record<string, Constant> = {
  rate: number(0.25),
  keep: number(0.75),
  one: number(1),
  zero: number(0),
  yes: boolConstant([true], []),
  no: boolConstant([false], []),
  scale: floatConstant([1, 2, 0.5, 1], [4]),
  bias: floatConstant([0, 1, -1, 0.5], [4]),
  mean: floatConstant([0.1, -0.2, 0.3, 0], [4]),
  variance: floatConstant([1, 0.25, 4, 1], [4]),
  rates: floatConstant([0.75, 0.75, 0.75, 0.75], [4]),
};
const dims = [3, 4];
const x = { type: 'float32' as const, dims, data: values(5, dims) };

function graph(
  nodes: readonly ShortNode[],
  outputs = ['y'],
  inputs: Record<string, readonly (string | number)[]> = { x: ['N', 4] },
): Graph {
  return graphFrom({ inputs, outputs, nodes, constants });
}

async function atInference(stored: Graph) {
  const ready = await prepareGraph(await readModel(modelFile(stored).toBytes()), [], { inference: true });
  const run = async () => [...((await outputsOf(ready, { x })).y.data as Float32Array)];
  return { ready, first: await run(), second: await run() };
}

const mask = (nodes: readonly ShortNode[]): ShortNode[] => [['Div', ['x', 'keep'], ['d']], ...nodes];
/** Each is x, once nothing is dropped or drawn. */
const identities: readonly [string, readonly ShortNode[], string][] = [
  ['Dropout', [['Dropout', ['x', 'rate', 'yes'], ['y']]], 'Dropout "node_y"'],
  [
    'Dropout whose mode is computed',
    [
      ['Not', ['no'], ['mode']],
      ['Dropout', ['x', 'rate', 'mode'], ['y']],
    ],
    'Dropout "node_y"',
  ],
  [
    'normal noise',
    [
      ['RandomNormalLike', ['x'], ['n']],
      ['Add', ['x', 'n'], ['y']],
    ],
    'RandomNormalLike "node_n"',
  ],
  [
    'normal noise of fixed dims',
    [
      ['RandomNormal', [], ['n'], { shape: [1, 4], scale: float(3) }],
      ['Add', ['x', 'n'], ['y']],
    ],
    'RandomNormal "node_n"',
  ],
  [
    'noise around 0',
    [
      ['RandomUniform', [], ['n'], { shape: [1, 4], low: float(-1) }],
      ['Add', ['x', 'n'], ['y']],
    ],
    'RandomUniform "node_n"',
  ],
  [
    'floor(keep + uniform)',
    mask([
      ['RandomUniformLike', ['x'], ['u']],
      ['Add', ['u', 'keep'], ['a']],
      ['Floor', ['a'], ['m']],
      ['Mul', ['d', 'm'], ['y']],
    ]),
    'RandomUniformLike "node_u"',
  ],
  [
    'uniform < keep',
    mask([
      ['RandomUniformLike', ['x'], ['u']],
      ['Less', ['u', 'keep'], ['b']],
      ['Cast', ['b'], ['m'], { to: 1 }],
      ['Mul', ['d', 'm'], ['y']],
    ]),
    'RandomUniformLike "node_u"',
  ],
  [
    'keep > uniform, chosen',
    mask([
      ['RandomUniformLike', ['x'], ['u']],
      ['Greater', ['keep', 'u'], ['b']],
      ['Where', ['b', 'd', 'zero'], ['y']],
    ]),
    'RandomUniformLike "node_u"',
  ],
  [
    'dropped where uniform < rate',
    mask([
      ['RandomUniformLike', ['x'], ['u']],
      ['Less', ['u', 'rate'], ['b']],
      ['Where', ['b', 'zero', 'd'], ['y']],
    ]),
    'RandomUniformLike "node_u"',
  ],
  [
    'not dropped where uniform < rate',
    mask([
      ['RandomUniformLike', ['x'], ['u']],
      ['Less', ['u', 'rate'], ['b']],
      ['Not', ['b'], ['k']],
      ['Cast', ['k'], ['m'], { to: 1 }],
      ['Mul', ['d', 'm'], ['y']],
    ]),
    'RandomUniformLike "node_u"',
  ],
  [
    'Bernoulli',
    mask([
      ['Bernoulli', ['rates'], ['m']],
      ['Mul', ['d', 'm'], ['y']],
    ]),
    'Bernoulli "node_m"',
  ],
  [
    'Bernoulli of whole numbers',
    mask([
      ['Bernoulli', ['rates'], ['b'], { dtype: 9 }],
      ['Cast', ['b'], ['m'], { to: 1 }],
      ['Mul', ['d', 'm'], ['y']],
    ]),
    'Bernoulli "node_b"',
  ],
];

describe('a model in training mode, at inference', () => {
  test.each(identities)('%s lets everything pass, every time', async (_, nodes, name) => {
    const { ready, first, second } = await atInference(graph(nodes));
    first.forEach((value, i) => expect(value).toBeCloseTo(x.data[i], 5));
    expect(second).toEqual(first);
    expect(ready.notes).toEqual([
      `The model was exported in training mode (${name}): it is run as at inference, where nothing is dropped or drawn and batch normalisation takes its stored statistics.`,
    ]);
  });

  test.each([
    [15, { training_mode: 1 }, ['y', 'm', 'v']],
    [13, {}, ['y', 'm', 'v', 'sm', 'sv']],
  ] as const)(
    'batch normalisation of operator set %i takes stored statistics, and returns them',
    async (opset, attributes, outputs) => {
      const nodes: ShortNode[] = [
        ['BatchNormalization', ['x', 'scale', 'bias', 'mean', 'variance'], outputs, attributes],
      ];
      const { ready, first } = await atInference({ ...graph(nodes, ['y', 'm', 'v']), opset });
      const stored = (name: string) => new Float32Array(constants[name].bytes.slice().buffer);
      first.forEach((value, i) => {
        const k = i % 4;
        const normal = (x.data[i] - stored('mean')[k]) / Math.sqrt(stored('variance')[k] + 1e-5);
        expect(value).toBeCloseTo(normal * stored('scale')[k] + stored('bias')[k], 5);
      });
      const results = await outputsOf(ready, { x });
      expect([...(results.m.data as Float32Array)]).toEqual([...stored('mean')]);
      expect([...(results.v.data as Float32Array)]).toEqual([...stored('variance')]);
    },
  );

  test('Multinomial is the most probable class', async () => {
    const nodes: ShortNode[] = [
      ['Multinomial', ['x'], ['i'], { dtype: 7 }],
      ['Cast', ['i'], ['y'], { to: 1 }],
    ];
    const { first } = await atInference(graph(nodes));
    const rows = [0, 1, 2].map((n) => Array.from(x.data.slice(4 * n, 4 * n + 4)));
    expect(first).toEqual(rows.map((row) => row.indexOf(Math.max(...row))));
  });

  test('in graphs inside nodes too, and all are counted', async () => {
    const body: Graph = {
      ...graph([['Dropout', ['x', 'rate', 'yes'], ['in']]], ['in'], {}),
      constants: new Map(),
    };
    const branch: Plain = { kind: 'graph', value: body };
    const nodes: ShortNode[] = [
      ['Dropout', ['x', 'rate', 'yes'], ['d']],
      ['ReduceSum', ['d'], ['s'], { keepdims: 0 }],
      ['Cast', ['s'], ['c'], { to: 9 }],
      ['If', ['c'], ['y'], { then_branch: branch, else_branch: branch }],
    ];
    const { ready, first, second } = await atInference(graph(nodes));
    expect(first).toEqual([...x.data]);
    expect(second).toEqual(first);
    expect(ready.notes?.[0]).toContain('(Dropout "node_d" and 2 more)');
  });

  test('what is at inference already stays, without a note', async () => {
    const nodes: ShortNode[] = [
      ['Dropout', ['x', 'rate', 'no'], ['d']],
      ['Dropout', ['d', 'rate'], ['y']],
    ];
    const { ready, first } = await atInference(graph(nodes));
    expect(first).toEqual([...x.data]);
    expect(ready.notes).toBeUndefined();
  });
});

test('an explainer says so and gives one answer; differentiate keeps training and says so', async () => {
  const base = classifier({ head: 'pool' });
  const bytes = bytesFrom({
    ...base,
    nodes: [
      ...base.nodes.slice(0, 6),
      ['Dropout', ['flat', 'rate', 'yes'], ['dropped']],
      ['Gemm', ['dropped', 'w3', 'b3'], ['logits'], { transB: 1 }],
    ],
    constants: { ...base.constants, rate: constants.rate, yes: constants.yes },
  });
  await using explainer = await Explainer.open(bytes, { backend: 'reference' });
  expect(explainer.notes.filter((note) => note.includes('training mode'))).toHaveLength(1);
  const image = { type: 'float32' as const, dims: [1, 3, 8, 8], data: values(3, [1, 3, 8, 8]) };
  const [[one], [other]] = [await explainer.explain(image), await explainer.explain(image)];
  expect(one.scores).toEqual(other.scores);
  const { notes, graph: made } = await differentiate(bytes, { of: 'logits', wrt: 'relu2' });
  expect(notes).toEqual([
    'The model is in training mode (Dropout "node_dropped"): its outputs and gradients differ from run to run, or depend on the batch.',
  ]);
  expect(made.nodes.find(({ opType }) => opType === 'Dropout')?.inputs).toHaveLength(3);
  expect(made.inputs.map(({ type }) => type)).toEqual([DataType.FLOAT, DataType.FLOAT]);
});

test('weights that are standardised by batch normalisation stay so, whatever its stored statistics', async () => {
  const base = classifier({ head: 'pool' });
  const { w1 } = base.constants as Record<string, Constant>;
  const [channels, ...rest] = w1.dims;
  const size = rest.reduce((a, b) => a * b);
  const weights = numbersOf(w1);
  const standardized = weights.map((value, i) => {
    const row = weights.slice(i - (i % size), i - (i % size) + size);
    const mean = row.reduce((a, b) => a + b) / size;
    return (value - mean) / Math.sqrt(row.reduce((sum, w) => sum + (w - mean) ** 2, 0) / size + 1e-5);
  });
  const inside = {
    ...base,
    nodes: [
      ['Reshape', ['w1', 'rows'], ['in rows']],
      [
        'BatchNormalization',
        ['in rows', 'ones', 'zeros', 'zeros', 'ones'],
        ['normal', 'm', 'v'],
        { training_mode: 1 },
      ],
      ['Reshape', ['normal', 'own'], ['standard']],
      ...base.nodes.map(
        ([type, from, ...more]): ShortNode => [
          type,
          from.map((name) => (name === 'w1' ? 'standard' : name)),
          ...more,
        ],
      ),
    ] as ShortNode[],
    constants: {
      ...base.constants,
      ones: floatConstant(new Float32Array(channels).fill(1), [channels]),
      zeros: floatConstant(new Float32Array(channels), [channels]),
      rows: int64Constant([1, channels, size]),
      own: int64Constant(w1.dims),
    },
  };
  const byHand = { ...base, constants: { ...base.constants, w1: floatConstant(standardized, w1.dims) } };
  const image = { type: 'float32', dims: [3, 8, 8], data: values(1, [3, 8, 8]) } as const;
  const found: Float32Array[] = [];
  for (const graph of [inside, byHand]) {
    await using explainer = await Explainer.open(bytesFrom(graph), {
      backend: 'reference',
      preprocess: { input: { size: [8, 8] } },
    });
    const [{ scores, targets }] = await explainer.explain([image]);
    expect(explainer.notes.filter((note) => note.includes('training mode'))).toEqual([]);
    found.push(Float32Array.from([...scores, ...targets[0].map.data]));
  }
  found[0].forEach((value, i) => expect(value).toBeCloseTo(found[1][i], 4));
});
