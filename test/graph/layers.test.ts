import { describe, expect, test } from 'vitest';
import {
  attentionIn,
  automaticLayer,
  candidateLayers,
  type Layer,
  namedLayer,
} from '../../src/graph/layers.js';
import { findScores } from '../../src/graph/scores.js';
import type { TokenGrid } from '../../src/graph/tokens.js';
import { floatConstant, int64Constant } from '../../src/onnx/constant.js';
import { DataType } from '../../src/onnx/types.js';
import { graphFrom, type ShortGraph, type ShortNode, weights } from '../support/network.js';
import { transformer, type TransformerOptions } from '../support/transformer.js';
import { prepared } from './equal.js';

/** Layers of a network on [N, 3, 16, 16], best first, and the automatic one. */
async function layersOf(
  nodes: readonly ShortNode[],
  constants: ShortGraph['constants'],
  image: readonly (number | string)[] = ['N', 3, 16, 16],
) {
  const outputs = [nodes[nodes.length - 1][2][0]];
  const graph = await prepared(graphFrom({ inputs: { image }, outputs, nodes, constants }));
  const scores = findScores(graph).info.name;
  const layers = candidateLayers({ graph, image: 'image', scores });
  const named = (name: string) => layers.find((layer) => layer.name === name) as Layer;
  return { layers, named, automatic: () => automaticLayer({ graph, image: 'image', scores }) };
}

const conv = (from: string, weight: string, to: string, attributes = {}): ShortNode => [
  'Conv',
  [from, weight],
  [to],
  { pads: [1, 1, 1, 1], ...attributes },
];
const half = { strides: [2, 2] };
const w = (count: number, channels: number) => weights(count + channels, [count, channels, 3, 3]);
const relu = (from: string, to: string): ShortNode => ['Relu', [from], [to]];

describe('a layer whose channels are the classes', () => {
  const trunk = [conv('image', 'a', 'c1'), relu('c1', 'r1'), conv('r1', 'b', 'c2', half), relu('c2', 'r2')];
  const constants = { a: w(6, 3), b: w(8, 6), last: w(5, 8), own: w(5, 3) };

  test('as in SqueezeNet: the Concat before it is chosen, and it is marked', async () => {
    const { layers, named, automatic } = await layersOf(
      [
        ...trunk,
        conv('r1', 'b', 'c3', half),
        relu('c3', 'r3'),
        ['Concat', ['r2', 'r3'], ['joined'], { axis: 1 }],
        ['Dropout', ['joined'], ['dropped']],
        conv('dropped', 'wide', 'final'),
        relu('final', 'relu_final'),
        ['GlobalAveragePool', ['relu_final'], ['pooled']],
        ['Flatten', ['pooled'], ['logits']],
        ['Softmax', ['logits'], ['probabilities'], { axis: 1 }],
      ],
      { ...constants, wide: w(5, 16) },
    );
    expect(automatic().name).toBe('joined');
    expect(layers.filter(({ isClassMap }) => isClassMap).map(({ name }) => name)).toEqual([
      'relu_final',
      'final',
    ]);
    expect(named('final').activation).toBe('relu_final');
  });

  test('as in Network in Network, behind other ways of pooling, scaling and dropping', async () => {
    const tails: readonly ShortNode[][] = [
      [['ReduceMean', ['final', 'places'], ['scores'], { keepdims: 0 }]],
      [
        relu('final', 'r'),
        ['AveragePool', ['r'], ['p'], { kernel_shape: [8, 8] }],
        ['Reshape', ['p', 'flat'], ['scores']],
      ],
      [
        ['Mul', ['final', 'two'], ['scaled']],
        ['GlobalMaxPool', ['scaled'], ['p']],
        ['Squeeze', ['p', 'places'], ['scores']],
      ],
      [
        ['Sigmoid', ['final'], ['gate']],
        ['Mul', ['final', 'gate'], ['swish']],
        ['ReduceSum', ['swish', 'places'], ['scores'], { keepdims: 0 }],
      ],
    ];
    const more = {
      places: int64Constant([2, 3]),
      flat: int64Constant([0, 5]),
      two: floatConstant([2], []),
    };
    for (const tail of tails) {
      const { named, automatic } = await layersOf([...trunk, conv('r2', 'last', 'final'), ...tail], {
        ...constants,
        ...more,
      });
      expect(automatic().name).toBe('r2');
      expect([named('final').isClassMap, named('r2').isClassMap]).toEqual([true, false]);
    }
  });

  test('is chosen where there is no other', async () => {
    const { automatic } = await layersOf(
      [
        ['Sub', ['image', 'mean'], ['centred']],
        conv('centred', 'own', 'final'),
        ['GlobalAveragePool', ['final'], ['pooled']],
        ['Flatten', ['pooled'], ['scores']],
      ],
      { ...constants, mean: floatConstant([0.5, 0.4, 0.3], [1, 3, 1, 1]) },
    );
    expect(automatic()).toMatchObject({ name: 'final', isClassMap: true });
  });

  test('is none where classes are mixed behind it, though there are as many channels', async () => {
    const { named, automatic } = await layersOf(
      [
        ...trunk,
        conv('r2', 'last', 'final'),
        relu('final', 'relu_final'),
        ['GlobalAveragePool', ['relu_final'], ['pooled']],
        ['Flatten', ['pooled'], ['flat']],
        ['Gemm', ['flat', 'mix'], ['scores']],
      ],
      { ...constants, mix: weights(9, [5, 5]) },
    );
    expect(automatic().name).toBe('relu_final');
    expect(named('relu_final').isClassMap).toBe(false);
  });

  test('of a segmentation is no choice either', async () => {
    const { named, automatic } = await layersOf(
      [
        ...trunk,
        conv('r2', 'last', 'final'),
        ['Resize', ['final', '', 'scales'], ['large'], { mode: 'linear' }],
      ],
      { ...constants, scales: floatConstant([1, 1, 2, 2], [4]) },
    );
    expect(automatic().name).toBe('r2');
    expect(named('final').isClassMap).toBe(true);
  });
});

