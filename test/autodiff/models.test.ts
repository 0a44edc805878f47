import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { Graph } from '../../src/graph/graph.js';
import { findScores } from '../../src/graph/scores.js';
import { readNpy } from '../../src/image/npy.js';
import { floatsOf } from '../../src/onnx/constant.js';
import { sizeOf, type Tensor } from '../../src/tensor.js';
import { randomNumbers } from '../map/random.js';
import { gradientsOf, readGraph, seedOf } from './network.js';

const shared = fileURLToPath(new URL('../../../shared/', import.meta.url));
const isThere = existsSync(`${shared}models`) && existsSync(`${shared}oracle`);

/** Inputs that shift a value: a network of these, ReLU and pooling is homogeneous in its input and the shifts. */
const shifts: Readonly<Record<string, readonly number[]>> = {
  Conv: [2],
  Gemm: [2],
  BatchNormalization: [2, 3],
  Add: [1],
};

function shiftsOf(graph: Graph): string[] {
  const names = graph.nodes.flatMap((node) => (shifts[node.opType] ?? []).map((i) => node.inputs[i]));
  return [...new Set(names)].filter((name) => name && graph.constants.has(name));
}

function dot(a: ArrayLike<number | bigint>, b: ArrayLike<number | bigint>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += Number(a[i]) * Number(b[i]);
  return sum;
}

function randomInput(dims: readonly number[]): Tensor<'float32'> {
  const random = randomNumbers(7);
  return { type: 'float32', dims, data: Float32Array.from({ length: sizeOf(dims) }, () => random() * 4 - 2) };
}

describe.skipIf(!isThere)('whole models (needs ../shared/models and ../shared/oracle)', () => {
  /**
   * Piecewise linear networks: S_c = ⟨∂S_c/∂x, x⟩ + Σ ⟨∂S_c/∂b, b⟩ over all shifts b, whatever the weights (Euler). Both
   * sides add some thousand float32 terms much larger than their sum.
   */
  test.each([
    { name: 'squeezenet1_0', dims: [1, 3, 227, 227] },
    { name: 'resnet20_cifar10', dims: [2, 3, 32, 32] },
    { name: 'resnet56_cifar10', dims: [2, 3, 32, 32] },
  ])('$name keeps the Euler identity at its input', async ({ name, dims }) => {
    const graph = await readGraph(`${shared}models/${name}.onnx`);
    const scores = findScores(graph).info;
    const biases = shiftsOf(graph);
    expect(biases.length).toBeGreaterThan(10);
    const [image] = graph.inputs;
    const input = randomInput(dims);
    const classes = Number(scores.dims?.[1]);
    const seeds = [0, 3].map((classIndex) => seedOf(classIndex, [dims[0], classes]));
    const results = await gradientsOf(graph, {
      scores: scores.name,
      wrt: [image.name, ...biases],
      input,
      seeds,
    });
    results.forEach((result, i) => {
      const expected = dot(result[scores.name].data, seeds[i].data);
      const parts = biases.map((bias) => {
        const constant = graph.constants.get(bias);
        return constant ? dot(result[`gradient/${bias}`].data, floatsOf(constant)) : Number.NaN;
      });
      const total = parts.reduce(
        (sum, part) => sum + part,
        dot(result[`gradient/${image.name}`].data, input.data),
      );
      expect(Math.abs(total - expected) / Math.abs(expected)).toBeLessThanOrEqual(1e-4);
    });
  });

  /** Smooth networks: the slope along a direction, by differences of fourth order. h = 2⁻⁶ errs by some 1e-5. */
  test.each(['convnext', 'gru_head'])('%s: the slope at its input, along its gradient', async (name) => {
    const graph = await readGraph(`${shared}oracle/${name}/torchscript-17.onnx`);
    const scores = findScores(graph).info.name;
    const stored = await readNpy(`${shared}oracle/${name}/input.npy`);
    const x = Float32Array.from(stored.data as Float32Array);
    const seed = seedOf(1, (await readNpy(`${shared}oracle/${name}/scores.npy`)).dims);
    const [image] = graph.inputs;
    const run = async (data: Float32Array) => {
      const input: Tensor = { type: 'float32', dims: stored.dims, data };
      const [result] = await gradientsOf(graph, { scores, wrt: [image.name], input, seeds: [seed] });
      return { value: dot(result[scores].data, seed.data), gradient: result[`gradient/${image.name}`].data };
    };
    const { gradient } = await run(x);
    const norm = Math.sqrt(dot(gradient, gradient));
    const h = 2 ** -6;
    const at = async (steps: number) =>
      (await run(x.map((value, i) => value + (steps * h * Number(gradient[i])) / norm))).value;
    const slope = (8 * ((await at(1)) - (await at(-1))) - ((await at(2)) - (await at(-2)))) / (12 * h);
    expect(Math.abs(slope / norm - 1)).toBeLessThanOrEqual(1e-3);
  });
});
