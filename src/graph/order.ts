import { GradcamppError } from '../errors.js';
import { label, type Node, readsOf } from './graph.js';

/**
 * Nodes in an order in which they can run: as they are stored, except that each comes after those whose values it reads.
 * Converters append nodes at the end, and ONNX Runtime sorts them as well.
 *
 * @throws GradcamppError INVALID_MODEL where two nodes make one value, or nodes wait for each other
 */
export function inOrder(nodes: readonly Node[]): Node[] {
  const made = producersOf(nodes);
  const ordered: Node[] = [];
  const isDone = new Set<Node>();
  const isOpen = new Set<Node>();
  for (const first of nodes) {
    // A stack of its own: thousands of nodes can be stored back to front.
    const stack: { node: Node; reads: Node[] }[] = [];
    const open = (node: Node) => {
      isOpen.add(node);
      stack.push({ node, reads: readsOf(node).flatMap((name) => made.get(name) ?? []) });
    };
    if (!isDone.has(first)) open(first);
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const next = top.reads.shift();
      if (next === undefined) {
        stack.pop();
        isDone.add(top.node);
        ordered.push(top.node);
      } else if (!isDone.has(next)) {
        if (isOpen.has(next)) throw circle(next, top.node);
        open(next);
      }
    }
  }
  return ordered;
}

function producersOf(nodes: readonly Node[]): Map<string, Node> {
  const made = new Map<string, Node>();
  for (const node of nodes)
    for (const output of node.outputs) {
      const other = output && made.get(output);
      if (other)
        throw new GradcamppError(
          'INVALID_MODEL',
          `The value ${JSON.stringify(output)} is made twice, by ${label(other)} and by ${label(node)}; only one node may make it.`,
        );
      if (output) made.set(output, node);
    }
  return made;
}

function circle(one: Node, other: Node): GradcamppError {
  const which =
    one === other
      ? `${label(one)} reads its own output`
      : `${label(one)} and ${label(other)} wait for each other's outputs`;
  return new GradcamppError(
    'INVALID_MODEL',
    `${which}: the model's nodes form a circle, so none of them can run first.`,
  );
}
