import { appendGradient, type GradientOptions } from '../../src/autodiff/walk.js';
import { type Graph, subgraph, valueInfo } from '../../src/graph/graph.js';
import { readModel } from '../../src/onnx/read.js';
import { prepareGraph } from '../../src/runtime/prepare.js';
import { openSession } from '../../src/runtime/session.js';
import type { Tensor } from '../../src/tensor.js';

/** A model file as the gradient wants it. */
export async function readGraph(path: string): Promise<Graph> {
  return prepareGraph(await readModel(path));
}

/**
 * Gradients Σ_m seed[n, m] · ∂S[n, m]/∂(value) and the scores S themselves, in one run.
 *
 * @param scores the value that is differentiated
 * @param seeds one array like the scores a run; the graph is built once
 */
export async function gradientsOf(
  graph: Graph,
  {
    scores,
    wrt,
    input,
    seeds,
    rules,
  }: {
    scores: string;
    wrt: readonly string[];
    input: Tensor;
    seeds: readonly Tensor[];
    rules?: GradientOptions['rules'];
  },
): Promise<Record<string, Tensor>[]> {
  const { graph: extended, gradients } = appendGradient(graph, {
    of: [{ output: scores, seed: 'seed' }],
    wrt,
    rules,
  });
  const names = [...new Set([scores, ...wrt.filter((name) => !isGiven(graph, name)), ...gradients.values()])];
  const outputs = names.map((name) => valueInfo(extended, name));
  const inputs = [...graph.inputs, { ...valueInfo(graph, scores), name: 'seed' }];
  const session = await openSession(subgraph(extended, inputs, outputs), { threads: 1 });
  const results: Record<string, Tensor>[] = [];
  for (const seed of seeds) {
    const made = await session.run({ [graph.inputs[0].name]: input, seed });
    for (const [name, gradient] of gradients) made[`gradient/${name}`] = made[gradient];
    results.push(made);
  }
  await session.close();
  return results;
}

function isGiven(graph: Graph, name: string): boolean {
  return graph.constants.has(name) || graph.inputs.some((input) => input.name === name);
}

/** 1 at a class of every picture, 0 elsewhere: [N, classes]. */
export function seedOf(classIndex: number, [images, classes]: readonly number[]): Tensor<'float32'> {
  const data = new Float32Array(images * classes);
  for (let n = 0; n < images; n++) data[n * classes + classIndex] = 1;
  return { type: 'float32', dims: [images, classes], data };
}
