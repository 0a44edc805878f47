import { ancestors, type Graph, label } from '../../graph/graph.js';
import { type Constant, floatConstant, floatsOf } from '../../onnx/constant.js';
import { isFloat } from '../../onnx/types.js';
import { random } from '../../random-stream.js';

/** Weights that are randomised together: one operator with a weight matrix or kernel, and what scales and shifts it. */
export interface WeightGroup {
  /** The operator, as messages call it. */
  readonly name: string;
  /** Names of its constants. */
  readonly constants: readonly string[];
}

/**
 * The network's weights from the scores down to the input. A group begins at an operator with a constant of two or
 * more axes (Conv, Gemm, MatMul, recurrent ones); vectors of operators above it (the scale and shift of a
 * normalisation that follows it) belong to it.
 */
export function weightGroups(graph: Graph, scores: string): WeightGroup[] {
  const needed = ancestors(graph, [scores]);
  const groups: WeightGroup[] = [];
  const seen = new Set<string>();
  let pending: string[] = [];
  for (let i = graph.nodes.length - 1; i >= 0; i--) {
    const node = graph.nodes[i];
    if (!node.outputs.some((output) => needed.has(output))) continue;
    const own = node.inputs.filter((name) => {
      const constant = graph.constants.get(name);
      return constant && isFloat(constant.type) && sizeOfConstant(constant) > 1 && !seen.has(name);
    });
    for (const name of own) seen.add(name);
    pending = [...pending, ...own];
    const isKernel = own.some((name) => (graph.constants.get(name) as Constant).dims.length >= 2);
    if (!isKernel) continue;
    groups.push({ name: label(node), constants: pending });
    pending = [];
  }
  return groups;
}

function sizeOfConstant({ dims }: Constant): number {
  return dims.reduce((product, dim) => product * dim, 1);
}

/**
 * The graph with the values of some constants in random order: a network of the same shape whose weights have the
 * same distribution and mean nothing. Each constant's order depends on the seed and its name alone, so that
 * cascading stages agree on what they share.
 */
export function shuffleConstants(graph: Graph, names: readonly string[], seed: number): Graph {
  const constants = new Map(graph.constants);
  for (const name of names) {
    const constant = graph.constants.get(name);
    if (!constant) throw new RangeError(`the graph has no constant "${name}"`);
    const values = Float32Array.from(floatsOf(constant));
    const stream = random(seed, 'weights', name);
    for (let i = values.length - 1; i > 0; i--) {
      const j = stream.below(i + 1);
      [values[i], values[j]] = [values[j], values[i]];
    }
    constants.set(name, floatConstant(values, constant.dims));
  }
  return { ...graph, constants };
}
