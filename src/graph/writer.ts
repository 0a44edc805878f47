import { type Constant, floatConstant, int64Constant } from '../onnx/constant.js';
import { DataType } from '../onnx/types.js';
import { attributesOf, type Plain } from './attributes.js';
import type { Graph, Node } from './graph.js';

/** Every name in a graph and in the graphs inside it: a new one may be none of these. */
export function namesIn(graph: Graph, names = new Set<string>()): Set<string> {
  for (const { name } of [...graph.inputs, ...graph.outputs]) names.add(name);
  for (const name of graph.constants.keys()) names.add(name);
  for (const node of graph.nodes) {
    for (const name of [...node.inputs, ...node.outputs]) names.add(name);
    for (const { kind, value } of node.attributes.values()) if (kind === 'graph') namesIn(value, names);
  }
  return names;
}

/** A name that is not taken, and is from now on. */
export function freshName(base: string, taken: Set<string>): string {
  let name = base;
  for (let i = 1; taken.has(name); i++) name = `${base}_${i}`;
  taken.add(name);
  return name;
}

/** Writes the nodes that stand for one node of the default domain, in the canonical operator set. */
export class Writer {
  readonly nodes: Node[] = [];
  readonly #node: Node;
  readonly #constants: Map<string, Constant>;
  readonly #taken: Set<string>;

  constructor(node: Node, constants: Map<string, Constant>, taken: Set<string>) {
    this.#node = node;
    this.#constants = constants;
    this.#taken = taken;
  }

  /** Adds a node; its result has a new name unless `output` gives one. '' inputs are absent. */
  op(
    opType: string,
    inputs: readonly string[],
    attributes: Record<string, Plain | undefined> = {},
    output = this.fresh(opType),
  ): string {
    this.ops(opType, inputs, [output], attributes);
    return output;
  }

  /** A node with these outputs. */
  ops(
    opType: string,
    inputs: readonly string[],
    outputs: readonly string[],
    attributes: Record<string, Plain | undefined> = {},
  ): void {
    const given = inputs.slice(0, inputs.findLastIndex(Boolean) + 1);
    const name = outputs.find(Boolean) ?? '';
    const node = { opType, domain: '', name, inputs: given, outputs, attributes: attributesOf(attributes) };
    this.nodes.push(node);
  }

  fresh(what: string): string {
    return freshName(`${this.#node.outputs.find(Boolean) ?? this.#node.name}/${what}`, this.#taken);
  }

  constant(what: string, constant: Constant): string {
    const name = this.fresh(what);
    this.#constants.set(name, constant);
    return name;
  }

  ints(what: string, values: readonly number[], dims?: readonly number[]): string {
    return this.constant(what, int64Constant(values, dims));
  }

  /** A float of a type, dims []. */
  scalar(what: string, value: number, type: DataType = DataType.FLOAT): string {
    if (type !== DataType.DOUBLE) return this.constant(what, floatConstant([value], []));
    return this.constant(what, { type, dims: [], bytes: new Uint8Array(Float64Array.of(value).buffer) });
  }
}
