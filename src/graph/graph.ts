import type { AttributeProto } from '../onnx/onnx_pb.js';
import type { Constant } from '../onnx/constant.js';
import type { DataType } from '../onnx/types.js';

/** A size, the name of a symbolic one, or '' where nothing is known. */
export type Dim = number | string;

export interface ValueInfo {
  readonly name: string;
  /** undefined where unknown, or not a tensor. */
  readonly type: DataType | undefined;
  /** undefined where the rank is unknown. */
  readonly dims: readonly Dim[] | undefined;
  /** Whether ONNX Runtime cannot tell these dims by itself: they were computed, or the file says so. */
  readonly isNoted?: boolean;
}

export type Attribute =
  /** `exact` where a number cannot hold it, beyond 2^53. */
  | { readonly kind: 'int'; readonly value: number; readonly exact?: bigint }
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'ints'; readonly value: readonly number[]; readonly exact?: readonly bigint[] }
  | { readonly kind: 'floats'; readonly value: readonly number[] }
  | { readonly kind: 'strings'; readonly value: readonly string[] }
  | { readonly kind: 'tensor'; readonly value: Constant }
  | { readonly kind: 'graph'; readonly value: Graph }
  | { readonly kind: 'other'; readonly value: AttributeProto };

export interface Node {
  readonly opType: string;
  /** '' is the default ONNX domain. */
  readonly domain: string;
  /** Which of several functions of that name; of calls of the model's own functions alone. */
  readonly overload?: string;
  readonly name: string;
  /** '' stands for an optional input or output that is absent. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, Attribute>;
  /** Of a node that stands for another: what messages call it, the operator and name of that in the file. */
  readonly origin?: string;
}

/**
 * A network as we reason about it: nodes in an order in which they can run, constants apart from inputs.
 * Graphs are never changed in place: each stage returns a new one that shares nodes and constants.
 */
export interface Graph {
  readonly name: string;
  /** Version of the default operator set. */
  readonly opset: number;
  /** That of the file, where the graph was raised to another. */
  readonly ownOpset?: number;
  /** Versions of the other operator sets, by domain. */
  readonly domains: ReadonlyMap<string, number>;
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly nodes: readonly Node[];
  readonly constants: ReadonlyMap<string, Constant>;
  /** What is known about types and dims; complete after `runtime/infer`. */
  readonly values: ReadonlyMap<string, ValueInfo>;
  readonly metadata: ReadonlyMap<string, string>;
  /** What the user should know of how it is read: a sentence each. */
  readonly notes?: readonly string[];
}

/** `Conv "layer1/conv"`, or the first output's name where the node has none; as in the file. */
export function label(node: Node): string {
  if (node.origin !== undefined) return node.origin;
  const op = node.domain ? `${node.domain}.${node.opType}` : node.opType;
  return `${op} "${node.name || node.outputs.find(Boolean) || ''}"`;
}

/** The values of a graph itself: inputs, constants, and what its nodes make. */
export function namesOf(graph: Graph): string[] {
  return [
    ...graph.inputs.map((input) => input.name),
    ...graph.constants.keys(),
    ...graph.nodes.flatMap((node) => node.outputs.filter(Boolean)),
  ];
}

/** Which node makes each value. */
export function producers(graph: Graph): Map<string, Node> {
  const made = new Map<string, Node>();
  for (const node of graph.nodes) for (const output of node.outputs) if (output) made.set(output, node);
  return made;
}

/** Which nodes read each value, once for every time; the graph's outputs count as read by nodes that are none. */
export function readersOf(graph: Graph): Map<string, (Node | undefined)[]> {
  const readers = new Map<string, (Node | undefined)[]>();
  const add = (name: string, node?: Node) => readers.set(name, [...(readers.get(name) ?? []), node]);
  for (const node of graph.nodes) for (const name of readsOf(node)) add(name, node);
  for (const { name } of graph.outputs) add(name);
  return readers;
}

/** Every name a node reads, those that its subgraphs take from outside included. */
export function readsOf(node: Node): string[] {
  const names = node.inputs.filter(Boolean);
  for (const { kind, value } of node.attributes.values())
    if (kind === 'graph') names.push(...captures(value));
  return names;
}

/** Names that a subgraph takes from the graph around it. */
export function captures(graph: Graph): string[] {
  const own = new Set([...graph.constants.keys(), ...graph.inputs.map((input) => input.name)]);
  for (const node of graph.nodes) for (const output of node.outputs) own.add(output);
  const names = new Set<string>();
  for (const node of graph.nodes) for (const name of readsOf(node)) if (!own.has(name)) names.add(name);
  for (const { name } of graph.outputs) if (!own.has(name)) names.add(name);
  return [...names];
}

/** Names of all values from which `targets` are computed, themselves included. */
export function ancestors(graph: Graph, targets: Iterable<string>): Set<string> {
  const needed = new Set(targets);
  for (let i = graph.nodes.length - 1; i >= 0; i--) {
    const node = graph.nodes[i];
    if (node.outputs.some((output) => needed.has(output))) for (const name of readsOf(node)) needed.add(name);
  }
  return needed;
}

/** Names of all values that are computed from `sources`, themselves included. */
export function descendants(graph: Graph, sources: Iterable<string>): Set<string> {
  const reached = new Set(sources);
  for (const node of graph.nodes)
    if (readsOf(node).some((name) => reached.has(name)))
      for (const output of node.outputs) if (output) reached.add(output);
  return reached;
}

/**
 * The part of a graph that computes `outputs` from `inputs`; what lies behind the inputs is left out.
 * Unused constants go too.
 */
export function subgraph(graph: Graph, inputs: readonly ValueInfo[], outputs: readonly ValueInfo[]): Graph {
  const given = new Set(inputs.map((input) => input.name));
  const needed = new Set(outputs.map((output) => output.name));
  const nodes: Node[] = [];
  for (let i = graph.nodes.length - 1; i >= 0; i--) {
    const node = graph.nodes[i];
    if (!node.outputs.some((output) => needed.has(output) && !given.has(output))) continue;
    nodes.push(node);
    for (const name of readsOf(node)) needed.add(name);
  }
  const constants = new Map([...graph.constants].filter(([name]) => needed.has(name)));
  return { ...graph, inputs, outputs, nodes: nodes.reverse(), constants };
}

/** A value's type and dims as far as they are known. */
export function valueInfo(graph: Graph, name: string): ValueInfo {
  const known = graph.values.get(name) ?? graph.inputs.find((input) => input.name === name);
  if (known) return known;
  const constant = graph.constants.get(name);
  return constant
    ? { name, type: constant.type, dims: constant.dims }
    : { name, type: undefined, dims: undefined };
}

export function dimsAreKnown(dims: readonly Dim[] | undefined): dims is readonly number[] {
  return dims?.every((dim) => typeof dim === 'number') ?? false;
}
