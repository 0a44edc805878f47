import {
  descendants,
  type Graph,
  type Node,
  producers,
  readsOf,
  subgraph,
  type ValueInfo,
} from '../graph/graph.js';
import { DataType } from '../onnx/types.js';
import { valueInfo } from '../graph/graph.js';
import { intAttribute } from '../graph/attributes.js';
import type { Name } from '../graph/builder.js';

/** A network cut where the seed enters: what is computed once a picture, and what once a target. */
export interface SplitGraph {
  /** Inputs → `fetch` and the saved values. */
  readonly forward: Graph;
  /** Saved values and seed → gradients. */
  readonly backward: Graph;
  /** Values that the forward part hands to the backward part. */
  readonly saved: readonly Name[];
}

/**
 * Cuts a graph with gradients in two. Everything that does not depend on the seed, masks included, belongs to the
 * forward part, so several targets of one picture share it; masks cross the cut as bools.
 *
 * @param fetch values of the forward part that the caller wants
 * @param gradients values of the backward part that the caller wants
 */
export function splitAtSeed(
  graph: Graph,
  seed: ValueInfo,
  fetch: readonly Name[],
  gradients: readonly Name[],
): SplitGraph {
  const dependent = descendants(graph, [seed.name]);
  const varying = descendants(
    graph,
    graph.inputs.map((input) => input.name),
  );
  const made = producers(graph);
  const behind = new Set<Node>();
  const saved = new Set<Name>();
  const visit = (name: Name): void => {
    const node = made.get(name);
    if (name === seed.name || graph.constants.has(name)) return;
    if (!node || !(dependent.has(name) || !varying.has(name) || isCheap(node, graph))) {
      saved.add(name);
      return;
    }
    if (behind.has(node)) return;
    behind.add(node);
    for (const read of readsOf(node)) visit(read); // a Scan's body reads around it too
  };
  gradients.forEach(visit);
  const info = (name: Name) => valueInfo(graph, name);
  const outputs = [...new Set([...fetch, ...saved])];
  return {
    forward: subgraph(graph, graph.inputs, outputs.map(info)),
    backward: subgraph(
      { ...graph, nodes: graph.nodes.filter((node) => behind.has(node)) },
      [seed, ...[...saved].map(info)],
      gradients.map(info),
    ),
    saved: [...saved],
  };
}

/** Done again for each target rather than kept: a mask as numbers is four times a mask as bools. */
function isCheap(node: Node, graph: Graph): boolean {
  if (node.opType !== 'Cast' || graph.values.has(node.outputs[0])) return false;
  return intAttribute(node, 'to', 0) === DataType.FLOAT;
}
