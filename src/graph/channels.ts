import { numbersOf } from '../onnx/constant.js';
import { intAttribute } from './attributes.js';
import { is } from './facts.js';
import { type Dim, type Graph, type Node, readersOf, valueInfo } from './graph.js';

/**
 * Values whose channels are the classes: the score of a class looks at one channel of it and at no other, so that no way
 * of weighing channels differs from another.
 *
 * @param onPath the values between picture and scores
 */
export function classMaps(graph: Graph, scores: string, onPath: ReadonlySet<string>): Set<string> {
  const classes = channelsOf(graph, scores);
  const found = new Set<string>();
  if (typeof classes !== 'number' || classes === 1) return found;
  const readers = readersOf(graph);
  const leadsOn = (reader: Node | undefined): reader is Node =>
    reader?.outputs.some((name) => onPath.has(name)) ?? false;
  const staysApart = (reader: Node) => {
    const [output] = reader.outputs;
    return (output === scores || found.has(output)) && keepsChannelsApart(reader, graph);
  };
  for (const { outputs } of graph.nodes.toReversed())
    for (const name of outputs) {
      if (name === scores || !onPath.has(name) || channelsOf(graph, name) !== classes) continue;
      const onward = (readers.get(name) ?? []).filter(leadsOn);
      if (onward.length > 0 && onward.every(staysApart)) found.add(name);
    }
  return found;
}

/** Whether channel k of the output follows from channels k of the inputs alone. */
function keepsChannelsApart(node: Node, graph: Graph): boolean {
  if (is(node, 'elementwise') || is(node, 'channelwise')) return true;
  if (is(node, 'onlyDims')) return channelsOf(graph, node.inputs[0]) === channelsOf(graph, node.outputs[0]);
  return is(node, 'reduces') && (reducedAxes(node, graph)?.every((axis) => axis >= 2) ?? false);
}

/** K of [N, K, ...]; of [K] where there is no N. */
function channelsOf(graph: Graph, name: string): Dim | undefined {
  const { dims } = valueInfo(graph, name);
  return dims?.length === 1 ? dims[0] : dims?.[1];
}

/** The axes that a Reduce operator works on, counted from the front; undefined where that is not known. */
export function reducedAxes(node: Node, graph: Graph): number[] | undefined {
  const rank = valueInfo(graph, node.inputs[0]).dims?.length;
  const constant = graph.constants.get(node.inputs[1] ?? '');
  if (rank === undefined || (node.inputs[1] && !constant)) return undefined;
  const axes = constant ? numbersOf(constant) : [];
  if (axes.length > 0) return axes.map((axis) => (axis < 0 ? axis + rank : axis));
  return intAttribute(node, 'noop_with_empty_axes', 0) === 1 ? [] : Array.from({ length: rank }, (_, i) => i);
}

/** Whether a node takes the mean of every channel: [N, K, ...spatial] → [N, K] or [N, K, 1, …]. */
export function isGlobalAverage(node: Node, graph: Graph): boolean {
  if (node.opType === 'GlobalAveragePool') return node.domain === '';
  return node.opType === 'ReduceMean' && node.domain === '' && reducesSpace(node, graph);
}

/** Whether a Reduce operator works on all axes behind N and K. */
function reducesSpace(node: Node, graph: Graph): boolean {
  const rank = valueInfo(graph, node.inputs[0]).dims?.length ?? 0;
  const axes = new Set(reducedAxes(node, graph));
  return rank > 2 && axes.size === rank - 2 && !axes.has(0) && !axes.has(1);
}
