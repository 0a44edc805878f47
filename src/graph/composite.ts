import { DataType } from '../onnx/types.js';
import type { Constant } from '../onnx/constant.js';
import {
  float,
  floatAttribute,
  floatsAttribute,
  intAttribute,
  stringAttribute,
  withAttributes,
} from './attributes.js';
import { type Graph, type Node, valueInfo } from './graph.js';
import { namesIn, Writer } from './writer.js';

/** Writes the standard operators of a node to its outputs; false where it cannot (yet: the rank is not known). */
type Compose = (node: Node, w: Writer, rank: (name: string) => number | undefined) => boolean;

/**
 * Operators of ONNX Runtime's own that exporters and optimisers write, as the standard ones that they stand for.
 * Source: ONNX Runtime's documentation of its contributed operators (docs/ContribOperators.md).
 */
const composites: Readonly<Record<string, Compose>> = {
  Attention: packedAttention,
  BiasGelu: (node, w) => gelu(w, w.op('Add', node.inputs), node.outputs[0]),
  EmbedLayerNormalization: embedding,
  FastGelu: (node, w) =>
    fastGelu(w, node.inputs[1] ? w.op('Add', node.inputs) : node.inputs[0], node.outputs[0]),
  FusedConv: fusedConv,
  FusedGemm: fusedGemm,
  FusedMatMul: fusedMatMul,
  Gelu: (node, w) => gelu(w, node.inputs[0], node.outputs[0]),
  GridSample: (node, w) => plain(node, w, 'GridSample'),
  MultiHeadAttention: multiHeadAttention,
  QuickGelu: (node, w) => {
    const [x] = node.inputs;
    const slope = w.scalar('alpha', floatAttribute(node, 'alpha', 1.702));
    w.op('Mul', [x, w.op('Sigmoid', [w.op('Mul', [x, slope])])], {}, node.outputs[0]);
    return true;
  },
  SimplifiedLayerNormalization: (node, w) => {
    const axis = intAttribute(node, 'axis', -1);
    if (axis !== -1 || node.outputs[1]) return false;
    rootMeanSquare(w, node, node.inputs[0], node.inputs[1]);
    return true;
  },
  SkipLayerNormalization: (node, w) => {
    const [input, skip, gamma, beta, bias] = node.inputs;
    layerNormalization(w, node, skipped(w, node, input, skip, bias), gamma, beta);
    return true;
  },
  SkipSimplifiedLayerNormalization: (node, w) => {
    const [input, skip, gamma, bias] = node.inputs;
    if (node.outputs[1] || node.outputs[2]) return false;
    rootMeanSquare(w, node, skipped(w, node, input, skip, bias), gamma);
    return true;
  },
  TransposeMatMul: fusedMatMul,
  Trilu: (node, w) => plain(node, w, 'Trilu'),
};

/** Operators that ONNX Runtime put into the default domain before, or without, the standard's doing so. */
const inDefaultDomain = new Set(['SimplifiedLayerNormalization']);

/** Their names with their domain, for the list of what is read. */
export const compositeOperators: readonly string[] = Object.keys(composites).map((name) =>
  inDefaultDomain.has(name) ? name : `com.microsoft.${name}`,
);

/** The graph with those operators written out; the same graph where there are none, or none that can be written yet. */
export function expandComposites(graph: Graph, taken?: Set<string>): Graph {
  const find = (node: Node) =>
    node.domain === 'com.microsoft' || (node.domain === '' && inDefaultDomain.has(node.opType))
      ? composites[node.opType]
      : undefined;
  const hasGraphs = (node: Node) => [...node.attributes.values()].some(({ kind }) => kind === 'graph');
  if (!graph.nodes.some((node) => find(node) || hasGraphs(node))) return graph;
  const names = taken ?? namesIn(graph);
  const constants = new Map<string, Constant>(graph.constants);
  const rank = (name: string) => valueInfo(graph, name).dims?.length;
  let changed = false;
  const nodes = graph.nodes.flatMap((node): readonly Node[] => {
    const writer = new Writer(node, constants, names);
    if (find(node)?.(node, writer, rank)) {
      changed = true;
      return writer.nodes;
    }
    if (!hasGraphs(node)) return [node];
    const attributes = new Map(node.attributes);
    for (const [name, { kind, value }] of attributes) {
      if (kind !== 'graph') continue;
      const inner = expandComposites(value, names);
      changed ||= inner !== value;
      attributes.set(name, { kind, value: inner });
    }
    return [{ ...node, attributes }];
  });
  return changed ? { ...graph, nodes, constants } : graph;
}

function plain(node: Node, w: Writer, opType: string): boolean {
  w.ops(opType, node.inputs, node.outputs, Object.fromEntries(node.attributes));
  return true;
}