describe('activations in the stem alone', () => {
  /** x + conv(relu(conv(x))) */
  const residual = (from: string, to: string): ShortNode[] => [
    conv(from, 'b', `${to}/in`),
    relu(`${to}/in`, `${to}/relu`),
    conv(`${to}/relu`, 'b', `${to}/out`),
    ['Add', [from, `${to}/out`], [to]],
  ];
  const stem = [conv('image', 'a', 'c1', half), relu('c1', 'stem'), conv('stem', 'b', 'embedded', half)];
  const constants = { a: w(8, 3), b: w(8, 8), head: weights(4, [5, 8]) };
  const head: ShortNode[] = [
    ['GlobalAveragePool', ['end'], ['pooled']],
    ['Flatten', ['pooled'], ['flat']],
    ['Gemm', ['flat', 'head'], ['scores'], { transB: 1 }],
  ];

  test('as in Visformer: the last value that nothing bypasses', async () => {
    const { automatic } = await layersOf(
      [...stem, ...residual('embedded', 's1'), ...residual('s1', 's2'), ...residual('s2', 'end'), ...head],
      constants,
    );
    expect(automatic()).toMatchObject({ name: 'end', opType: 'Add', isCut: true });
    expect(automatic().isEarly).toBeUndefined();
    expect(automatic().activation).toBeUndefined();
  });

  test('as in EfficientFormer: the last one, though it is of tokens', async () => {
    const { automatic } = await layersOf(
      [
        ...stem,
        ...residual('embedded', 's1'),
        ...residual('s1', 's2'),
        ['Reshape', ['s2', 'rows'], ['rows_first']],
        ['Transpose', ['rows_first'], ['tokens'], { perm: [0, 2, 1] }],
        ['MatMul', ['tokens', 'square'], ['mixed']],
        ['Add', ['tokens', 'mixed'], ['end']],
        ['ReduceMean', ['end', 'one'], ['flat'], { keepdims: 0 }],
        ['Gemm', ['flat', 'head'], ['scores'], { transB: 1 }],
      ],
      {
        ...constants,
        rows: int64Constant([0, 8, -1]),
        square: weights(5, [8, 8]),
        one: int64Constant([1]),
      },
    );
    expect(automatic()).toMatchObject({ name: 'end', dims: ['N', 8, 4, 4], shape: ['N', 16, 8] });
  });

  test('where paths part early, which is said', async () => {
    const { automatic } = await layersOf(
      [
        ...stem,
        ...residual('embedded', 's1'),
        ...['left', 'right'].flatMap((side) => [conv('s1', 'b', `${side}1`), conv(`${side}1`, 'b', side)]),
        ...['left', 'right'].flatMap((side) => [
          conv(side, 'b', `${side}3`),
          conv(`${side}3`, 'b', `${side}4`),
        ]),
        ['GlobalAveragePool', ['left4'], ['leftPooled']],
        ['GlobalMaxPool', ['right4'], ['rightPooled']],
        ['Add', ['leftPooled', 'rightPooled'], ['both']],
        ['Flatten', ['both'], ['flat']],
        ['Gemm', ['flat', 'head'], ['scores'], { transB: 1 }],
      ],
      constants,
    );
    expect(automatic()).toMatchObject({ name: 's1', isEarly: true });
  });

  test('not so where the activation is in the second half, or behind the last stage', async () => {
    const late = await layersOf(
      [...stem, ...residual('embedded', 's1'), relu('s1', 'bent'), conv('bent', 'b', 'end'), ...head],
      constants,
    );
    expect(late.automatic().name).toBe('bent');
    const last = await layersOf(
      [...stem, ...residual('embedded', 's1'), ...residual('s1', 's2'), relu('s2', 'end'), ...head],
      constants,
    );
    expect(last.automatic().name).toBe('end');
    expect(last.named('s2').activation).toBe('end');
  });
});

