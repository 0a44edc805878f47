import { isGlobalAverage } from './channels.js';
import { is } from './facts.js';
import { type Graph, type Node, valueInfo } from './graph.js';

/**
 * Values that are pictures, [N, K, ...spatial], and not tokens, windows, attention or channels-last tensors of the
 * same rank: operators on pictures make or read them, or elementwise ones lead from or to such a value.
 */
export function pictureValues(graph: Graph, image: string): Set<string> {
  const found = new Set([image]);
  for (const node of graph.nodes) {
    if (is(node, 'spatial')) for (const name of ends(node)) found.add(name);
    else if (isGlobalAverage(node, graph)) found.add(node.inputs[0]);
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

/** Operands of the rank of the result are alike; a gate or a bias of smaller dims takes no part. */
function spread(node: Node, graph: Graph, found: Set<string>): void {
  const rank = valueInfo(graph, node.outputs[0]).dims?.length;
  const alike = [...node.inputs, ...node.outputs].filter(
    (name) => name && !graph.constants.has(name) && valueInfo(graph, name).dims?.length === rank,
  );
  if (alike.some((name) => found.has(name))) for (const name of alike) found.add(name);
}
