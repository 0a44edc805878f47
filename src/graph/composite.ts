import { DataType } from '../onnx/types.js';
import {
  float,
  floatAttribute,
  floatsAttribute,
  intAttribute,
  stringAttribute,
  withAttributes,
  withGraphs,
} from './attributes.js';
import { Builder, Names, rewritten } from './builder.js';
import { type Graph, label, type Node, valueInfo } from './graph.js';

/** Writes the standard operators of a node to its outputs; false where it cannot (yet: the rank is not known). */
type Compose = (node: Node, b: Builder, rank: (name: string) => number | undefined) => boolean;

/**
 * Operators of ONNX Runtime's own that exporters and optimisers write, as the standard ones that they stand for.
 * Source: ONNX Runtime's documentation of its contributed operators (docs/ContribOperators.md).
 */
const composites: Readonly<Record<string, Compose>> = {
  Attention: packedAttention,
  BiasGelu: (node, b) => gelu(b, b.op('Add', node.inputs), node.outputs[0]),
  EmbedLayerNormalization: embedding,
  FastGelu: (node, b) =>
    fastGelu(b, node.inputs[1] ? b.op('Add', node.inputs) : node.inputs[0], node.outputs[0]),
  FusedConv: fusedConv,
  FusedGemm: fusedGemm,
  FusedMatMul: fusedMatMul,
  Gelu: (node, b) => gelu(b, node.inputs[0], node.outputs[0]),
  GridSample: (node, b) => plain(node, b, 'GridSample'),
  MultiHeadAttention: multiHeadAttention,
  QuickGelu: (node, b) => {
    const [x] = node.inputs;
    const slope = b.scalar(floatAttribute(node, 'alpha', 1.702));
    b.op('Mul', [x, b.op('Sigmoid', [b.op('Mul', [x, slope])])], {}, node.outputs[0]);
    return true;
  },
  SimplifiedLayerNormalization: (node, b) => {
    const axis = intAttribute(node, 'axis', -1);
    if (axis !== -1 || node.outputs[1]) return false;
    rootMeanSquare(b, node, node.inputs[0], node.inputs[1]);
    return true;
  },
  SkipLayerNormalization: (node, b) => {
    const [input, skip, gamma, beta, bias] = node.inputs;
    layerNormalization(b, node, skipped(b, node, input, skip, bias), gamma, beta);
    return true;
  },
  SkipSimplifiedLayerNormalization: (node, b) => {
    const [input, skip, gamma, bias] = node.inputs;
    if (node.outputs[1] || node.outputs[2]) return false;
    rootMeanSquare(b, node, skipped(b, node, input, skip, bias), gamma);
    return true;
  },
  TransposeMatMul: fusedMatMul,
  Trilu: (node, b) => plain(node, b, 'Trilu'),
};

/** Operators that ONNX Runtime put into the default domain before, or without, the standard's doing so. */
const inDefaultDomain = new Set(['SimplifiedLayerNormalization']);

/** Their names with their domain, for the list of what is read. */
export const compositeOperators: readonly string[] = Object.keys(composites).map((name) =>
  inDefaultDomain.has(name) ? name : `com.microsoft.${name}`,
);

/** The graph with those operators written out; the same graph where there are none, or none that can be written yet. */
export function expandComposites(graph: Graph, taken?: Names): Graph {
  const find = (node: Node) =>
    node.domain === 'com.microsoft' || (node.domain === '' && inDefaultDomain.has(node.opType))
      ? composites[node.opType]
      : undefined;
  const hasGraphs = (node: Node) => [...node.attributes.values()].some(({ kind }) => kind === 'graph');
  if (!graph.nodes.some((node) => find(node) || hasGraphs(node))) return graph;
  const b = new Builder(taken ?? Names.of(graph));
  const rank = (name: string) => valueInfo(graph, name).dims?.length;
  let changed = false;
  for (const node of graph.nodes) {
    const { length } = b.nodes;
    b.at(node.outputs.find(Boolean) ?? node.name);
    b.origin = label(node);
    if (find(node)?.(node, b, rank)) {
      changed = true;
      continue;
    }
    b.nodes.length = length; // what was written before it turned out that the whole cannot be
    const inner = withGraphs(node, (body) => expandComposites(body, b.names));
    changed ||= inner !== node;
    b.keep(inner);
  }
  return changed ? rewritten(graph, b) : graph;
}

function plain(node: Node, b: Builder, opType: string): boolean {
  b.ops(opType, node.inputs, node.outputs, Object.fromEntries(node.attributes));
  return true;
}

/** x/2 · (1 + erf(x/√2)) */
function gelu(b: Builder, x: string, output: string): boolean {
  const root = b.op('Erf', [b.op('Mul', [x, b.scalar(Math.SQRT1_2)])]);
  const half = b.op('Mul', [x, b.scalar(0.5)]);
  b.op('Mul', [half, b.op('Add', [root, b.scalar(1)])], {}, output);
  return true;
}