/** x/2 · (1 + erf(x/√2)) */
function gelu(w: Writer, x: string, output: string): boolean {
  const root = w.op('Erf', [w.op('Mul', [x, w.scalar('root', Math.SQRT1_2)])]);
  const half = w.op('Mul', [x, w.scalar('half', 0.5)]);
  w.op('Mul', [half, w.op('Add', [root, w.scalar('one', 1)])], {}, output);
  return true;
}

/** x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³))) */
function fastGelu(w: Writer, x: string, output: string): boolean {
  const cube = w.op('Mul', [w.op('Mul', [x, x]), x]);
  const inner = w.op('Add', [x, w.op('Mul', [cube, w.scalar('cubic', 0.044715)])]);
  const tanh = w.op('Tanh', [w.op('Mul', [inner, w.scalar('root', Math.sqrt(2 / Math.PI))])]);
  const half = w.op('Mul', [x, w.scalar('half', 0.5)]);
  w.op('Mul', [half, w.op('Add', [tanh, w.scalar('one', 1)])], {}, output);
  return true;
}

/** An activation by name, with its parameters in order. */
function activate(
  w: Writer,
  name: string,
  x: string,
  parameters: readonly number[],
  output: string,
): boolean {
  const [first, second] = parameters;
  const given = (value: number | undefined) => (value === undefined ? undefined : float(value));
  if (name === 'Clip')
    w.op(
      'Clip',
      [x, w.scalar('min', first ?? -3.4028234663852886e38), w.scalar('max', second ?? 3.4028234663852886e38)],
      {},
      output,
    );
  else if (name === 'HardSigmoid') w.op(name, [x], { alpha: given(first), beta: given(second) }, output);
  else if (name === 'LeakyRelu' || name === 'Elu') w.op(name, [x], { alpha: given(first) }, output);
  else if (name === 'Gelu') return gelu(w, x, output);
  else if (['Relu', 'Tanh', 'Sigmoid', 'HardSwish', 'Softsign', 'Softplus'].includes(name))
    w.op(name, [x], {}, output);
  else if (name === '') w.op('Identity', [x], {}, output);
  else return false;
  return true;
}

function fusedConv(node: Node, w: Writer): boolean {
  const [x, weight, bias, sum] = node.inputs;
  const { attributes } = withAttributes(node, { activation: undefined, activation_params: undefined });
  const made = w.op('Conv', [x, weight, bias ?? ''], Object.fromEntries(attributes));
  const total = sum ? w.op('Add', [made, sum]) : made;
  const parameters = floatsAttribute(node, 'activation_params') ?? [];
  return activate(w, stringAttribute(node, 'activation', ''), total, parameters, node.outputs[0]);
}

function fusedGemm(node: Node, w: Writer): boolean {
  const gone = ['activation', 'activation_alpha', 'activation_beta', 'activation_gamma'];
  const { attributes } = withAttributes(node, Object.fromEntries(gone.map((name) => [name, undefined])));
  const made = w.op('Gemm', node.inputs, Object.fromEntries(attributes));
  const parameters = ['activation_alpha', 'activation_beta'].flatMap((name) =>
    node.attributes.has(name) ? [floatAttribute(node, name, 0)] : [],
  );
  return activate(w, stringAttribute(node, 'activation', ''), made, parameters, node.outputs[0]);
}

/** alpha · A′ B′, where A′ and B′ may have their last axes swapped, and their first moved before the last two. */
function fusedMatMul(node: Node, w: Writer, rank: (name: string) => number | undefined): boolean {
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
    return w.op('Transpose', [name], { perm });
  });
  if (operands.includes(undefined)) return false;
  const alpha = floatAttribute(node, 'alpha', 1);
  if (alpha === 1) w.op('MatMul', operands as string[], {}, node.outputs[0]);
  else w.op('Mul', [w.op('MatMul', operands as string[]), w.scalar('alpha', alpha)], {}, node.outputs[0]);
  return true;
}

/** input + skip + bias, which is the node's fourth output. */
function skipped(w: Writer, node: Node, input: string, skip: string, bias: string | undefined): string {
  const [, , , sum] = node.outputs;
  const own = sum || w.fresh('sum');
  const both = bias ? w.op('Add', [input, bias]) : input;
  return w.op('Add', [both, skip], {}, own);
}

function layerNormalization(w: Writer, node: Node, x: string, gamma: string, beta: string | undefined): void {
  const [output, mean = '', deviation = ''] = node.outputs;
  const outputs = deviation ? [output, mean, deviation] : mean ? [output, mean] : [output];
  const epsilon = float(floatAttribute(node, 'epsilon', 1e-12));
  w.ops('LayerNormalization', [x, gamma, beta ?? ''], outputs, { axis: -1, epsilon });
}