describe('what is no choice', () => {
  test('the picture itself, whatever was done to it', async () => {
    const { automatic, layers } = await layersOf(
      [
        ['Abs', ['image'], ['positive']],
        ['Mul', ['positive', 'positive'], ['square']],
        ['Sigmoid', ['square'], ['bent']],
        conv('bent', 'a', 'c1'),
        ['GlobalAveragePool', ['c1'], ['pooled']],
        ['Flatten', ['pooled'], ['flat']],
        ['Gemm', ['flat', 'head'], ['scores'], { transB: 1 }],
      ],
      { a: w(8, 3), head: weights(4, [5, 8]) },
    );
    expect(automatic().name).toBe('c1');
    expect(layers.map(({ name }) => name)).toContain('bent');
  });

  test('values of which it cannot be told where they lie, and attention between them', async () => {
    const nodes: ShortNode[] = [
      ['Reshape', ['image', 'heads'], ['keys']],
      ['MatMul', ['keys', 'narrow'], ['tokens']],
      ['Transpose', ['tokens'], ['turned'], { perm: [0, 1, 3, 2] }],
      ['MatMul', ['tokens', 'turned'], ['products']],
      ['Softmax', ['products'], ['attention'], { axis: -1 }],
      ['MatMul', ['attention', 'tokens'], ['mixed']],
      ['ReduceMean', ['mixed', 'two'], ['flat'], { keepdims: 0 }],
      ['Flatten', ['flat'], ['row']],
      ['Gemm', ['row', 'head'], ['scores'], { transB: 1 }],
    ];
    const { layers, automatic } = await layersOf(nodes, {
      heads: int64Constant([0, 2, 24, 16]),
      narrow: weights(3, [16, 8]),
      two: int64Constant([2]),
      head: weights(4, [5, 16]),
    });
    expect(layers).toEqual([]);
    expect(automatic).toThrow(
      'can be chosen automatically. Name one with "layer", or take a method that needs none.',
    );
  });
});

