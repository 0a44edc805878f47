import { GradcamppError } from '../errors.js';
import { floatConstant, numbersOf } from '../onnx/constant.js';
import { DataType } from '../onnx/types.js';
import {
  exactInts,
  floatsAttribute,
  floatAttribute,
  intAttribute,
  intsAttribute,
  stringAttribute,
  withAttributes,
  withGraphs,
} from './attributes.js';
import { Builder, Names, rewritten } from './builder.js';
import { type Graph, label, type Node, valueInfo } from './graph.js';

/** The oldest operator set that gradients are written in; older models are raised to it. */
export const canonicalOpset = 18;

/** The graph that a node is in, and a builder that writes in its place. */
interface Scope {
  readonly graph: Graph;
  readonly b: Builder;
}
/** Writes what stands for the node, or returns it changed. */
type Convert = (node: Node, scope: Scope) => Node | undefined;
interface Conversion {
  /** Applies to models whose operator set is older than this. */
  readonly below: number;
  readonly convert: Convert;
}

const reductions = ['L1', 'L2', 'LogSum', 'LogSumExp', 'Max', 'Mean', 'Min', 'Prod', 'SumSquare'];
const always = Number.POSITIVE_INFINITY;

/**
 * Older spellings of operators, each rewritten as the canonical operator set has it, so that everything
 * after this reads one form. Source: the operator changelog of the ONNX specification.
 */
const conversions: Readonly<Record<string, Conversion>> = {
  BatchNormalization: { below: 14, convert: batchNormalization },
  Clip: {
    below: 11,
    convert: moveToInputs([
      ['min', -3.4028234663852886e38],
      ['max', 3.4028234663852886e38],
    ]),
  },
  Dropout: { below: 12, convert: (node) => ({ ...node, attributes: new Map() }) },
  GRU: { below: always, convert: batchSecond },
  Hardmax: { below: 13, convert: coerced },
  LogSoftmax: { below: 13, convert: coerced },
  LSTM: { below: always, convert: batchSecond },
  MeanVarianceNormalization: { below: always, convert: meanVariance },
  Pad: { below: 11, convert: moveToInputs([['pads'], ['value', 0]]) },
  ReduceSum: { below: 13, convert: moveToInputs([['axes']]) },
  Resize: { below: 19, convert: resize },
  RNN: { below: always, convert: batchSecond },
  RoiAlign: {
    below: 16,
    convert: (node) => withAttributes(node, { coordinate_transformation_mode: 'output_half_pixel' }),
  },
  Scatter: { below: 11, convert: (node) => ({ ...node, opType: 'ScatterElements' }) },
  Slice: { below: 10, convert: moveToInputs([['starts'], ['ends'], ['axes']]) },
  Softmax: { below: 13, convert: coerced },
  Split: { below: 18, convert: split },
  Squeeze: { below: 13, convert: moveToInputs([['axes']]) },
  Swish: { below: always, convert: swish },
  TopK: { below: 10, convert: moveToInputs([['k']]) },
  Unsqueeze: { below: 13, convert: moveToInputs([['axes']]) },
  Upsample: { below: 10, convert: upsample },
  ...Object.fromEntries(
    reductions.map((name) => [`Reduce${name}`, { below: 18, convert: moveToInputs([['axes']]) }]),
  ),
};

/** The same network in at least the canonical operator set. Uses what is known of types and ranks. */
export function canonicalize(graph: Graph, names = Names.of(graph)): Graph {
  const b = new Builder(names);
  for (const node of graph.nodes) {
    const inner = withGraphs(node, (body) => canonicalize(body, names));
    const conversion = node.domain === '' ? conversions[node.opType] : undefined;
    b.at(node.outputs.find(Boolean) ?? node.name);
    b.type = typeOf(graph, node);
    b.origin = label(node);
    const converted =
      conversion && graph.opset < conversion.below ? conversion.convert(inner, { graph, b }) : inner;
    if (converted) b.keep(converted.opType === node.opType ? converted : { ...converted, origin: b.origin });
  }
  return { ...rewritten(graph, b), opset: Math.max(graph.opset, canonicalOpset) };
}

/** The type of a node's data; where nothing is known, that of nearly all models. */
function typeOf(graph: Graph, node: Node): DataType {
  return valueInfo(graph, node.inputs[0]).type ?? DataType.FLOAT;
}

/** Attributes that became inputs, in input order after the first: [name], or [name, default] for a float. */
function moveToInputs(moves: readonly (readonly [string, number?])[]): Convert {
  return (node, { b }) => {
    if (node.inputs.length > 1) return node;
    const inputs = [node.inputs[0]];
    for (const [name, otherwise] of moves) {
      if (otherwise === undefined) {
        const values = exactInts(node, name);
        inputs.push(values ? b.ints(values) : '');
      } else {
        const isGiven = name === 'value' || node.attributes.has(name);
        const value = floatAttribute(node, name, otherwise);
        inputs.push(isGiven ? b.scalar(value) : '');
      }
    }
    while (inputs.at(-1) === '') inputs.pop();
    const gone = Object.fromEntries(moves.map(([name]) => [name, undefined]));
    return { ...withAttributes(node, gone), inputs };
  };
}

