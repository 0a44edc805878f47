import { numbersOf } from '../onnx/constant.js';
import { graphAttribute } from './attributes.js';
import type { Graph, Node } from './graph.js';
import { inlineBody } from './inline.js';
import { namesIn } from './writer.js';

/** Puts the chosen branch in the place of every If whose condition is a constant; the same graph where there is none. */
export function foldBranches(graph: Graph): Graph {
  const chosen = (node: Node): Graph | undefined => {
    if (node.opType !== 'If' || node.domain !== '') return undefined;
    const condition = graph.constants.get(node.inputs[0]);
    if (!condition) return undefined;
    return graphAttribute(node, numbersOf(condition)[0] ? 'then_branch' : 'else_branch');
  };
  if (!graph.nodes.some(chosen)) return graph;
  const target = { nodes: [] as Node[], constants: new Map(graph.constants), taken: namesIn(graph) };
  for (const node of graph.nodes) {
    const branch = chosen(node);
    if (branch) inlineBody(branch, { ...node, inputs: [] }, target);
    else target.nodes.push(node);
  }
  return { ...graph, nodes: target.nodes, constants: target.constants };
}
