import { afterAll, describe, expect, test } from 'vitest';
import { Explainer } from '../../src/explain/explainer.js';
import type { ExplainOptions } from '../../src/explain/options.js';
import { floatConstant, int64Constant } from '../../src/onnx/constant.js';
import type { Tensor } from '../../src/tensor.js';
import {
  bytesFrom,
  classifier,
  type ShortGraph,
  type ShortNode,
  values,
  weights,
} from '../support/network.js';

const opened: Explainer[] = [];
afterAll(() => Promise.all(opened.map((explainer) => explainer.close())));

const pooled: ShortNode[] = [
  ['GlobalAveragePool', ['relu'], ['pooled']],
  ['Flatten', ['pooled'], ['logits']],
];

/** One channel a class, and what is between it and the scores. */
function network(tail: readonly ShortNode[] = pooled, more: Partial<ShortGraph> = {}): ShortGraph {
  return {
    inputs: { image: ['N', 3, 8, 8] },
    outputs: ['logits'],
    nodes: [
      ['Conv', ['image', 'w', 'b'], ['conv'], { pads: [1, 1, 1, 1] }],
      ['Relu', ['conv'], ['relu']],
      ...tail,
    ],
    ...more,
    constants: { w: weights(1, [5, 3, 3, 3]), b: weights(2, [5], 0.3), ...more.constants },
  };
}

async function open(graph: ShortGraph): Promise<Explainer> {
  const explainer = await Explainer.open(bytesFrom(graph), { backend: 'reference', layer: 'relu' });
  opened.push(explainer);
  return explainer;
}

const bestOf = ({ network: net, layers, scores }: Explainer) => net.bestChannel(layers, scores);

/** Each with another colour, so that other classes are best. */
const images = (count: number): Tensor<'float32'>[] =>
  Array.from({ length: count }, (_, i) => ({
    type: 'float32',
    dims: [3, 8, 8],
    data: values(i, [3, 8, 8]).map((value, at) => value + 2 * Math.sin(i + 2 * Math.floor(at / 64))),
  }));

const axes = { axes: int64Constant([-1, 2]) };
const heads: Record<string, ShortGraph> = {
  'global average pooling and Flatten': network(),
  'ReduceMean without its axes, and softmax': network(
    [
      ['ReduceMean', ['relu', 'axes'], ['logits'], { keepdims: 0 }],
      ['Softmax', ['logits'], ['probabilities'], { axis: -1 }],
    ],
    { outputs: ['probabilities'], constants: axes },
  ),
  'scores [N, 5, 1, 1]': network([['GlobalAveragePool', ['relu'], ['logits']]]),
  'Reshape, two pictures at once': network([pooled[0], ['Reshape', ['pooled', 'shape'], ['logits']]], {
    inputs: { image: [2, 3, 8, 8] },
    constants: { shape: int64Constant([-1, 5]) },
  }),
};
const settings: Record<string, ExplainOptions> = {
  'the defaults': {},
  'every other method': {
    method: ['grad-cam', 'cam', 'xgrad-cam', 'hires-cam', 'layer-cam', 'guided-grad-cam++'],
  },
  'normalised α': { alphaNormalization: true },
  'gradients of both signs': { gradientRelu: false },
  'the softmax form': { form: 'softmax' },
  'pictures in one pass': { batchSize: 3 },
};

describe.each(Object.entries(heads))('%s', (_, graph) => {
  test.each(Object.entries(settings))(
    'the best class is explained as the class is: %s',
    async (__, options) => {
      const explainer = await open(graph);
      const list = images(6);
      const best = await explainer.explain(list, options);
      const classes = best.map(({ targets: [{ target }] }) => target.class as number);
      expect(new Set(classes).size).toBeGreaterThan(1);
      expect(await explainer.explain(list, { ...options, targetsPerImage: classes })).toEqual(best);
    },
  );

  test('one channel leaves the session', async () => {
    const differentiator = await bestOf(await open(graph));
    const forward = await differentiator?.forward({
      type: 'float32',
      dims: [2, 3, 8, 8],
      data: values(1, [2, 3, 8, 8]),
    });
    expect(forward?.dims).toEqual([[2, 1, 8, 8]]);
    expect(forward?.activations[0].length).toBe(2 * 8 * 8);
    expect(Object.keys(forward?.results ?? {}).length).toBe(2);
  });
});

test('of equal scores the first, as elsewhere', async () => {
  const alike = {
    w: floatConstant(
      Array.from({ length: 5 * 27 }, () => 0.1),
      [5, 3, 3, 3],
    ),
    b: floatConstant([0, 1, 1, 1, 0], [5]),
  };
  const explainer = await open(network(pooled, { constants: alike }));
  const [picture] = images(1);
  const [best] = await explainer.explain([picture]);
  expect(best.targets[0].target.class).toBe(1);
  expect(await explainer.explain([picture], { targets: 1 })).toEqual([best]);
});

describe('other networks get all channels', () => {
  test.each<[string, ShortGraph]>([
    [
      'a linear layer behind the pooling',
      { ...classifier({ head: 'pool' }), nodes: renamed(classifier({ head: 'pool' })) },
    ],
    ['the largest instead of the mean', network([['GlobalMaxPool', ['relu'], ['pooled']], pooled[1]])],
    [
      'the mean over one axis',
      network(
        [
          ['ReduceMean', ['relu', 'axis'], ['rows'], { keepdims: 0 }],
          ['Flatten', ['rows'], ['logits']],
        ],
        { constants: { axis: int64Constant([3]) } },
      ),
    ],
    [
      'scores that are scaled',
      network([pooled[0], ['Flatten', ['pooled'], ['flat']], ['Mul', ['flat', 'two'], ['logits']]], {
        constants: { two: floatConstant([2], [1]) },
      }),
    ],
  ])('%s', async (_, graph) => {
    expect(await bestOf(await open(graph))).toBeUndefined();
  });

  test('a layer before the last', async () => {
    const { network: net, scores } = await open(network());
    expect(await net.bestChannel(['conv'], scores)).toBeUndefined();
    expect(await net.bestChannel(['conv', 'relu'], scores)).toBeUndefined();
  });
});

/** With its last activation called as in the others. */
function renamed({ nodes }: ShortGraph): ShortNode[] {
  const name = (value: string) => (value === 'relu2' ? 'relu' : value);
  return nodes.map(([op, from, to, attributes]) => [op, from.map(name), to.map(name), attributes]);
}
