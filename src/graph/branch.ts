import { numbersOf } from '../onnx/constant.js';
import { graphAttribute } from './attributes.js';
import { Builder, rewritten } from './builder.js';
import type { Graph, Node } from './graph.js';
import { inlineBody } from './inline.js';

/** Puts the chosen branch in the place of every If whose condition is a constant; the same graph where there is none. */
export function foldBranches(graph: Graph): Graph {
  const chosen = (node: Node): Graph | undefined => {
    if (node.opType !== 'If' || node.domain !== '') return undefined;
    const condition = graph.constants.get(node.inputs[0]);
    if (!condition) return undefined;
    return graphAttribute(node, numbersOf(condition)[0] ? 'then_branch' : 'else_branch');
  };
  if (!graph.nodes.some(chosen)) return graph;
  const b = new Builder(graph);
  for (const node of graph.nodes) {
    const branch = chosen(node);
    if (branch) inlineBody(branch, { ...node, inputs: [] }, b);
    else b.keep(node);
  }
  return rewritten(graph, b);
}
