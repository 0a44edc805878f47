import { attributesOf, type Plain } from '../../src/graph/attributes.js';
import type { Dim, Graph, Node, ValueInfo } from '../../src/graph/graph.js';
import { modelFile } from '../../src/graph/model-file.js';
import { type Constant, floatConstant } from '../../src/onnx/constant.js';
import { DataType } from '../../src/onnx/types.js';
import { sizeOf } from '../../src/tensor.js';
import { randomNumbers } from '../map/random.js';

/** A node in short: [operator, inputs, outputs, attributes]. */
export type ShortNode = readonly [string, readonly string[], readonly string[], Record<string, Plain>?];

export interface ShortGraph {
  readonly inputs: Record<string, readonly Dim[]>;
  /** Types of inputs that are not float32. */
  readonly types?: Record<string, DataType>;
  readonly outputs: readonly string[];
  readonly nodes: readonly ShortNode[];
  readonly constants?: Record<string, Constant>;
  readonly opset?: number;
}

/** A graph written out by hand. */
export function graphFrom({
  inputs,
  types = {},
  outputs,
  nodes,
  constants = {},
  opset = 18,
}: ShortGraph): Graph {
  const info = (name: string, dims?: readonly Dim[]): ValueInfo => ({
    name,
    type: types[name] ?? DataType.FLOAT,
    dims,
  });
  return {
    name: 'test',
    opset,
    domains: new Map(),
    inputs: Object.entries(inputs).map(([name, dims]) => info(name, dims)),
    outputs: outputs.map((name) => info(name)),
    nodes: nodes.map(
      ([opType, from, to, attributes = {}]): Node => ({
        opType,
        domain: '',
        name: `node_${to[0]}`,
        inputs: from,
        outputs: to,
        attributes: attributesOf(attributes),
      }),
    ),
    constants: new Map(Object.entries(constants)),
    values: new Map(),
    metadata: new Map(),
  };
}

export function bytesFrom(graph: ShortGraph): Uint8Array {
  return modelFile(graphFrom(graph)).toBytes();
}

/** Seeded weights, about normal, scaled to keep activations near 1. */
export function weights(seed: number, dims: readonly number[], scale = 1): Constant {
  const next = randomNumbers(seed);
  const fan = sizeOf(dims.slice(1)) || 1;
  const values = Array.from({ length: sizeOf(dims) }, () => ((next() - 0.5) * 3.5 * scale) / Math.sqrt(fan));
  return floatConstant(values, dims);
}

/** Seeded values in −1 … 1. */
export function values(seed: number, dims: readonly number[]): Float32Array {
  const next = randomNumbers(seed);
  return Float32Array.from({ length: sizeOf(dims) }, () => next() * 2 - 1);
}

/** What ends the small classifier. */
export interface ClassifierOptions {
  readonly batch?: Dim;
  readonly tail?: 'logits' | 'softmax' | 'sigmoid';
  /** 'pool': global average pooling and a linear layer. 'dense': max pooling, flatten, two linear layers. */
  readonly head?: 'pool' | 'dense';
  readonly classes?: number;
}

/** Two convolutions on [N, 3, 8, 8] and a head: layers relu1 and relu2 [N, 6, 4, 4], scores `logits` [N, classes]. */
export function classifier({
  batch = 'N',
  tail = 'logits',
  head = 'dense',
  classes = 5,
}: ClassifierOptions = {}): ShortGraph {
  const trunk: ShortNode[] = [
    ['Conv', ['image', 'w1', 'b1'], ['conv1'], { pads: [1, 1, 1, 1] }],
    ['Relu', ['conv1'], ['relu1']],
    ['Conv', ['relu1', 'w2', 'b2'], ['conv2'], { pads: [1, 1, 1, 1], strides: [2, 2] }],
    ['Relu', ['conv2'], ['relu2']],
  ];
  const pool: ShortNode[] = [
    ['GlobalAveragePool', ['relu2'], ['pooled']],
    ['Flatten', ['pooled'], ['flat']],
    ['Gemm', ['flat', 'w3', 'b3'], ['logits'], { transB: 1 }],
  ];
  const dense: ShortNode[] = [
    ['MaxPool', ['relu2'], ['pooled'], { kernel_shape: [2, 2], strides: [2, 2] }],
    ['Flatten', ['pooled'], ['flat']],
    ['Gemm', ['flat', 'w3', 'b3'], ['hidden'], { transB: 1 }],
    ['Relu', ['hidden'], ['relu3']],
    ['Gemm', ['relu3', 'w4', 'b4'], ['logits'], { transB: 1 }],
  ];
  const tails: Record<string, ShortNode[]> = {
    logits: [],
    softmax: [['Softmax', ['logits'], ['probabilities'], { axis: -1 }]],
    sigmoid: [['Sigmoid', ['logits'], ['probabilities']]],
  };
  return {
    inputs: { image: [batch, 3, 8, 8] },
    outputs: [tail === 'logits' ? 'logits' : 'probabilities'],
    nodes: [...trunk, ...(head === 'pool' ? pool : dense), ...tails[tail]],
    constants: {
      w1: weights(1, [4, 3, 3, 3]),
      b1: weights(2, [4], 0.3),
      w2: weights(3, [6, 4, 3, 3]),
      b2: weights(4, [6], 0.3),
      w3: weights(5, head === 'pool' ? [classes, 6] : [7, 24]),
      b3: weights(6, [head === 'pool' ? classes : 7], 0.3),
      ...(head === 'dense' ? { w4: weights(7, [classes, 7]), b4: weights(8, [classes], 0.3) } : {}),
    },
  };
}

/** The pooled classifier with further nodes behind it, and other outputs. */
export function grown(
  outputs: string[],
  nodes: readonly ShortNode[],
  constants: ShortGraph['constants'] = {},
): ShortGraph {
  const base = classifier({ head: 'pool' });
  return {
    inputs: base.inputs,
    outputs,
    nodes: [...base.nodes, ...nodes],
    constants: { ...base.constants, ...constants },
  };
}

/** The body of a Loop whose one state goes through an operator, turn by turn. */
export function loopBody(opType: string): Graph {
  const info = (name: string, type: DataType, dims?: number[]): ValueInfo => ({ name, type, dims });
  const nodes: ShortNode[] = [
    ['Identity', ['go'], ['went']],
    [opType, ['s'], ['out']],
  ];
  return {
    ...graphFrom({ inputs: {}, outputs: [], nodes }),
    inputs: [info('i', DataType.INT64, []), info('go', DataType.BOOL, []), info('s', DataType.FLOAT)],
    outputs: [info('went', DataType.BOOL), info('out', DataType.FLOAT)],
  };
}
