import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type DifferentiatedModel, differentiate } from '../../src/differentiate.js';
import type { Graph } from '../../src/graph/graph.js';
import { floatConstant, floatsOf } from '../../src/onnx/constant.js';
import { readModel } from '../../src/onnx/read.js';
import { prepareGraph } from '../../src/runtime/prepare.js';
import { openSession } from '../../src/runtime/session.js';
import { sizeOf, type Tensor } from '../../src/tensor.js';
import { bytesFrom, type ShortGraph, values, weights } from '../support/network.js';

/** Smooth, so that differences are a fair judge: two convolutions with Tanh and Softplus, and a linear layer. */
const smooth: ShortGraph = {
  inputs: { image: ['N', 2, 5, 5] },
  outputs: ['logits'],
  nodes: [
    ['Conv', ['image', 'w1', 'b1'], ['conv1'], { pads: [1, 1, 1, 1] }],
    ['Tanh', ['conv1'], ['tanh']],
    ['Conv', ['tanh', 'w2'], ['conv2'], { strides: [2, 2] }],
    ['Softplus', ['conv2'], ['soft']],
    ['Flatten', ['soft'], ['flat']],
    ['Gemm', ['flat', 'w3', 'b3'], ['logits'], { transB: 1 }],
  ],
  constants: {
    w1: weights(1, [3, 2, 3, 3]),
    b1: weights(2, [3]),
    w2: weights(3, [4, 3, 3, 3]),
    w3: weights(4, [4, 16]),
    b3: weights(5, [4]),
  },
};

const image: Tensor<'float32'> = { type: 'float32', dims: [2, 2, 5, 5], data: values(6, [2, 2, 5, 5]) };
const seed: Tensor<'float32'> = { type: 'float32', dims: [2, 4], data: values(7, [2, 4]) };

async function run(graph: Graph, feeds: Record<string, Tensor>): Promise<Record<string, Tensor>> {
  const session = await openSession(graph);
  const results = await session.run(feeds);
  await session.close();
  return results;
}

/** ⟨∂/∂x ⟨seed, f⟩, v⟩ by a central difference along v. */
async function along(
  evaluate: (data: Float32Array) => Promise<Float32Array>,
  at: Float32Array,
  direction: Float32Array,
  upstream: Float32Array,
): Promise<number> {
  const h = 2 ** -6;
  const value = async (step: number) =>
    dot(await evaluate(at.map((x, i) => x + step * direction[i])), upstream);
  const [a, b, c, d] = [await value(-2 * h), await value(-h), await value(h), await value(2 * h)];
  return (a - 8 * b + 8 * c - d) / (12 * h);
}

function dot(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, i) => sum + value * b[i], 0);
}

function withConstant(graph: Graph, name: string, data: Float32Array): Graph {
  const old = graph.constants.get(name);
  if (!old) throw new Error(name);
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return { ...graph, constants: new Map(graph.constants).set(name, { ...old, bytes }) };
}

