import { intsAttribute } from './attributes.js';
import { numbersOf } from '../onnx/constant.js';
import { is } from './facts.js';
import { type Graph, type Node, valueInfo } from './graph.js';

/**
 * Values that are pictures, [N, K, ...spatial], and not tokens, windows, attention or channels-last tensors of the
 * same rank: operators on pictures make or read them, or elementwise ones lead from or to such a value.
 */
export function pictureValues(graph: Graph, image: string): Set<string> {
  const found = new Set([image]);
  const rank = valueInfo(graph, image).dims?.length ?? 4;
  for (const node of graph.nodes) {
    if (is(node, 'spatial')) for (const name of ends(node)) found.add(name);
    else if (node.opType === 'ReduceMean' && node.domain === '' && reducesSpace(node, graph, rank))
      found.add(node.inputs[0]);
  }
  for (let size = -1; size !== found.size; ) {
    size = found.size;
    for (const nodes of [graph.nodes, graph.nodes.toReversed()])
      for (const node of nodes)
        if (is(node, 'elementwise') || is(node, 'keepsLayout')) spread(node, graph, found);
  }
  return found;
}

function ends({ inputs, outputs }: Node): string[] {
  return [inputs[0], outputs[0]];
}

/** A mean over all axes from the third on is global average pooling. */
function reducesSpace(node: Node, graph: Graph, rank: number): boolean {
  const constant = graph.constants.get(node.inputs[1] ?? '');
  const axes = constant ? numbersOf(constant) : intsAttribute(node, 'axes', []);
  return axes.length === rank - 2 && axes.every((axis) => (axis < 0 ? axis + rank : axis) >= 2);
}

/** Operands of the rank of the result are alike; a gate or a bias of smaller dims takes no part. */
function spread(node: Node, graph: Graph, found: Set<string>): void {
  const rank = valueInfo(graph, node.outputs[0]).dims?.length;
  const alike = [...node.inputs, ...node.outputs].filter(
    (name) => name && !graph.constants.has(name) && valueInfo(graph, name).dims?.length === rank,
  );
  if (alike.some((name) => found.has(name))) for (const name of alike) found.add(name);
}
