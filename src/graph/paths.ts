import { ancestors, descendants, type Graph, readsOf } from './graph.js';

/** Values on the way from a value to another; what only its shape says does not count as one. */
export function between(graph: Graph, from: string, to: string): Set<string> {
  const data = {
    ...graph,
    nodes: graph.nodes.filter(({ opType }) => opType !== 'Shape' && opType !== 'Size'),
  };
  const reached = descendants(data, [from]);
  return new Set([...ancestors(graph, [to])].filter((name) => reached.has(name)));
}

/** Values through which every way from the picture to the scores goes: after them, nothing else is waited for. */
export function cutValues(graph: Graph, image: string, onPath: ReadonlySet<string>): Set<string> {
  const lastUse = new Map<string, number>();
  graph.nodes.forEach((node, i) => {
    if (node.outputs.some((name) => onPath.has(name)))
      for (const name of readsOf(node)) if (onPath.has(name)) lastUse.set(name, i);
  });
  const open = new Set([image]);
  const cuts = new Set<string>();
  graph.nodes.forEach((node, i) => {
    const made = node.outputs.filter((name) => onPath.has(name));
    if (made.length === 0) return;
    for (const name of open) if ((lastUse.get(name) ?? -1) <= i) open.delete(name);
    for (const name of made) open.add(name);
    if (open.size === 1) cuts.add(made[0]);
  });
  return cuts;
}
