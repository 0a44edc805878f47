import { numbersOf } from '../onnx/constant.js';
import { intAttribute } from './attributes.js';
import { Builder, rewritten } from './builder.js';
import { type Graph, type Node, producers, valueInfo } from './graph.js';

/**
 * Sequences whose items are known at build time, as the tensors that they hold: SequenceAt of SequenceConstruct, or
 * of what was inserted one by one, is an item, SequenceAt of SplitToSequence a part, ConcatFromSequence of either a Concat. The same graph where there is none.
 */
export function foldSequences(graph: Graph): Graph {
  if (!graph.nodes.some(({ opType }) => opType === 'SequenceAt' || opType === 'ConcatFromSequence'))
    return graph;
  const made = producers(graph);
  const b = new Builder(graph);
  const parts = new Map<Node, readonly string[]>();
  const itemsOf = (name: string): readonly string[] | undefined => {
    const node = made.get(name);
    if (node?.opType === 'SequenceConstruct') return node.inputs;
    if (node?.opType === 'SequenceEmpty') return [];
    return node?.opType === 'SequenceInsert'
      ? inserted(graph, node, itemsOf(node.inputs[0]))
      : node && parts.get(node);
  };
  const asked = new Set(
    graph.nodes.flatMap(({ opType, inputs }) =>
      opType === 'SequenceAt' || opType === 'ConcatFromSequence' ? inputs.slice(0, 1) : [],
    ),
  );
  let changed = false;
  for (const node of graph.nodes) {
    b.at(node.outputs[0]);
    if (node.opType === 'SplitToSequence' && asked.has(node.outputs[0]))
      parts.set(node, splitNodes(graph, node, b));
    const items = itemsOf(node.inputs[0]) ?? [];
    const written = items.length > 0 && writeItem(graph, node, items, b);
    if (!written) b.keep(node);
    changed ||= written;
  }
  return changed ? rewritten(graph, b) : graph;
}

/** Items with another at a place, or behind them; undefined where it is not known which they are. */
function inserted(
  graph: Graph,
  { inputs: [, item, at] }: Node,
  items: readonly string[] | undefined,
): readonly string[] | undefined {
  const place = at ? graph.constants.get(at) : undefined;
  if (!items || (at && !place)) return undefined;
  return items.toSpliced(place ? numbersOf(place)[0] : items.length, 0, item);
}

/** What stands for a node that reads a sequence of these items; false where it is none, or not known which item. */
function writeItem(graph: Graph, node: Node, items: readonly string[], b: Builder): boolean {
  const [output] = node.outputs;
  if (node.opType === 'SequenceAt') {
    const index = graph.constants.get(node.inputs[1]);
    const item = index && items.at(numbersOf(index)[0]);
    if (item !== undefined) b.copy(item, output);
    return item !== undefined;
  }
  if (node.opType !== 'ConcatFromSequence') return false;
  const axis = intAttribute(node, 'axis', 0);
  const isNew = intAttribute(node, 'new_axis', 0) === 1;
  const wide = isNew ? items.map((item) => b.op('Unsqueeze', [item, b.ints([axis])])) : items;
  b.op('Concat', wide, { axis }, output);
  return true;
}

/** Beyond this many parts a sequence stays one. */
const mostParts = 4096;

/** A Split and, where the parts lose their axis, a Squeeze each; nothing where the number of parts is not known. */
function splitNodes(graph: Graph, node: Node, b: Builder): readonly string[] {
  const dims = valueInfo(graph, node.inputs[0]).dims;
  const axis = intAttribute(node, 'axis', 0);
  const dim = dims?.at(axis);
  const given = node.inputs[1] ? graph.constants.get(node.inputs[1]) : undefined;
  if (typeof dim !== 'number' || (node.inputs[1] && !given)) return [];
  const size = given ? numbersOf(given) : [1];
  const isEach = given === undefined || given.dims.length === 0;
  const count = isEach ? Math.ceil(dim / size[0]) : size.length;
  if (!(count >= 1 && count <= mostParts)) return [];
  const sizes = isEach ? Array.from({ length: count }, (_, i) => Math.min(size[0], dim - i * size[0])) : size;
  const outputs = b.ops('Split', [node.inputs[0], b.ints(sizes)], sizes.length, { axis });
  if (given || intAttribute(node, 'keepdims', 1) === 1) return outputs;
  return outputs.map((part) => b.op('Squeeze', [part, b.ints([axis])]));
}
