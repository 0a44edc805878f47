import type { Graph } from '../../src/graph/graph.js';
import { boolConstant, int64Constant } from '../../src/onnx/constant.js';
import { DataType } from '../../src/onnx/types.js';
import { modelFile } from '../../src/graph/model-file.js';
import { bytesFrom, graphFrom, type ShortGraph, type ShortNode, weights } from '../support/network.js';

/** Tokens that begin and end captions, and the others. */
export const vocabulary = ['<start>', '<end>', 'a', 'red', 'cup', 'and', 'fish'];

/** [N, 3, 16, 16] → features [N, 6, 4, 4] behind relu1 [N, 4, 8, 8], and the first state [N, 5]. */
export function encoder(): Uint8Array {
  return bytesFrom({
    inputs: { pixel_values: ['N', 3, 16, 16] },
    outputs: ['features', 'init_h'],
    nodes: [
      ['Conv', ['pixel_values', 'w1'], ['conv1'], { pads: [1, 1, 1, 1], strides: [2, 2] }],
      ['Relu', ['conv1'], ['relu1']],
      ['Conv', ['relu1', 'w2'], ['conv2'], { pads: [1, 1, 1, 1], strides: [2, 2] }],
      ['Relu', ['conv2'], ['features']],
      ['GlobalAveragePool', ['features'], ['pooled']],
      ['Flatten', ['pooled'], ['flat']],
      ['Gemm', ['flat', 'w3'], ['init_h'], { transB: 1 }],
    ],
    constants: { w1: weights(1, [4, 3, 3, 3]), w2: weights(2, [6, 4, 3, 3]), w3: weights(3, [5, 6]) },
  });
}

const attending: ShortNode[] = [
  ['Reshape', ['features', 'rows'], ['flat']],
  ['Gemm', ['h', 'wq'], ['query'], { transB: 1 }],
  ['Unsqueeze', ['query', 'one'], ['row']],
  ['MatMul', ['row', 'flat'], ['scores']],
  ['Softmax', ['scores'], ['alpha'], { axis: 2 }],
  ['Transpose', ['flat'], ['places'], { perm: [0, 2, 1] }],
  ['MatMul', ['alpha', 'places'], ['mixed']],
  ['Squeeze', ['mixed', 'one'], ['context']],
];

/** A decoder that makes one step: scores of the next token and the next state, of features that it attends to. */
export function stepDecoder({ state = ['h', 'next_h'], hasAttention = true, rank = 2 } = {}): Uint8Array {
  const [h, next] = state;
  const named = (name: string) => ({ h, next_h: next })[name] ?? name;
  const nodes: ShortNode[] = [
    ...attending,
    ['Gather', ['words', 'input_ids'], ['word']],
    ...(rank === 2 ? ([['Squeeze', ['word', 'one'], ['said']]] as ShortNode[]) : []),
    ['Gemm', ['context', 'wc'], ['from_picture'], { transB: 1 }],
    ['Gemm', ['h', 'wh'], ['from_state'], { transB: 1 }],
    ['Sum', ['from_picture', 'from_state', rank === 2 ? 'said' : 'word'], ['sum']],
    ['Tanh', ['sum'], ['next_h']],
    ['Gemm', ['next_h', 'wo'], ['logits'], { transB: 1 }],
  ];
  const graph: ShortGraph = {
    inputs: { input_ids: rank === 2 ? ['N', 1] : ['N'], features: ['N', 6, 4, 4], [h]: ['N', 5] },
    types: { input_ids: DataType.INT64 },
    outputs: ['logits', next, ...(hasAttention ? ['alpha'] : [])],
    nodes: nodes.map(([op, from, to, own]) => [op, from.map(named), to.map(named), own] as const),
    constants: {
      rows: int64Constant([0, 6, 16]),
      one: int64Constant([1]),
      wq: weights(4, [6, 5], 4),
      words: weights(5, [vocabulary.length, 5], 2),
      wc: weights(6, [5, 6], 2),
      wh: weights(7, [5, 5]),
      wo: weights(18, [vocabulary.length, 5], 3),
    },
  };
  return bytesFrom(graph);
}

