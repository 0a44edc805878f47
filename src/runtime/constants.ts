import type { Constant } from '../onnx/constant.js';
import { byteLength, DataType } from '../onnx/types.js';
import { sizeOf } from '../tensor.js';
import { intAttribute } from '../graph/attributes.js';
import { is } from '../graph/facts.js';
import {
  dimsAreKnown,
  type Graph,
  type Node,
  readsOf,
  subgraph,
  type ValueInfo,
  valueInfo,
} from '../graph/graph.js';
import { openSession } from './session.js';

const types: Record<string, DataType> = {
  float32: DataType.FLOAT,
  float64: DataType.DOUBLE,
  int64: DataType.INT64,
  int32: DataType.INT32,
  uint8: DataType.UINT8,
  int8: DataType.INT8,
  bool: DataType.BOOL,
};
const kept = new Set<DataType | undefined>(Object.values(types));

/** A result up to this many bytes is always kept in the place of what makes it; a larger one only where it is not much larger. */
const smallBytes = 2 ** 20;
const mostGrowth = 8;

/**
 * Computes what depends on constants alone and puts the results in its place. Wants dims to be known: what would make
 * the model much larger stays as it is. Returns the same graph where there is nothing to compute.
 *
 * @param keep constants from which nothing is computed, because somebody wants their gradients
 */
export async function foldConstants(graph: Graph, keep: readonly string[] = []): Promise<Graph> {
  const fixed = new Set(graph.constants.keys());
  for (const name of keep) fixed.delete(name);
  const nodes = graph.nodes.filter((node) => {
    const reads = readsOf(node);
    const isFixed =
      reads.length > 0 &&
      node.domain === '' &&
      !is(node, 'random') &&
      !is(node, 'runsGraph') &&
      intAttribute(node, 'training_mode', 0) === 0 && // see graph/inference.ts
      reads.every((name) => fixed.has(name)) &&
      isModest(graph, node);
    if (isFixed) for (const output of node.outputs) fixed.add(output);
    return isFixed;
  });
  if (nodes.length === 0) return graph;
  const folded = new Set(nodes);
  const rest = graph.nodes.filter((node) => !folded.has(node));
  const read = new Set([...rest.flatMap(readsOf), ...graph.outputs.map((output) => output.name)]);
  const wanted = nodes.flatMap((node) => node.outputs).filter((name) => read.has(name));
  const values = wanted.length > 0 ? await evaluate({ ...graph, nodes }, wanted) : [];
  return { ...graph, nodes: rest, constants: new Map([...graph.constants, ...values]) };
}

/** Whether a node's outputs can be kept as constants: of a type that has a typed array, and not too large. */
function isModest(graph: Graph, node: Node): boolean {
  const bytesOf = (name: string): number | undefined => {
    const { type, dims } = valueInfo(graph, name);
    return type !== undefined && dimsAreKnown(dims) ? byteLength(type, sizeOf(dims)) : undefined;
  };
  const outputs = node.outputs.filter(Boolean);
  if (!outputs.every((name) => kept.has(valueInfo(graph, name).type))) return false;
  const sizes = outputs.map(bytesOf);
  if (sizes.includes(undefined)) return !is(node, 'growing');
  const sum = (list: readonly (number | undefined)[]) =>
    list.reduce<number>((total, size) => total + (size ?? 0), 0);
  const made = sum(sizes);
  return made <= smallBytes || made <= mostGrowth * sum(node.inputs.filter(Boolean).map(bytesOf));
}

/** Runs the part of a graph that needs no input. Values of types that have no typed array are left out. */
export async function evaluate(graph: Graph, names: readonly string[]): Promise<Map<string, Constant>> {
  const outputs = names.map((name): ValueInfo => ({ name, type: undefined, dims: undefined }));
  const session = await openSession(subgraph(graph, [], outputs), { threads: 1 }, { level: 'disabled' });
  try {
    const results = await session.run({});
    const constants = new Map<string, Constant>();
    for (const [name, tensor] of Object.entries(results)) {
      const type = types[tensor.type];
      if (type === undefined) continue;
      const { buffer, byteOffset, byteLength } = tensor.data;
      constants.set(name, { type, dims: tensor.dims, bytes: new Uint8Array(buffer, byteOffset, byteLength) });
    }
    return constants;
  } finally {
    await session.close();
  }
}