describe('differentiate', () => {
  test('gradients by input and weights equal differences', async () => {
    const model = bytesFrom(smooth);
    const wrt = ['image', 'w1', 'b1', 'w2', 'w3', 'b3'];
    const result = await differentiate(model, { of: 'logits', wrt });
    const outputs = await run(result.graph, { image, seed });
    const plain = await prepareGraph(await readModel(model));
    for (const [i, name] of wrt.entries()) {
      const gradient = outputs[result.gradients[name]].data as Float32Array;
      const constant = plain.constants.get(name);
      const at = constant ? floatsOf(constant) : image.data;
      const direction = values(30 + i, [at.length]);
      const evaluate = async (data: Float32Array) =>
        (constant
          ? await run(withConstant(plain, name, data), { image })
          : await run(plain, { image: { ...image, data } })
        ).logits.data as Float32Array;
      const expected = await along(evaluate, at, direction, seed.data);
      expect(Math.abs(dot(gradient, direction) - expected)).toBeLessThan(
        1e-3 * Math.max(1, Math.abs(expected)),
      );
    }
  });

  test('the gradient of a gradient, by input and by weights, equals differences of the gradient', async () => {
    const model = bytesFrom(smooth);
    const first = await differentiate(model, { of: 'logits', wrt: 'image', again: true });
    const gradientName = first.gradients.image;
    const second = await differentiate(first, { of: gradientName, wrt: ['image', 'w1', 'w2'] });
    const upstream = { type: 'float32' as const, dims: image.dims, data: values(8, image.dims) };
    const outputs = await run(second.graph, { image, seed, [lastInput(second)]: upstream });
    for (const [i, name] of ['image', 'w1', 'w2'].entries()) {
      const gradient = outputs[second.gradients[name]].data as Float32Array;
      const constant = first.graph.constants.get(name);
      const at = constant ? floatsOf(constant) : image.data;
      const direction = values(40 + i, [at.length]);
      const evaluate = async (data: Float32Array) =>
        (constant
          ? await run(withConstant(first.graph, name, data), { image, seed })
          : await run(first.graph, { image: { ...image, data }, seed }))[gradientName].data as Float32Array;
      const expected = await along(evaluate, at, direction, upstream.data);
      expect(Math.abs(dot(gradient, direction) - expected)).toBeLessThan(
        1e-3 * Math.max(1, Math.abs(expected)),
      );
    }
  });

  test('a class index instead of an upstream gradient', async () => {
    const model = bytesFrom(smooth);
    const byClass = await differentiate(model, { wrt: 'image', seed: 'class' });
    const byGradient = await differentiate(model, { wrt: 'image' });
    const classes: Tensor = { type: 'int64', dims: [2], data: BigInt64Array.of(3n, 1n) };
    const onehot = { ...seed, data: Float32Array.of(0, 0, 0, 1, 0, 1, 0, 0) };
    const a = await run(byClass.graph, { image, seed: classes });
    const b = await run(byGradient.graph, { image, seed: onehot });
    expect(a['grad(image)'].data).toEqual(b['grad(image)'].data);
  });

  test('the saved file holds the same model', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'gradcampp-'));
    const result = await differentiate(bytesFrom(smooth), { wrt: ['image', 'w1'] });
    const path = join(folder, 'gradient.onnx');
    await result.save(path);
    const reread = await prepareGraph(await readModel(path));
    expect(reread.outputs.map((output) => output.name)).toEqual(['logits', 'grad(image)', 'grad(w1)']);
    const [a, b] = [await run(reread, { image, seed }), await run(result.graph, { image, seed })];
    for (const name of Object.keys(b)) expect(a[name].data).toEqual(b[name].data);
    expect(sizeOf(a['grad(w1)'].dims)).toBe(54);
    expect(Buffer.from(result.toBytes())).toEqual(await (await import('node:fs/promises')).readFile(path));
    await rm(folder, { recursive: true });
  });

  test('a gradient that is zero or straight-through is noted', async () => {
    const model = bytesFrom(smooth);
    expect((await differentiate(model, { of: 'logits', wrt: 'image' })).notes).toEqual([]);
    expect((await differentiate(model, { of: 'conv1', wrt: ['image', 'w3'] })).notes).toEqual([
      '"conv1" does not depend on "w3": the gradient is zero.',
    ]);
    const quantized = bytesFrom({
      inputs: { x: ['N', 4] },
      outputs: ['y'],
      nodes: [
        ['QuantizeLinear', ['x', 'scale'], ['q']],
        ['DequantizeLinear', ['q', 'scale'], ['y']],
      ],
      constants: { scale: floatConstant([0.1], []) },
    });
    const { notes } = await differentiate(quantized, { wrt: 'x' });
    expect(notes.join()).toMatch(/QuantizeLinear.*straight/);
  });

  test('wrong names are refused with the closest ones', async () => {
    const model = bytesFrom(smooth);
    await expect(differentiate(model, { wrt: 'imag' })).rejects.toThrow('Closest: "image"');
    await expect(differentiate(model, { of: 'logit', wrt: 'image' })).rejects.toThrow('Closest: "logits"');
    await expect(differentiate(model, { of: 'soft', wrt: 'image', seed: 'class' })).rejects.toThrow(
      '[N, classes]',
    );
  });
});

function lastInput({ graph }: DifferentiatedModel): string {
  return graph.inputs[graph.inputs.length - 1].name;
}

test('a file that was differentiated before: names that are free, and the same gradients', async () => {
  const once = await differentiate(bytesFrom(smooth), { wrt: 'image' });
  const again = await differentiate(once.toBytes(), { of: 'logits', wrt: 'image' });
  expect(again.gradients).toEqual({ image: 'grad(image)_2' });
  expect(again.graph.inputs.map(({ name }) => name)).toEqual(['image', 'seed', 'seed_2']);
  const reread = await prepareGraph(await readModel(again.toBytes()));
  const results = await run(reread, { image, seed, seed_2: seed });
  expect(results['grad(image)_2'].data).toEqual(results['grad(image)'].data);
});
