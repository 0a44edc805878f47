import { Builder, rewritten } from '../graph/builder.js';
import { type Graph, producers } from '../graph/graph.js';
import { DataType } from '../onnx/types.js';

/**
 * The graph with the linear layer that the scores come from in float64, and they too. A change of the layer can move a score by
 * less than a sum in float32 rounds it; what precedes it differs by more than its own rounding. Other graphs stay as they are.
 */
export function withExactScores(graph: Graph): Graph {
  const [output] = graph.outputs;
  const last = linearEnd(graph, output.name);
  if (last.size === 0) return graph;
  const b = new Builder(graph);
  b.at('exact');
  const wide = new Map<string, string>();
  const widened = (name: string): string => {
    const made = wide.get(name) ?? b.op('Cast', [name], { to: DataType.DOUBLE });
    wide.set(name, made);
    return made;
  };
  for (const node of graph.nodes) {
    if (!last.has(node.outputs[0])) {
      b.keep(node);
      continue;
    }
    b.keep({ ...node, inputs: node.inputs.map((name) => (name && !last.has(name) ? widened(name) : name)) });
  }
  return { ...rewritten(graph, b), outputs: [{ ...output, type: DataType.DOUBLE }] };
}

/** The values of Gemm, or of MatMul and what adds a constant to it, at the end of a float32 graph; none where it ends otherwise. */
function linearEnd(graph: Graph, output: string): Set<string> {
  const made = producers(graph);
  const isFloat = (name: string) => (graph.values.get(name)?.type ?? DataType.FLOAT) === DataType.FLOAT;
  const node = made.get(output);
  if (!node || !isFloat(output)) return new Set();
  if (node.opType === 'Gemm' || node.opType === 'MatMul') return new Set([output]);
  const product = node.opType === 'Add' && node.inputs.find((name) => made.get(name)?.opType === 'MatMul');
  const isBias = node.inputs.some((name) => graph.constants.has(name));
  return new Set(product && isBias ? [output, product] : []);
}
