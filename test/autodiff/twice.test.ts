import { describe, expect, test } from 'vitest';
import { Builder } from '../../src/graph/builder.js';
import { appendGradient } from '../../src/autodiff/walk.js';
import { type Graph, subgraph, type ValueInfo } from '../../src/graph/graph.js';
import { floatConstant } from '../../src/onnx/constant.js';
import { DataType } from '../../src/onnx/types.js';
import { inferValues } from '../../src/runtime/infer.js';
import { simplify } from '../../src/runtime/prepare.js';
import { openSession } from '../../src/runtime/session.js';
import { sizeOf, type Tensor } from '../../src/tensor.js';
import { randomNumbers } from '../map/random.js';

const info = (name: string, dims: readonly (number | string)[]): ValueInfo => ({
  name,
  type: DataType.FLOAT,
  dims,
});
const weights = { W1: [4, 3, 3, 3], W2: [5, 4, 3, 3], W3: [5, 3] } as const;
const random = randomNumbers(5);
const draw = (dims: readonly number[], scale: number): Tensor<'float32'> => {
  const data = Float32Array.from({ length: sizeOf(dims) }, () => (random() * 2 - 1) * scale);
  return { type: 'float32', dims, data };
};

/** Input → Conv, Softplus: A → Conv with stride, Softplus → mean over the picture → Gemm: scores. */
function network(asInputs: boolean): Graph {
  const b = new Builder();
  const smooth = (value: string) => b.op('Softplus', [value]);
  const A = smooth(b.op('Conv', ['x', 'W1'], { pads: [1, 1, 1, 1] }));
  const deep = smooth(b.op('Conv', [A, 'W2'], { pads: [1, 1, 1, 1], strides: [2, 2] }));
  const pooled = b.op('Flatten', [b.op('GlobalAveragePool', [deep])]);
  b.copy(b.op('Gemm', [pooled, 'W3']), 'scores');
  const rename = (names: readonly string[]) => names.map((name) => (name === A ? 'A' : name));
  const nodes = b.nodes.map((node) => ({
    ...node,
    inputs: rename(node.inputs),
    outputs: rename(node.outputs),
  }));
  const stored = Object.entries(weights).map(
    ([name, dims]) => [name, floatConstant(values[name].data, dims)] as const,
  );
  return {
    name: 'smooth',
    opset: 18,
    domains: new Map(),
    inputs: [
      info('x', ['N', 3, 8, 8]),
      ...(asInputs ? Object.entries(weights).map(([n, dims]) => info(n, dims)) : []),
    ],
    outputs: [info('scores', ['N', 3])],
    nodes,
    constants: new Map(asInputs ? [...b.constants] : [...b.constants, ...stored]),
    values: new Map(),
    metadata: new Map(),
  };
}

const values: Record<string, Tensor<'float32'>> = {
  x: draw([2, 3, 8, 8], 2),
  ...Object.fromEntries(Object.entries(weights).map(([name, dims]) => [name, draw(dims, 0.4)])),
};
const seed: Tensor = { type: 'float32', dims: [2, 3], data: Float32Array.of(0, 1, 0, 0, 0, 1) };

/** Σ (Σ_k w_k A_k)² with the weights of Grad-CAM++ (paper Eq. 19 without its ReLUs, whose kinks have no slope). */
function appendLoss(graph: Graph, gradient: string): Graph {
  const b = new Builder(graph);
  const square = b.square(gradient);
  const spread = b.reduceSum(b.mul('A', b.mul(square, gradient)), [2, 3]);
  const alpha = b.div(square, b.add(b.scale(square, 2), b.add(b.op('Abs', [spread]), b.scalar(1e-3))));
  const w = b.reduceSum(b.mul(alpha, gradient), [2, 3]);
  const map = b.reduceSum(b.mul(w, 'A'), [1]);
  b.copy(b.op('ReduceSum', [b.scale(b.square(map), 1e4)], { keepdims: 0 }), 'loss');
  return {
    ...graph,
    nodes: [...graph.nodes, ...b.nodes],
    constants: new Map([...graph.constants, ...b.constants]),
    outputs: [info('loss', [])],
  };
}

async function lossGraph(asInputs: boolean): Promise<Graph> {
  const graph = await inferValues(network(asInputs));
  const of = [{ output: 'scores', seed: 'seed' }];
  const { graph: extended, gradients } = appendGradient(graph, { of, wrt: ['A'], keepPaths: true });
  const whole = appendLoss(extended, gradients.get('A') as string);
  return subgraph(whole, [...graph.inputs, info('seed', ['N', 3])], whole.outputs);
}

describe('a loss on a Grad-CAM++ map, differentiated by input and weights', () => {
  test.each([
    { kind: 'fed', asInputs: true },
    { kind: 'stored', asInputs: false },
  ])('weights $kind: equals differences of the loss', async ({ asInputs }) => {
    const wrt = ['x', ...Object.keys(weights)];
    const plain = await lossGraph(true);
    const measured = await openSession(plain, { threads: 1 });
    const loss = async (changed: Record<string, Tensor>) =>
      Number((await measured.run({ ...values, seed, ...changed })).loss.data[0]);

    // With fed weights shapes may be folded in between; stored ones must not be folded away.
    const once = asInputs ? await simplify(plain) : await inferValues(await lossGraph(false));
    const twice = appendGradient(once, { of: [{ output: 'loss', seed: 'one' }], wrt, keepPaths: true });
    const outputs = wrt.map((name) => info(twice.gradients.get(name) as string, []));
    const graph = subgraph(
      twice.graph,
      [...once.inputs, info('one', [])],
      outputs.map((o) => ({ ...o, dims: undefined, type: undefined })),
    );
    const session = await openSession(graph, { threads: 1 });
    const feeds = Object.fromEntries(
      once.inputs.filter(({ name }) => name !== 'seed').map(({ name }) => [name, values[name]]),
    );
    const one: Tensor = { type: 'float32', dims: [], data: Float32Array.of(1) };
    const made = await session.run({ ...feeds, seed, one });
    for (const name of wrt) {
      const gradient = made[twice.gradients.get(name) as string].data as Float32Array;
      const { data, dims } = values[name];
      // Along the gradient the slope is its length; h = 2⁻⁷ in units of a typical value, where float32 gives some 1e-4.
      const length = Math.hypot(...gradient);
      const h = 2 ** -7;
      const at = (steps: number) => {
        const moved = data.map((value, i) => value + (steps * h * gradient[i]) / length);
        return loss({ [name]: { type: 'float32', dims, data: moved } });
      };
      const slope = (8 * ((await at(1)) - (await at(-1))) - ((await at(2)) - (await at(-2)))) / (12 * h);
      expect(length).toBeGreaterThan(0);
      expect(Math.abs(slope / length - 1), name).toBeLessThanOrEqual(1e-3);
    }
    await session.close();
    await measured.close();
  });
});