/** x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³))) */
function fastGelu(b: Builder, x: string, output: string): boolean {
  const cube = b.op('Mul', [b.op('Mul', [x, x]), x]);
  const inner = b.op('Add', [x, b.op('Mul', [cube, b.scalar(0.044715)])]);
  const tanh = b.op('Tanh', [b.op('Mul', [inner, b.scalar(Math.sqrt(2 / Math.PI))])]);
  const half = b.op('Mul', [x, b.scalar(0.5)]);
  b.op('Mul', [half, b.op('Add', [tanh, b.scalar(1)])], {}, output);
  return true;
}

/** An activation by name, with its parameters in order. */
function activate(
  b: Builder,
  name: string,
  x: string,
  parameters: readonly number[],
  output: string,
): boolean {
  const [first, second] = parameters;
  const given = (value: number | undefined) => (value === undefined ? undefined : float(value));
  if (name === 'Clip')
    b.op(
      'Clip',
      [x, b.scalar(first ?? -3.4028234663852886e38), b.scalar(second ?? 3.4028234663852886e38)],
      {},
      output,
    );
  else if (name === 'HardSigmoid') b.op(name, [x], { alpha: given(first), beta: given(second) }, output);
  else if (name === 'LeakyRelu' || name === 'Elu') b.op(name, [x], { alpha: given(first) }, output);
  else if (name === 'Gelu') return gelu(b, x, output);
  else if (['Relu', 'Tanh', 'Sigmoid', 'HardSwish', 'Softsign', 'Softplus'].includes(name))
    b.op(name, [x], {}, output);
  else if (name === '') b.op('Identity', [x], {}, output);
  else return false;
  return true;
}

function fusedConv(node: Node, b: Builder): boolean {
  const [x, weight, bias, sum] = node.inputs;
  const { attributes } = withAttributes(node, { activation: undefined, activation_params: undefined });
  const made = b.op('Conv', [x, weight, bias ?? ''], Object.fromEntries(attributes));
  const total = sum ? b.op('Add', [made, sum]) : made;
  const parameters = floatsAttribute(node, 'activation_params') ?? [];
  return activate(b, stringAttribute(node, 'activation', ''), total, parameters, node.outputs[0]);
}

function fusedGemm(node: Node, b: Builder): boolean {
  const gone = ['activation', 'activation_alpha', 'activation_beta', 'activation_gamma'];
  const { attributes } = withAttributes(node, Object.fromEntries(gone.map((name) => [name, undefined])));
  const made = b.op('Gemm', node.inputs, Object.fromEntries(attributes));
  const parameters = ['activation_alpha', 'activation_beta'].flatMap((name) =>
    node.attributes.has(name) ? [floatAttribute(node, name, 0)] : [],
  );
  return activate(b, stringAttribute(node, 'activation', ''), made, parameters, node.outputs[0]);
}

/** alpha · A′ B′, where A′ and B′ may have their last axes swapped, and their first moved before the last two. */
function fusedMatMul(node: Node, b: Builder, rank: (name: string) => number | undefined): boolean {
  const operands = ['A', 'B'].map((which, i): string | undefined => {
    const turns = intAttribute(node, `trans${which}`, 0) === 1;
    const moves = intAttribute(node, `transBatch${which}`, 0) === 1;
    const name = node.inputs[i];
    if (!turns && !moves) return name;
    const axes = rank(name);
    if (axes === undefined) return undefined;
    if (axes < 2) return name;
    let perm = Array.from({ length: axes }, (_, axis) => axis);
    if (moves) perm = [...perm.slice(1, -1), 0, axes - 1];
    if (turns) perm = [...perm.slice(0, -2), perm[axes - 1], perm[axes - 2]];
    return b.op('Transpose', [name], { perm });
  });
  if (operands.includes(undefined)) return false;
  const alpha = floatAttribute(node, 'alpha', 1);
  if (alpha === 1) b.op('MatMul', operands as string[], {}, node.outputs[0]);
  else b.op('Mul', [b.op('MatMul', operands as string[]), b.scalar(alpha)], {}, node.outputs[0]);
  return true;
}

/** input + skip + bias, which is the node's fourth output. */
function skipped(b: Builder, node: Node, input: string, skip: string, bias: string | undefined): string {
  const [, , , sum] = node.outputs;
  const own = sum || b.fresh('sum');
  const both = bias ? b.op('Add', [input, bias]) : input;
  return b.op('Add', [both, skip], {}, own);
}

function layerNormalization(
  b: Builder,
  node: Node,
  x: string,
  gamma: string,
  beta: string | undefined,
): void {
  const [output, mean = '', deviation = ''] = node.outputs;
  const outputs = deviation ? [output, mean, deviation] : mean ? [output, mean] : [output];
  const epsilon = float(floatAttribute(node, 'epsilon', 1e-12));
  b.ops('LayerNormalization', [x, gamma, beta ?? ''], outputs, { axis: -1, epsilon });
}