/** x / √(mean of x² + ε) · scale, over the last axis. */
function rootMeanSquare(w: Writer, node: Node, x: string, scale: string): void {
  const axes = w.ints('axes', [-1]);
  const square = w.op('ReduceMean', [w.op('Mul', [x, x]), axes]);
  const epsilon = w.scalar('epsilon', floatAttribute(node, 'epsilon', 1e-5));
  const root = w.op('Sqrt', [w.op('Add', [square, epsilon])]);
  w.op('Mul', [w.op('Div', [x, root]), scale], {}, node.outputs[0]);
}

/** Words, positions and segments looked up, added and normalised. */
function embedding(node: Node, w: Writer): boolean {
  const [ids, segments, words, places, kinds, gamma, beta, mask, positions] = node.inputs;
  if (node.outputs[1] || mask) return false;
  const word = w.op('Gather', [words, ids]);
  const length = w.op('Shape', [ids], { start: 1, end: 2 });
  const place = positions
    ? w.op('Gather', [places, positions])
    : w.op('Slice', [places, w.ints('start', [0]), length, w.ints('axis', [0])]);
  let sum = w.op('Add', [word, place]);
  if (segments && kinds) sum = w.op('Add', [sum, w.op('Gather', [kinds, segments])]);
  if (node.outputs[2]) w.op('Identity', [sum], {}, node.outputs[2]);
  layerNormalization(w, { ...node, outputs: [node.outputs[0]] }, sum, gamma, beta);
  return true;
}

/** Attention with the products that make queries, keys and values inside: one of three times the width, split. */
function packedAttention(node: Node, w: Writer): boolean {
  const [x, weights, bias, mask, past, attentionBias] = node.inputs;
  if (mask || past || node.outputs[1] || node.attributes.has('qkv_hidden_sizes')) return false;
  if (intAttribute(node, 'do_rotary', 0) !== 0) return false;
  const product = w.op('MatMul', [x, weights]);
  const parts = ['query', 'key', 'value'].map((name) => w.fresh(name));
  w.ops('Split', [bias ? w.op('Add', [product, bias]) : product], parts, { axis: 2, num_outputs: 3 });
  attend(node, w, parts, attentionBias);
  return true;
}

/** Attention of three inputs [batch, length, heads · size]. */
function multiHeadAttention(node: Node, w: Writer, rank: (name: string) => number | undefined): boolean {
  const [query, key, value, bias, mask, attentionBias, ...past] = node.inputs;
  if (mask || past.some(Boolean) || node.outputs.slice(1).some(Boolean) || !key || !value) return false;
  let operands = [query, key, value];
  if (operands.some((name) => rank(name) !== 3)) return false;
  if (bias) {
    const parts = operands.map(() => w.fresh('bias'));
    w.ops('Split', [bias], parts, { num_outputs: 3 });
    operands = operands.map((name, i) => w.op('Add', [name, parts[i]]));
  }
  attend(node, w, operands, attentionBias);
  return true;
}

/** softmax(scale · Q Kᵀ + bias) V, head by head. */
function attend(node: Node, w: Writer, operands: readonly string[], attentionBias: string | undefined): void {
  const heads = intAttribute(node, 'num_heads', 1);
  const target = w.ints('heads', [0, 0, heads, -1]);
  const [q, k, v] = operands.map((name, i) =>
    w.op('Transpose', [w.op('Reshape', [name, target])], { perm: i === 1 ? [0, 2, 3, 1] : [0, 2, 1, 3] }),
  );
  const given = floatAttribute(node, 'scale', 0);
  let scale: string;
  if (given !== 0) scale = w.scalar('scale', given);
  else {
    const size = w.op('Cast', [w.op('Shape', [q], { start: 3, end: 4 })], { to: DataType.FLOAT });
    scale = w.op('Reciprocal', [w.op('Sqrt', [size])]);
  }
  let scores = w.op('Mul', [w.op('MatMul', [q, k]), scale]);
  if (attentionBias) scores = w.op('Add', [scores, attentionBias]);
  if (intAttribute(node, 'unidirectional', 0) === 1) {
    const ones = w.op('ConstantOfShape', [w.op('Shape', [scores], { start: 2 })], {
      value: { kind: 'tensor', value: { type: DataType.FLOAT, dims: [1], bytes: lowest } },
    });
    scores = w.op('Add', [scores, w.op('Trilu', [ones, w.ints('above', [1], [])], { upper: 1 })]);
  }
  const mixed = w.op('MatMul', [w.op('Softmax', [scores], { axis: -1 }), v]);
  const joined = w.op('Transpose', [mixed], { perm: [0, 2, 1, 3] });
  w.op('Reshape', [joined, w.ints('together', [0, 0, -1])], {}, node.outputs[0]);
}

/** What masks an attention score: the lowest float, as bytes. */
const lowest = new Uint8Array(Float32Array.of(-3.4028234663852886e38).buffer);
