import type { Constant } from '../onnx/constant.js';
import type { Attribute, Graph, Node } from './graph.js';

export function intAttribute(node: Node, name: string): number | undefined;
export function intAttribute(node: Node, name: string, otherwise: number): number;
export function intAttribute(node: Node, name: string, otherwise?: number): number | undefined {
  const attribute = node.attributes.get(name);
  return attribute?.kind === 'int' ? attribute.value : otherwise;
}

export function floatAttribute(node: Node, name: string, otherwise: number): number {
  const attribute = node.attributes.get(name);
  return attribute?.kind === 'float' || attribute?.kind === 'int' ? attribute.value : otherwise;
}

export function stringAttribute(node: Node, name: string, otherwise: string): string {
  const attribute = node.attributes.get(name);
  return attribute?.kind === 'string' ? attribute.value : otherwise;
}

export function intsAttribute(node: Node, name: string): readonly number[] | undefined;
export function intsAttribute(node: Node, name: string, otherwise: readonly number[]): readonly number[];
export function intsAttribute(
  node: Node,
  name: string,
  otherwise?: readonly number[],
): readonly number[] | undefined {
  const attribute = node.attributes.get(name);
  return attribute?.kind === 'ints' ? attribute.value : otherwise;
}

/** One whole number or several, each exact. */
export function exactInts(node: Node, name: string): readonly (number | bigint)[] | undefined {
  const attribute = node.attributes.get(name);
  if (attribute?.kind === 'int') return [attribute.exact ?? attribute.value];
  return attribute?.kind === 'ints' ? (attribute.exact ?? attribute.value) : undefined;
}

export function floatsAttribute(node: Node, name: string): readonly number[] | undefined {
  const attribute = node.attributes.get(name);
  return attribute?.kind === 'floats' ? attribute.value : undefined;
}

export function tensorAttribute(node: Node, name: string): Constant | undefined {
  const attribute = node.attributes.get(name);
  return attribute?.kind === 'tensor' ? attribute.value : undefined;
}

export function graphAttribute(node: Node, name: string): Graph | undefined {
  const attribute = node.attributes.get(name);
  return attribute?.kind === 'graph' ? attribute.value : undefined;
}

/** A number that is to be stored as a float even when it is whole. */
export interface Float {
  readonly float: number | readonly number[];
}
export function float(value: number | readonly number[]): Float {
  return { float: value };
}

/** What may be written for an attribute: numbers are ints unless marked with `float()`. */
export type Plain = number | string | readonly number[] | Float | Attribute;

/** Attributes from plain values; undefined ones are left out. */
export function attributesOf(plain: Readonly<Record<string, Plain | undefined>>): Map<string, Attribute> {
  const attributes = new Map<string, Attribute>();
  for (const [name, value] of Object.entries(plain)) {
    if (value !== undefined) attributes.set(name, tagged(value));
  }
  return attributes;
}

function tagged(value: Plain): Attribute {
  if (typeof value === 'number') return { kind: 'int', value };
  if (typeof value === 'string') return { kind: 'string', value };
  if (Array.isArray(value)) return { kind: 'ints', value };
  if ('float' in value)
    return typeof value.float === 'number'
      ? { kind: 'float', value: value.float }
      : { kind: 'floats', value: value.float };
  return value as Attribute;
}

/** The node with some attributes set (or removed, where undefined). */
export function withAttributes(node: Node, plain: Readonly<Record<string, Plain | undefined>>): Node {
  const attributes = new Map(node.attributes);
  for (const name of Object.keys(plain)) attributes.delete(name);
  for (const [name, attribute] of attributesOf(plain)) attributes.set(name, attribute);
  return { ...node, attributes };
}

/** The node with the graphs in its attributes changed; the same node where there are none, or none changes. */
export function withGraphs(node: Node, change: (graph: Graph) => Graph): Node {
  let attributes: Map<string, Attribute> | undefined;
  for (const [name, { kind, value }] of node.attributes) {
    const changed = kind === 'graph' ? change(value) : undefined;
    if (!changed || changed === value) continue;
    attributes ??= new Map(node.attributes);
    attributes.set(name, { kind: 'graph', value: changed });
  }
  return attributes ? { ...node, attributes } : node;
}
