import { intsAttribute, withAttributes } from '../graph/attributes.js';
import { is } from '../graph/facts.js';
import { type Dim, type Node, readsOf } from '../graph/graph.js';
import { type Constant, numbersOf } from '../onnx/constant.js';
import type { Name } from '../graph/builder.js';

/** The nodes of a gradient, and what is known of the values that they read. */
export interface Written {
  /** In an order in which they can run. */
  readonly nodes: readonly Node[];
  readonly constants: ReadonlyMap<Name, Constant>;
  /** Dims of forward values, and of gradients where they have been given (those of what they are gradients of). */
  readonly dimsOf: (name: Name) => readonly Dim[] | undefined;
}

export interface Simplified {
  readonly nodes: readonly Node[];
  /** What a value is called now. */
  readonly nameOf: (name: Name) => Name;
}

/**
 * Leaves out what rules write for safety or for inputs that nobody asked for: unused nodes, Expand before an operator
 * that broadcasts anyway, Reshape of a Reshape, Transpose of a Transpose, both where they change nothing.
 *
 * @param wanted values that are read elsewhere
 */
export function simplify({ nodes, constants, dimsOf }: Written, wanted: readonly Name[]): Simplified {
  const renamed = new Map<Name, Name>();
  const nameOf = (name: Name): Name => renamed.get(name) ?? name;
  const made = new Map<Name, Node>();
  const dims = new Map<Name, readonly Dim[]>();
  const known = (name: Name) => dims.get(name) ?? constants.get(name)?.dims ?? dimsOf(name);
  const written: Node[] = [];
  // What a graph inside takes from around it keeps its name.
  const pinned = new Set(
    nodes.flatMap((node) => readsOf(node).filter((name) => !node.inputs.includes(name))),
  );
  for (const original of used(nodes, wanted)) {
    const node = rewrite({ ...original, inputs: original.inputs.map(nameOf) }, made, known, constants);
    const [output] = node.outputs;
    const own = dimsOf(output) ?? resultDims(node, known, constants);
    if (own) dims.set(output, own);
    if (changesNothing(node, known) && !pinned.has(output)) {
      renamed.set(output, node.inputs[0]);
      continue;
    }
    written.push(node);
    for (const name of node.outputs) made.set(name, node);
  }
  return { nodes: used(written, wanted.map(nameOf)), nameOf };
}

/** The nodes that the wanted values are computed from. */
function used(nodes: readonly Node[], wanted: readonly Name[]): Node[] {
  const needed = new Set(wanted);
  const kept: Node[] = [];
  for (const node of nodes.toReversed()) {
    if (!node.outputs.some((output) => needed.has(output))) continue;
    kept.push(node);
    for (const name of readsOf(node)) needed.add(name);
  }
  return kept.reverse();
}

type Known = (name: Name) => readonly Dim[] | undefined;

function rewrite(
  node: Node,
  made: ReadonlyMap<Name, Node>,
  known: Known,
  constants: ReadonlyMap<Name, Constant>,
): Node {
  const before = made.get(node.inputs[0]);
  if (node.opType === 'Reshape' && before?.opType === 'Reshape' && !keepsDims(node, constants))
    return { ...node, inputs: [before.inputs[0], node.inputs[1]] };
  if (node.opType === 'Transpose' && before?.opType === 'Transpose') {
    const [first, second] = [intsAttribute(before, 'perm'), intsAttribute(node, 'perm')];
    if (first && second)
      return {
        ...withAttributes(node, { perm: second.map((axis) => first[axis]) }),
        inputs: [before.inputs[0]],
      };
  }
  return is(node, 'broadcasts') ? withoutExpand(node, made, known) : node;
}

/** A Reshape target with zeros means dims of its own input, or is not known. */
function keepsDims(node: Node, constants: ReadonlyMap<Name, Constant>): boolean {
  const target = constants.get(node.inputs[1]);
  return !target || numbersOf(target).includes(0);
}

/** Reads what was repeated instead of the repetition, where the other operands have all dims of the result. */
function withoutExpand(node: Node, made: ReadonlyMap<Name, Node>, known: Known): Node {
  const place = node.inputs.findIndex((name) => made.get(name)?.opType === 'Expand');
  if (place < 0) return node;
  const whole = known(node.inputs[place]);
  const others = node.inputs.filter((_, i) => i !== place).map(known);
  const rest = broadcast(others);
  const isSame =
    whole && rest && whole.length === rest.length && whole.every((dim, i) => dim !== '' && dim === rest[i]);
  if (!isSame) return node;
  const source = (made.get(node.inputs[place]) as Node).inputs[0];
  return { ...node, inputs: node.inputs.with(place, source) };
}

function changesNothing(node: Node, known: Known): boolean {
  if (node.opType === 'Identity') return true;
  if (node.opType === 'Transpose')
    return intsAttribute(node, 'perm')?.every((axis, i) => axis === i) ?? false;
  if (node.opType !== 'Reshape') return false;
  const [from, to] = [known(node.inputs[0]), known(node.outputs[0])];
  return (
    from !== undefined &&
    to !== undefined &&
    from.length === to.length &&
    from.every((dim, i) => dim !== '' && dim === to[i])
  );
}

/** Dims of a result, for the operators where they follow from names and numbers. */
function resultDims(
  node: Node,
  known: Known,
  constants: ReadonlyMap<Name, Constant>,
): readonly Dim[] | undefined {
  if (is(node, 'elementwise')) return broadcast(node.inputs.map(known));
  if (node.opType !== 'Reshape' && node.opType !== 'Expand') return undefined;
  const target = constants.get(node.inputs[1]);
  const from = known(node.inputs[0]);
  if (!target) return undefined;
  const numbers = numbersOf(target);
  if (node.opType === 'Expand') {
    const own = broadcast([from, numbers]);
    return own?.length === numbers.length ? own : undefined;
  }
  return numbers.every((dim) => dim > 0) ? numbers : undefined;
}

/** Dims of several operands together; unknown where one of them is, or where two names meet. */
function broadcast(operands: readonly (readonly Dim[] | undefined)[]): readonly Dim[] | undefined {
  let result: readonly Dim[] = [];
  for (const dims of operands) {
    if (dims === undefined || dims.includes('')) return undefined;
    const rank = Math.max(result.length, dims.length);
    const [one, other] = [result, dims].map((list) => [...Array<Dim>(rank - list.length).fill(1), ...list]);
    const merged: Dim[] = [];
    for (let i = 0; i < rank; i++) {
      if (one[i] === other[i] || other[i] === 1) merged.push(one[i]);
      else if (one[i] === 1) merged.push(other[i]);
      else return undefined;
    }
    result = merged;
  }
  return result;
}