describe('transformers', () => {
  const choice = async (options: TransformerOptions) => {
    const graph = await prepared(graphFrom(transformer(options)));
    const search = { graph, image: 'image', scores: findScores(graph).info.name };
    return { search, layer: automaticLayer(search), named: (name: string) => namedLayer(name, search) };
  };

  test.each([
    { prefix: 1 },
    { prefix: 1, isFused: false },
    { prefix: 5, suffix: 4 },
    { prefix: 0 },
    { prefix: 0, isFused: false },
  ])('the first normalisation of the last block: %o', async (options) => {
    const { layer } = await choice({ ...options, blocks: 3 });
    expect(layer).toMatchObject({ name: 'b2/norm1', dims: ['N', 8, 2, 3], isRead: true });
    const { prefix, suffix = 0 } = options;
    expect(layer.layout).toMatchObject({ prefix, suffix, grid: [2, 3] });
  });

  test('behind the last attention the patches are not read where the class token is', async () => {
    const { named } = await choice({ prefix: 1 });
    const read = ['x0', 'b0', 'b1/norm1', 'b1/qkv', 'b1/middle', 'b1/hidden', 'b1', 'norm'].filter(
      (name) => named(name).isRead,
    );
    expect(read).toEqual(['x0', 'b0', 'b1/norm1', 'b1/qkv']);
    const mean = await choice({ prefix: 0 });
    expect(mean.named('norm').isRead).toBe(true);
  });

  /** The small transformer with other nodes before its attention is used. */
  const mixing = (nodes: (attention: string) => ShortNode[], constants: ShortGraph['constants']) => {
    const graph = transformer();
    const written = graph.nodes.flatMap((node): ShortNode[] => {
      const [opType, inputs, outputs, attributes] = node;
      const [name, values] = inputs;
      if (!outputs[0].endsWith('/mixed')) return [node];
      return [...nodes(name), [opType, [`${name}/heads`, values], outputs, attributes]];
    });
    return { ...graph, nodes: written, constants: { ...graph.constants, ...constants } };
  };

  test.each([
    mixing((name) => [['Conv', [name, 'mix'], [`${name}/heads`]]], { mix: weights(3, [2, 2, 1, 1]) }),
    mixing(
      (name) => [
        ['Transpose', [name], [`${name}/last`], { perm: [0, 2, 3, 1] }],
        ['MatMul', [`${name}/last`, 'mix'], [`${name}/talk`]],
        ['Transpose', [`${name}/talk`], [`${name}/heads`], { perm: [0, 3, 1, 2] }],
      ],
      { mix: weights(3, [2, 2]) },
    ),
  ])('attention whose heads are mixed behind the softmax', async (short) => {
    const graph = await prepared(graphFrom(short));
    const search = { graph, image: 'image', scores: findScores(graph).info.name };
    expect(attentionIn(search)).toEqual(
      [0, 1].map((i) => ({ name: `b${i}/attention`, tokens: `b${i}/norm1`, isSelf: true })),
    );
    expect(automaticLayer(search).name).toBe('b1/norm1');
  });

  test('behind a convolutional network with more layers than the transformer has', async () => {
    const { nodes, constants, ...rest } = transformer();
    const [[, , embedded, attributes], ...others] = nodes;
    const trunk = Array.from({ length: 12 }, (_, i): ShortNode[] => [
      ['Conv', [i === 0 ? 'image' : `act${i - 1}`, 'same'], [`conv${i}`], { pads: [1, 1, 1, 1] }],
      ['Relu', [`conv${i}`], [`act${i}`]],
    ]);
    const graph = await prepared(
      graphFrom({
        ...rest,
        nodes: [...trunk.flat(), ['Conv', ['act11', 'patch'], embedded, attributes], ...others],
        constants: { ...constants, same: weights(9, [3, 3, 3, 3]) },
      }),
    );
    const search = { graph, image: 'image', scores: findScores(graph).info.name };
    expect(automaticLayer(search)).toMatchObject({ name: 'b1/norm1', dims: ['N', 8, 2, 3] });
  });

  test('before a coarser stage, that stage is chosen', async () => {
    const { nodes, constants, ...rest } = transformer({ prefix: 0 });
    const graph = await prepared(
      graphFrom({
        ...rest,
        nodes: [
          ...nodes.slice(0, -2),
          ['Transpose', ['norm'], ['turned'], { perm: [0, 2, 1] }],
          ['Reshape', ['turned', 'picture'], ['fine']],
          ['Conv', ['fine', 'down'], ['coarse'], { strides: [1, 3] }],
          ['GlobalAveragePool', ['coarse'], ['pooled']],
          ['Flatten', ['pooled'], ['row']],
          ['MatMul', ['row', 'head'], ['logits']],
        ],
        constants: { ...constants, picture: int64Constant([0, 8, 2, 3]), down: weights(9, [8, 8, 1, 3]) },
      }),
    );
    const search = { graph, image: 'image', scores: findScores(graph).info.name };
    expect(automaticLayer(search)).toMatchObject({ name: 'coarse', dims: ['N', 8, 2, 1] });
  });

  test('attention is found apart, and named as a layer refused', async () => {
    const { search, named } = await choice({ prefix: 1 });
    expect(attentionIn(search)).toEqual(
      [0, 1].map((i) => ({ name: `b${i}/attention`, tokens: `b${i}/norm1`, isSelf: true })),
    );
    expect(candidateLayers(search).map(({ name }) => name)).not.toContain('b1/attention');
    expect(() => named('b1/attention')).toThrow(
      'Layer "b1/attention" has dims [N, 2, 7, 7]: it is attention between tokens, not a picture; method attention-rollout shows it.',
    );
    expect(() => named('b1/k')).toThrow(
      'Layer "b1/k" has dims [N, 2, 7, 4], which are not those of a picture, [N, K, h, w], [N, h, w, K] or [N, tokens, K].',
    );
  });
});