/** Reads a whole caption at once: each token with the mean of the features, so that what comes later does not count. */
const whole: ShortNode[] = [
  ['GlobalAveragePool', ['features'], ['pooled']],
  ['Flatten', ['pooled'], ['means']],
  ['Gemm', ['means', 'wc'], ['context'], { transB: 1 }],
  ['Unsqueeze', ['context', 'one'], ['everywhere']],
  ['Gather', ['words', 'input_ids'], ['said']],
  ['Add', ['said', 'everywhere'], ['sum']],
  ['Tanh', ['sum'], ['hidden']],
  ['MatMul', ['hidden', 'wo'], ['logits']],
];
const wholeConstants = {
  one: int64Constant([1]),
  words: weights(5, [vocabulary.length, 5], 2),
  wc: weights(6, [5, 6], 2),
  wo: weights(8, [5, vocabulary.length], 3),
};
const inputs = { input_ids: ['N', 'length'], features: ['N', 6, 4, 4] } as const;
const types = { input_ids: DataType.INT64, use_cache_branch: DataType.BOOL };

/** With a layer of its own before it, or with a state that the encoder begins. */
export function wholeDecoder({ hasLayer = false, hasState = false } = {}): Uint8Array {
  const layer: ShortNode[] = [
    ['Conv', ['features', 'mix'], ['mixed']],
    ['Relu', ['mixed'], ['own']],
  ];
  const state: ShortNode[] = [
    ['Unsqueeze', ['h', 'one'], ['before']],
    ['Add', ['said', 'before'], ['from_state']],
    ['Tanh', ['h'], ['next_h']],
  ];
  const nodes = whole.flatMap(([op, from, to, own]): ShortNode[] => {
    const renamed = from.map((name) => {
      if (hasLayer && name === 'features') return 'own';
      return hasState && op === 'Add' && name === 'said' ? 'from_state' : name;
    });
    return [...(hasState && op === 'Add' ? state : []), [op, renamed, to, own ?? {}]];
  });
  return bytesFrom({
    inputs: hasState ? { ...inputs, h: ['N', 5] } : inputs,
    types,
    outputs: hasState ? ['logits', 'next_h'] : ['logits'],
    nodes: hasLayer ? [...layer, ...nodes] : nodes,
    constants: { ...wholeConstants, mix: weights(11, [6, 6, 1, 1]) },
  });
}

/** The same behind an If, as optimum merges decoders: the other branch reads what is stored, and gives something else. */
export function mergedDecoder(): Uint8Array {
  const branch = (nodes: readonly ShortNode[], output: string): Graph => ({
    ...graphFrom({ inputs: {}, outputs: [output], nodes }),
    name: output,
  });
  const cached: ShortNode[] = [
    ['Gather', ['words', 'input_ids'], ['cached_word']],
    ['MatMul', ['cached_word', 'wo'], ['cached_logits']],
    ['ReduceSum', ['past_key_values.0.encoder.key'], ['stored'], { keepdims: 0 }],
    ['Add', ['cached_logits', 'stored'], ['with_past']],
  ];
  const outer = graphFrom({
    inputs: {
      ...inputs,
      'past_key_values.0.encoder.key': ['N', 1, 'stored', 5],
      use_cache_branch: [1],
    },
    types,
    outputs: ['logits'],
    nodes: [],
    constants: { ...wholeConstants, unused: boolConstant([true], [1]) },
  });
  const node = {
    opType: 'If',
    domain: '',
    name: 'merged',
    inputs: ['use_cache_branch'],
    outputs: ['logits'],
    attributes: new Map([
      ['then_branch', { kind: 'graph', value: branch(cached, 'with_past') }],
      ['else_branch', { kind: 'graph', value: branch(whole, 'logits_of_all') }],
    ] as const),
  };
  const renamed = whole.map(
    ([op, from, to, own]) =>
      [op, from, to.map((name) => (name === 'logits' ? 'logits_of_all' : name)), own] as const,
  );
  node.attributes.set('else_branch', { kind: 'graph', value: branch(renamed, 'logits_of_all') } as never);
  return modelFile({ ...outer, nodes: [node] } as Graph).toBytes();
}
