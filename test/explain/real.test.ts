import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { appendGradient } from '../../src/autodiff/walk.js';
import { Network } from '../../src/explain/network.js';
import { descendants, subgraph, valueInfo } from '../../src/graph/graph.js';
import { findScores } from '../../src/graph/scores.js';
import { floatsOf } from '../../src/onnx/constant.js';
import { DataType } from '../../src/onnx/types.js';
import { readModel } from '../../src/onnx/read.js';
import { openSession } from '../../src/runtime/session.js';
import { values } from '../support/network.js';

const shared = new URL('../../../shared/models/', import.meta.url);
const isThere = existsSync(shared);

const models = [
  {
    file: 'squeezenet1_0',
    layers: ['data', 'pool1', 'fire5/concat', 'fire9/concat', 'relu_conv_final'],
    size: 227,
    scale: 100,
  },
  {
    file: 'resnet20_cifar10',
    layers: ['input', 'layer1.2/relu2', 'layer2.2/relu2', 'layer3.2/relu2'],
    size: 32,
    scale: 2,
  },
  { file: 'resnet56_cifar10', layers: ['input', 'layer2.8/relu2', 'layer3.8/relu2'], size: 32, scale: 2 },
];

/**
 * Convolution, ReLU, pooling, addition and batch normalisation are piecewise linear, so a score is exactly
 * ⟨∂S/∂A, A⟩ + Σ_b ⟨∂S/∂b, b⟩ over all biases behind A; a batch normalisation's bias is b − scale·mean/√(var + ε).
 */
describe.skipIf(!isThere)('Euler identity on real networks (needs ../shared/models)', () => {
  for (const { file, layers, size, scale } of models)
    test.each(layers)(`${file} at %s`, async (layer) => {
      const network = await Network.open(await readModel(new URL(`${file}.onnx`, shared)));
      const { graph } = network;
      const scores = findScores(graph);
      const offsets = biases(graph, layer);
      const wrt = [layer, ...offsets.keys()];
      const output = scores.info.name;
      const made = appendGradient(graph, { of: [{ output, seed: 'seed' }], wrt });
      const count = scores.info.dims?.[1] as number;
      const seed = { name: 'seed', type: DataType.FLOAT, dims: ['N', count] };
      const outputs = [output, layer, ...made.gradients.values()].filter(
        (name) => name !== network.image.name,
      );
      const session = await openSession(
        subgraph(
          made.graph,
          [...graph.inputs, seed],
          outputs.map((name) => valueInfo(made.graph, name)),
        ),
      );
      const data = values(11, [3, size, size]).map((value) => value * scale);
      const image = { type: 'float32' as const, dims: [1, 3, size, size], data };
      for (const index of [0, 3, 7]) {
        const onehot = new Float32Array(count);
        onehot[index] = 1;
        const results = await session.run({
          [network.image.name]: image,
          seed: { type: 'float32', dims: [1, count], data: onehot },
        });
        const at = (name: string) =>
          name === network.image.name ? data : (results[name].data as Float32Array);
        let sum = dot(at(made.gradients.get(layer) as string), at(layer));
        let magnitude = Math.abs(sum);
        for (const [name, offset] of offsets) {
          const part = dot(results[made.gradients.get(name) as string].data as Float32Array, offset);
          sum += part;
          magnitude = Math.max(magnitude, Math.abs(part));
        }
        const score = (results[output].data as Float32Array)[index];
        expect(Math.abs(sum - score) / Math.max(Math.abs(score), magnitude)).toBeLessThan(1e-5);
      }
      await session.close();
      await network.close();
    });
});

/** Every bias behind a layer: of convolutions, linear layers, and what batch normalisation adds. */
function biases(graph: Network['graph'], layer: string): Map<string, Float32Array> {
  const behind = descendants(graph, [layer]);
  const found = new Map<string, Float32Array>();
  const floats = (name: string) => {
    const constant = graph.constants.get(name);
    if (!constant) throw new Error(`"${name}" is not constant`);
    return floatsOf(constant);
  };
  for (const { opType, inputs, outputs, attributes } of graph.nodes) {
    if (!behind.has(outputs[0])) continue;
    if ((opType === 'Conv' || opType === 'Gemm') && inputs[2]) found.set(inputs[2], floats(inputs[2]));
    if (opType !== 'BatchNormalization') continue;
    const [scale, bias, mean, variance] = inputs.slice(1).map(floats);
    const epsilon = Number(attributes.get('epsilon')?.value ?? 1e-5);
    found.set(
      inputs[2],
      bias.map((value, i) => value - (scale[i] * mean[i]) / Math.sqrt(variance[i] + epsilon)),
    );
  }
  return found;
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

describe.skipIf(!isThere)('scores of real networks (needs ../shared/models)', () => {
  test.each(models)('$file: equal to ONNX Runtime on the file itself', async ({ file, size, scale }) => {
    const path = fileURLToPath(new URL(`${file}.onnx`, shared));
    const network = await Network.open(await readModel(path));
    const ort = await import('onnxruntime-node');
    const plain = await ort.InferenceSession.create(path);
    const data = values(12, [2, 3, size, size]).map((value) => value * scale);
    const dims = [2, 3, size, size];
    const expected = Object.values(
      await plain.run({ [network.image.name]: new ort.Tensor('float32', data, dims) }),
    )[0];
    const scores = findScores(network.graph);
    const [layer] = network.layers(scores);
    const differentiator = await network.differentiator([layer], scores);
    const own = (await differentiator.forward({ [network.image.name]: { type: 'float32', dims, data } }))
      .scores.data;
    const largest = Math.max(...(expected.data as Float32Array).map(Math.abs));
    (expected.data as Float32Array).forEach((value, i) =>
      expect(Math.abs(value - own[i]) / largest).toBeLessThan(1e-5),
    );
    await plain.release();
    await network.close();
  });
});