function batchNormalization(node: Node, { b }: Scope): Node {
  const [output, ...statistics] = node.outputs;
  statistics.forEach((name, i) => name && b.copy(node.inputs[3 + (i % 2)], name));
  if (intAttribute(node, 'spatial', 1) === 0)
    throw new GradcamppError(
      'UNSUPPORTED_MODEL',
      `${label(node)} normalises every position apart (spatial=0), which no operator set after 8 can say.`,
    );
  return {
    ...withAttributes(node, { spatial: undefined, is_test: undefined, consumed_inputs: undefined }),
    outputs: [output],
  };
}

/**
 * Before 13 softmax worked on a matrix: all axes from `axis` on count as one. What turns out to be the last axis
 * is made one node again once ranks are known (graph/tidy.ts).
 */
function coerced(node: Node, { graph, b }: Scope): Node | undefined {
  const [input] = node.inputs;
  const [output] = node.outputs;
  const rank = (valueInfo(graph, input).dims ?? valueInfo(graph, output).dims)?.length;
  const axis = intAttribute(node, 'axis', 1);
  if (axis === -1 || axis + 1 === rank) return withAttributes(node, { axis: -1 });
  const shape = b.op('Shape', [input]);
  const soft = b.op(node.opType, [b.op('Flatten', [input], { axis })], { axis: -1 });
  b.op('Reshape', [soft, shape], {}, output);
  return undefined;
}

/** Without sizes the parts are equal; from 18 on their number is said. */
function split(node: Node, { b }: Scope): Node {
  const sizes = intsAttribute(node, 'split');
  const inputs = [...node.inputs];
  if (sizes) inputs[1] = b.ints(sizes);
  const isEqual = !inputs[1];
  return {
    ...withAttributes(node, { split: undefined, num_outputs: isEqual ? node.outputs.length : undefined }),
    inputs,
  };
}

/** Opset 10 sampled at asymmetric coordinates with floor; opset 11 wrote absent inputs as empty tensors. */
function resize(node: Node, scope: Scope): Node {
  if (scope.graph.opset === 10) return upsample(node, scope);
  const inputs = node.inputs.map((name) => {
    const constant = scope.graph.constants.get(name);
    return constant && numbersOf(constant).length === 0 ? '' : name;
  });
  while (inputs.at(-1) === '') inputs.pop();
  return { ...node, inputs };
}

function upsample(node: Node, { b }: Scope): Node {
  const scales = floatsAttribute(node, 'scales');
  const input = scales ? b.constant(floatConstant(scales, [scales.length]), 'scales') : node.inputs[1];
  return {
    ...withAttributes(node, {
      scales: undefined,
      mode: stringAttribute(node, 'mode', 'nearest') === 'nearest' ? 'nearest' : 'linear',
      coordinate_transformation_mode: 'asymmetric',
      nearest_mode: 'floor',
    }),
    opType: 'Resize',
    inputs: [node.inputs[0], '', input],
  };
}

/** (x − mean)/(√variance + 10⁻⁹), as the specification composes it: ONNX Runtime does not tell the dims of the whole. */
function meanVariance(node: Node, { b }: Scope): undefined {
  const [x] = node.inputs;
  // Before 9 there were two flags instead of axes.
  const standard = intAttribute(node, 'across_channels', 0) === 1 ? [0, 1, 2, 3] : [0, 2, 3];
  const axes = b.ints(intsAttribute(node, 'axes') ?? standard);
  const isCentredOnly = intAttribute(node, 'normalize_variance', 1) === 0;
  const epsilon = b.scalar(1e-9);
  const mean = b.op('ReduceMean', [x, axes]);
  if (isCentredOnly) {
    b.op('Sub', [x, mean], {}, node.outputs[0]);
    return;
  }
  const centred = b.op('Sub', [x, mean]);
  const variance = b.op('ReduceMean', [b.op('Mul', [centred, centred]), axes]);
  const divisor = b.op('Add', [b.op('Sqrt', [variance]), epsilon]);
  b.op('Div', [centred, divisor], {}, node.outputs[0]);
}

/** x·sigmoid(alpha·x): ONNX Runtime has no kernel for the whole. */
function swish(node: Node, { b }: Scope): undefined {
  const [x] = node.inputs;
  const alpha = floatAttribute(node, 'alpha', 1);
  b.op('Mul', [x, b.op('Sigmoid', [b.scale(x, alpha)])], {}, node.outputs[0]);
}

/** Recurrent operators with the batch first, which ONNX Runtime refuses on the CPU: time first, between transposes. */
function batchSecond(node: Node, { b }: Scope): Node | undefined {
  if (intAttribute(node, 'layout', 0) === 0) return node;
  const swap = { perm: [1, 0, 2] };
  const turned = node.inputs.map((name, i) =>
    name && [0, 5, 6].includes(i) ? b.op('Transpose', [name], swap) : name,
  );
  const outputs = node.outputs.map((name) => (name ? b.fresh('time_first') : ''));
  const attributes = Object.fromEntries(withAttributes(node, { layout: undefined }).attributes);
  b.ops(node.opType, turned, outputs, attributes);
  outputs.forEach((name, i) => {
    if (name) b.op('Transpose', [name], i === 0 ? { perm: [2, 0, 1, 3] } : swap, node.outputs[i]);
  });
  return undefined;
}
