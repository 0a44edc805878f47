import { type Constant, int64Constant, numbersOf } from '../onnx/constant.js';
import { attributesOf, intAttribute } from './attributes.js';
import { type Graph, type Node, producers, valueInfo } from './graph.js';
import { freshName, namesIn } from './writer.js';

/**
 * Sequences whose items are known at build time, as the tensors that they hold: SequenceAt of SequenceConstruct is an
 * item, SequenceAt of SplitToSequence a part, ConcatFromSequence of either a Concat. The same graph where there is none.
 */
export function foldSequences(graph: Graph): Graph {
  if (!graph.nodes.some(({ opType }) => opType === 'SequenceAt' || opType === 'ConcatFromSequence'))
    return graph;
  const made = producers(graph);
  const constants = new Map(graph.constants);
  const taken = namesIn(graph);
  const splits = new Map<Node, readonly Node[]>();
  const itemsOf = (name: string): readonly string[] | undefined => {
    const node = made.get(name);
    if (node?.opType === 'SequenceConstruct') return node.inputs;
    if (node?.opType !== 'SplitToSequence') return undefined;
    if (!splits.has(node)) splits.set(node, splitNodes(graph, node, constants, taken));
    const parts = splits.get(node) as readonly Node[];
    const squeezed = parts.slice(1).flatMap((part) => part.outputs);
    return squeezed.length > 0 ? squeezed : parts[0]?.outputs;
  };
  let changed = false;
  const nodes = graph.nodes.map((node): readonly Node[] => {
    const items =
      node.opType === 'SequenceAt' || node.opType === 'ConcatFromSequence'
        ? itemsOf(node.inputs[0])
        : undefined;
    if (!items || items.length === 0) return [node];
    if (node.opType === 'SequenceAt') {
      const constant = constants.get(node.inputs[1]);
      const item = constant && items.at(numbersOf(constant)[0]);
      if (item === undefined) return [node];
      changed = true;
      return [{ ...node, opType: 'Identity', inputs: [item], attributes: new Map() }];
    }
    changed = true;
    const axis = intAttribute(node, 'axis', 0);
    const attributes = attributesOf({ axis });
    if (intAttribute(node, 'new_axis', 0) === 0)
      return [{ ...node, opType: 'Concat', inputs: items, attributes }];
    const axes = freshName(`${node.outputs[0]}/axes`, taken);
    constants.set(axes, int64Constant([axis]));
    const wide = items.map((item): Node => {
      const output = freshName(`${node.outputs[0]}/item`, taken);
      return {
        opType: 'Unsqueeze',
        domain: '',
        name: output,
        inputs: [item, axes],
        outputs: [output],
        attributes: new Map(),
      };
    });
    const inputs = wide.flatMap(({ outputs }) => outputs);
    return [...wide, { ...node, opType: 'Concat', inputs, attributes }];
  });
  if (!changed) return graph;
  return {
    ...graph,
    constants,
    nodes: nodes.flatMap((list, i) => [...(splits.get(graph.nodes[i]) ?? []), ...list]),
  };
}

/** A Split and, where the parts lose their axis, a Squeeze each; nothing where the number of parts is not known. */
function splitNodes(graph: Graph, node: Node, constants: Map<string, Constant>, taken: Set<string>): Node[] {
  const dims = valueInfo(graph, node.inputs[0]).dims;
  const axis = intAttribute(node, 'axis', 0);
  const dim = dims?.at(axis);
  const given = node.inputs[1] ? constants.get(node.inputs[1]) : undefined;
  if (typeof dim !== 'number' || (node.inputs[1] && !given)) return [];
  const size = given ? numbersOf(given) : [1];
  const isEach = given === undefined || given.dims.length === 0;
  const sizes = isEach
    ? Array.from({ length: Math.ceil(dim / size[0]) }, (_, i) => Math.min(size[0], dim - i * size[0]))
    : size;
  const outputs = sizes.map(() => freshName(`${node.outputs[0]}/part`, taken));
  const split = freshName(`${node.outputs[0]}/split`, taken);
  constants.set(split, int64Constant(sizes));
  const parts: Node = {
    opType: 'Split',
    domain: '',
    name: split,
    inputs: [node.inputs[0], split],
    outputs,
    attributes: attributesOf({ axis }),
  };
  if (given || intAttribute(node, 'keepdims', 1) === 1) return [parts];
  const axes = freshName(`${node.outputs[0]}/axes`, taken);
  constants.set(axes, int64Constant([axis]));
  const squeezed = outputs.map((part): Node => {
    const output = freshName(`${part}/item`, taken);
    return {
      opType: 'Squeeze',
      domain: '',
      name: output,
      inputs: [part, axes],
      outputs: [output],
      attributes: new Map(),
    };
  });
  return [parts, ...squeezed];
}
