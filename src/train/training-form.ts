import { intAttribute, withAttributes } from '../graph/attributes.js';
import { Names } from '../graph/builder.js';
import type { Name } from '../graph/builder.js';
import { type Graph, type Node, subgraph } from '../graph/graph.js';
import { forInference } from '../graph/inference.js';
import { DataType } from '../onnx/types.js';

/**
 * The network with batch normalisation by the statistics of each batch, the running ones as further outputs of its nodes: as it
 * is trained. Networks whose batch normalisation was folded into convolutions stay as they are.
 *
 * @param only whether a node is put into training mode; default: all
 */
export function forTraining(graph: Graph, only: (node: Node) => boolean = () => true): Graph {
  const nodes = graph.nodes.map((node) =>
    node.opType === 'BatchNormalization' && node.domain === '' && only(node)
      ? withAttributes(node, { training_mode: 1 })
      : node,
  );
  return { ...graph, nodes };
}

/** The network as it is used: forInference without a note, and nothing that its outputs do not read. */
export function forUse(graph: Graph): Graph {
  const inferred = forInference(graph);
  return { ...subgraph(inferred, inferred.inputs, inferred.outputs), notes: graph.notes };
}

/** A network, and where the next value of each of its running statistics is. */
export interface WithState {
  readonly graph: Graph;
  /** By the constant that holds the present value. */
  readonly state: ReadonlyMap<Name, Name>;
}

/** Makes every batch normalisation in training mode give its running statistics. */
export function withRunningStatistics(graph: Graph): WithState {
  const names = Names.of(graph);
  const state = new Map<Name, Name>();
  const nodes = graph.nodes.map((node) => {
    if (node.opType !== 'BatchNormalization' || intAttribute(node, 'training_mode', 0) === 0) return node;
    const [output] = node.outputs;
    const statistics = [3, 4].map((input, i) => {
      const name = node.inputs[input];
      const next = node.outputs[i + 1] || names.free(`${name}/next`);
      if (graph.constants.has(name)) state.set(name, next);
      return next;
    });
    return { ...node, outputs: [output, ...statistics] };
  });
  return { graph: { ...graph, nodes }, state };
}

/** Which inputs of an operator are learned, where they are constants. */
const learned: Readonly<Record<string, readonly number[]>> = {
  BatchNormalization: [1, 2],
  Conv: [1, 2],
  ConvTranspose: [1, 2],
  Gemm: [1, 2],
  GroupNormalization: [1, 2],
  InstanceNormalization: [1, 2],
  LayerNormalization: [1, 2],
  MatMul: [0, 1],
  PRelu: [1],
};

/**
 * The constants of a network that training moves: weights and biases of its operators, in the order in which they are read.
 *
 * @param only whether those of a node are meant; default: all
 */
export function weightsOf(graph: Graph, only: (node: Node) => boolean = () => true): Name[] {
  const found = new Set<Name>();
  for (const { opType, domain, inputs } of graph.nodes.filter(only))
    for (const place of (domain === '' && learned[opType]) || [])
      if (graph.constants.get(inputs[place])?.type === DataType.FLOAT) found.add(inputs[place]);
  return [...found];
}

/** Those of the weights that decay by convention: matrices and kernels, not biases and what normalisations scale by. */
export function decayingWeights(graph: Graph, weights: readonly Name[]): Name[] {
  return weights.filter((name) => (graph.constants.get(name)?.dims.length ?? 0) > 1);
}