/** x / √(mean of x² + ε) · scale, over the last axis. */
function rootMeanSquare(b: Builder, node: Node, x: string, scale: string): void {
  const axes = b.ints([-1]);
  const square = b.op('ReduceMean', [b.op('Mul', [x, x]), axes]);
  const epsilon = b.scalar(floatAttribute(node, 'epsilon', 1e-5));
  const root = b.op('Sqrt', [b.op('Add', [square, epsilon])]);
  b.op('Mul', [b.op('Div', [x, root]), scale], {}, node.outputs[0]);
}

/** Words, positions and segments looked up, added and normalised. */
function embedding(node: Node, b: Builder): boolean {
  const [ids, segments, words, places, kinds, gamma, beta, mask, positions] = node.inputs;
  if (node.outputs[1] || mask) return false;
  const word = b.op('Gather', [words, ids]);
  const length = b.op('Shape', [ids], { start: 1, end: 2 });
  const place = positions
    ? b.op('Gather', [places, positions])
    : b.op('Slice', [places, b.ints([0]), length, b.ints([0])]);
  let sum = b.op('Add', [word, place]);
  if (segments && kinds) sum = b.op('Add', [sum, b.op('Gather', [kinds, segments])]);
  if (node.outputs[2]) b.op('Identity', [sum], {}, node.outputs[2]);
  layerNormalization(b, { ...node, outputs: [node.outputs[0]] }, sum, gamma, beta);
  return true;
}

/** Attention with the products that make queries, keys and values inside: one of three times the width, split. */
function packedAttention(node: Node, b: Builder): boolean {
  const [x, weights, bias, mask, past, attentionBias] = node.inputs;
  if (mask || past || node.outputs[1] || node.attributes.has('qkv_hidden_sizes')) return false;
  if (intAttribute(node, 'do_rotary', 0) !== 0) return false;
  const product = b.op('MatMul', [x, weights]);
  const parts = ['query', 'key', 'value'].map((name) => b.fresh(name));
  b.ops('Split', [bias ? b.op('Add', [product, bias]) : product], parts, { axis: 2, num_outputs: 3 });
  attend(node, b, parts, attentionBias);
  return true;
}

/** Attention of three inputs [batch, length, heads · size]. */
function multiHeadAttention(node: Node, b: Builder, rank: (name: string) => number | undefined): boolean {
  const [query, key, value, bias, mask, attentionBias, ...past] = node.inputs;
  if (mask || past.some(Boolean) || node.outputs.slice(1).some(Boolean) || !key || !value) return false;
  let operands = [query, key, value];
  if (operands.some((name) => rank(name) !== 3)) return false;
  if (bias) {
    const parts = operands.map(() => b.fresh('bias'));
    b.ops('Split', [bias], parts, { num_outputs: 3 });
    operands = operands.map((name, i) => b.op('Add', [name, parts[i]]));
  }
  attend(node, b, operands, attentionBias);
  return true;
}

/** softmax(scale · Q Kᵀ + bias) V, head by head. */
function attend(
  node: Node,
  b: Builder,
  operands: readonly string[],
  attentionBias: string | undefined,
): void {
  const heads = intAttribute(node, 'num_heads', 1);
  const target = b.ints([0, 0, heads, -1]);
  const [q, k, v] = operands.map((name, i) =>
    b.op('Transpose', [b.op('Reshape', [name, target])], { perm: i === 1 ? [0, 2, 3, 1] : [0, 2, 1, 3] }),
  );
  const given = floatAttribute(node, 'scale', 0);
  let scale: string;
  if (given !== 0) scale = b.scalar(given);
  else {
    const size = b.op('Cast', [b.op('Shape', [q], { start: 3, end: 4 })], { to: DataType.FLOAT });
    scale = b.op('Reciprocal', [b.op('Sqrt', [size])]);
  }
  let scores = b.op('Mul', [b.op('MatMul', [q, k]), scale]);
  if (attentionBias) scores = b.op('Add', [scores, attentionBias]);
  if (intAttribute(node, 'unidirectional', 0) === 1) {
    const ones = b.op('ConstantOfShape', [b.op('Shape', [scores], { start: 2 })], {
      value: { kind: 'tensor', value: { type: DataType.FLOAT, dims: [1], bytes: lowest } },
    });
    scores = b.op('Add', [scores, b.op('Trilu', [ones, b.ints([1], [])], { upper: 1 })]);
  }
  const mixed = b.op('MatMul', [b.op('Softmax', [scores], { axis: -1 }), v]);
  const joined = b.op('Transpose', [mixed], { perm: [0, 2, 1, 3] });
  b.op('Reshape', [joined, b.ints([0, 0, -1])], {}, node.outputs[0]);
}

/** What masks an attention score: the lowest float, as bytes. */
const lowest = new Uint8Array(Float32Array.of(-3.4028234663852886e38).buffer);