test('one channel is no choice either', async () => {
  const { automatic, named } = await layersOf(
    [
      conv('image', 'a', 'c1'),
      relu('c1', 'r1'),
      conv('r1', 'single', 'c2'),
      ['Sigmoid', ['c2'], ['heat']],
      ['Flatten', ['heat'], ['row']],
      ['Gemm', ['row', 'head'], ['scores'], { transB: 1 }],
    ],
    { a: w(6, 3), single: w(1, 6), head: weights(4, [5, 256]) },
  );
  expect(automatic().name).toBe('r1');
  expect([named('heat').isClassMap, named('r1').isClassMap]).toEqual([true, false]);
});

test('a quantised value that cannot lie below 0 is an activation, though its Relu is gone', async () => {
  const zeroPoint = (value: number) => ({ type: DataType.UINT8, dims: [], bytes: Uint8Array.of(value) });
  const quantised = (from: string, to: string, zero: string): ShortNode[] => [
    ['QuantizeLinear', [from, 'step', zero], [`${to}/q`]],
    ['DequantizeLinear', [`${to}/q`, 'step', zero], [to]],
  ];
  const { automatic, named } = await layersOf(
    [
      ...quantised('image', 'input', 'middle'),
      conv('input', 'a', 'c1'),
      ...quantised('c1', 'd1', 'bottom'),
      conv('d1', 'b', 'c2'),
      ...quantised('c2', 'd2', 'bottom'),
      conv('d2', 'b2', 'c3'),
      ...quantised('c3', 'd3', 'middle'),
      ['GlobalAveragePool', ['d3'], ['pooled']],
      ['Flatten', ['pooled'], ['flat']],
      ['Gemm', ['flat', 'head'], ['scores'], { transB: 1 }],
    ],
    {
      a: w(6, 3),
      b: w(8, 6),
      b2: w(8, 8),
      head: weights(4, [5, 8]),
      step: floatConstant([0.02], []),
      bottom: zeroPoint(0),
      middle: zeroPoint(128),
    },
  );
  expect(automatic().name).toBe('d2');
  expect(['d1', 'd2', 'd3'].map((name) => named(name).isActivation)).toEqual([true, true, false]);
});

test('of a model that ONNX Runtime optimised for one kind of processor, what to do is said', async () => {
  const graph = graphFrom({
    inputs: { image: ['N', 3, 8, 8] },
    outputs: ['scores'],
    nodes: [
      ['ReorderInput', ['image'], ['blocks']],
      ['ReorderOutput', ['blocks'], ['picture'], { channels: 3 }],
      ['GlobalAveragePool', ['picture'], ['pooled']],
      ['Flatten', ['pooled'], ['scores']],
    ],
  });
  const own = (opType: string) => (opType.startsWith('Reorder') ? 'com.microsoft.nchwc' : '');
  const nodes = graph.nodes.map((node) => ({ ...node, domain: own(node.opType) }));
  expect(() => automaticLayer({ graph: { ...graph, nodes }, image: 'image', scores: 'scores' })).toThrow(
    /optimised the model for one kind of processor.*explain the model as it was before/,
  );
});

describe('tokens whose grid the model does not tell', () => {
  /** Patches picked by indices, as im2col is exported. */
  const picked = async (shape: number[], tokens?: TokenGrid) => {
    const graph = await prepared(
      graphFrom({
        inputs: { image: ['N', 3, 8, 12] },
        outputs: ['scores'],
        nodes: [
          ['Pad', ['image', 'none'], ['padded']],
          ['Reshape', ['padded', 'line'], ['pixels']],
          ['Gather', ['pixels', 'indices'], ['picked'], { axis: 1 }],
          ['Reshape', ['picked', 'shape'], ['shaped']],
          ['MatMul', ['shaped', 'embed'], ['tokens']],
          ['Tanh', ['tokens'], ['bent']],
          ['Reshape', ['bent', 'flat'], ['row']],
          ['MatMul', ['row', 'head'], ['scores']],
        ],
        constants: {
          line: int64Constant([0, -1]),
          none: int64Constant([0, 0, 1, 1, 0, 0, 1, 1]),
          indices: int64Constant(Array.from({ length: 84 }, (_, i) => (i * 37) % 420)),
          shape: int64Constant([0, ...shape]),
          embed: weights(1, [shape.at(-1) as number, 8]),
          flat: int64Constant([0, -1]),
          head: weights(2, [(84 / (shape.at(-1) as number)) * 8, 5]),
        },
      }),
    );
    return { graph, image: 'image', scores: 'scores', tokens };
  };

  test('is asked for, with an example', async () => {
    const search = await picked([7, 12]);
    const asked =
      'of "bent" [N, 7, 8] lie in the picture cannot be told from the model. Say it with "tokens": height x width of the grid, and how many tokens come before it, as --tokens 2x3+1.';
    expect(() => automaticLayer(search)).toThrow(`Where the tokens ${asked}`);
    expect(() => namedLayer('bent', search)).toThrow('Layer "bent" has dims [N, 7, 8]; where its values lie');
    const square = await picked([21, 4]);
    expect(() => automaticLayer(square)).toThrow('as --tokens 4x4+5 if the grid is square.');
  });

  test('and taken as it is given', async () => {
    const search = await picked([7, 12], { grid: [2, 3], prefix: 1 });
    expect(automaticLayer(search)).toMatchObject({
      name: 'bent',
      dims: ['N', 8, 2, 3],
      layout: { channelAxis: 2, prefix: 1, suffix: 0, grid: [2, 3] },
    });
    expect(() => namedLayer('bent', { ...search, tokens: { grid: [2, 4] } })).toThrow(
      'Layer "bent" has dims [N, 7, 8], which do not fit "tokens" 2x4.',
    );
  });

  test('channels last or first, where only one of them fits', async () => {
    const search = await picked([3, 7, 4], { grid: [3, 7] });
    expect(namedLayer('bent', search)).toMatchObject({ dims: ['N', 8, 3, 7], layout: { channelAxis: 3 } });
    const first = await picked([3, 7, 4], { grid: [7, 8] });
    expect(namedLayer('bent', first)).toMatchObject({ dims: ['N', 3, 7, 8], layout: { channelAxis: 1 } });
    expect(() => namedLayer('bent', { ...search, tokens: undefined })).toThrow(
      'Layer "bent" has dims [N, 3, 7, 8]; where its values lie in the picture cannot be told',
    );
  });

  test('what contradicts the model is taken if it fits, else refused', async () => {
    const graph = await prepared(graphFrom(transformer()));
    const search = { graph, image: 'image', scores: findScores(graph).info.name };
    const own = namedLayer('b1/norm1', { ...search, tokens: { grid: [3, 2], suffix: 1 } });
    expect(own).toMatchObject({ dims: ['N', 8, 3, 2], layout: { prefix: 0, suffix: 1 } });
    expect(() => namedLayer('b1/norm1', { ...search, tokens: { grid: [4, 4], prefix: 1 } })).toThrow(
      '"tokens" 4x4+1 must fit the layer: it counts 17 tokens; "b1/norm1" has dims [N, 7, 8], by the model 2 × 3, 1 before.',
    );
    expect(namedLayer('embedded', { ...search, tokens: { grid: [4, 4] } }).dims).toEqual(['N', 8, 2, 3]);
  });
});
