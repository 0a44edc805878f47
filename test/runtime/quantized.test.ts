import * as ort from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { splitAtSeed } from '../../src/autodiff/split.js';
import { appendGradient } from '../../src/autodiff/walk.js';
import { appended, Builder } from '../../src/graph/builder.js';
import { type Graph, valueInfo } from '../../src/graph/graph.js';
import { modelFile } from '../../src/graph/model-file.js';
import type { Constant } from '../../src/onnx/constant.js';
import { readModel } from '../../src/onnx/read.js';
import { DataType } from '../../src/onnx/types.js';
import { prepareGraph } from '../../src/runtime/prepare.js';
import { openSession } from '../../src/runtime/session.js';
import { sizeOf } from '../../src/tensor.js';
import { randomNumbers } from '../map/random.js';
import { graphFrom, values } from '../support/network.js';

interface Kind {
  readonly activations: 'u8' | 's8';
  /** Scales of weights: one, or one a channel. */
  readonly perChannel: boolean;
  /** Whether the scores are quantised too. */
  readonly output: boolean;
}

const dataTypes = { u8: DataType.UINT8, s8: DataType.INT8 };

/** A residual network of pairs of QuantizeLinear and DequantizeLinear, as quantisers write it. */
function quantized(seed: number, { activations, perChannel, output }: Kind): Graph {
  const random = randomNumbers(seed);
  const graph = graphFrom({ inputs: { x: [1, 3, 16, 16] }, outputs: ['y'], nodes: [] });
  const b = new Builder(graph);
  const whole = (type: 'u8' | 's8', dims: readonly number[], next: () => number): Constant => ({
    type: dataTypes[type],
    dims,
    bytes: Uint8Array.from({ length: sizeOf(dims) }, next),
  });
  const pair = (value: string, scale: number, isSigned: boolean) => {
    const zero = activations === 'u8' ? (isSigned ? 128 : 0) : isSigned ? 0 : 128; // 128 is −128
    const parameters = [
      b.floats([scale * (1 + random() / 100)], []),
      b.constant(whole(activations, [], () => zero)),
    ];
    return b.op('DequantizeLinear', [b.op('QuantizeLinear', [value, ...parameters]), ...parameters]);
  };
  const weight = (dims: readonly number[]) => {
    const [count, ...rest] = dims;
    const scale = 2.4 / 127 / Math.sqrt(sizeOf(rest));
    const scales = Array.from({ length: perChannel ? count : 1 }, () => scale * (0.9 + 0.2 * random()));
    const stored = b.constant(whole('s8', dims, () => Math.round((random() - 0.5) * 254) & 255));
    const shape = perChannel ? [count] : [];
    const zero = b.constant(whole('s8', shape, () => 0));
    return b.op('DequantizeLinear', [stored, b.floats(scales, shape), zero], { axis: 0 });
  };
  const conv = (value: string, channels: number) =>
    b.op('Conv', [value, weight([16, channels, 3, 3])], { pads: [1, 1, 1, 1] });
  let x = pair(b.op('Relu', [conv(pair('x', 1 / 127, true), 3)]), 4 / 255, false);
  for (let i = 0; i < 4; i++) {
    const inner = pair(b.op('Relu', [conv(x, 16)]), 4 / 255, false);
    const sum = b.add(x, pair(conv(inner, 16), 4 / 127, true));
    x = pair(b.op('Relu', [sum]), 5 / 255, false);
  }
  const pooled = b.op('Flatten', [pair(b.op('GlobalAveragePool', [x]), 2 / 255, false)]);
  const scores = b.op('Gemm', [pooled, weight([10, 16])], { transB: 1 });
  b.copy(output ? pair(scores, 4 / 127, true) : scores, 'y');
  return appended(graph, b);
}

const kinds: readonly [string, Kind][] = [
  ['unsigned, quantised scores', { activations: 'u8', perChannel: false, output: true }],
  ['signed, float scores', { activations: 's8', perChannel: false, output: false }],
  ['unsigned, a scale a channel', { activations: 'u8', perChannel: true, output: false }],
];

describe('quantised networks', () => {
  test.each(kinds)(
    '%s: the scores beside gradients are those of the model as it is written',
    async (_, kind) => {
      for (const seed of [1, 2]) {
        const bytes = modelFile(quantized(seed, kind)).toBytes();
        const plain = await ort.InferenceSession.create(bytes, { graphOptimizationLevel: 'disabled' });
        const graph = await prepareGraph(await readModel(bytes));
        const layer = graph.nodes.filter(({ opType }) => opType === 'Relu').at(-2)?.outputs[0] ?? '';
        const made = appendGradient(graph, { of: [{ output: 'y', seed: 'seed' }], wrt: [layer] });
        const upstream = { name: 'seed', type: DataType.FLOAT, dims: [1, 10] };
        const split = splitAtSeed(made.graph, upstream, ['y', layer], [...made.gradients.values()]);
        expect(split.saved.length).toBeGreaterThan(1);
        const session = await openSession(split.forward);
        for (let i = 0; i < 4; i++) {
          const data = values(100 * seed + i, [1, 3, 16, 16]);
          const expected = (await plain.run({ x: new ort.Tensor('float32', data, [1, 3, 16, 16]) })).y.data;
          const { y } = await session.run({ x: { type: 'float32', dims: [1, 3, 16, 16], data } });
          const errors = Array.from(y.data as Float32Array, (v, k) => Math.abs(v - Number(expected[k])));
          expect(Math.max(...errors)).toBeLessThan(1e-5);
        }
        await session.close();
        await plain.release();
        expect(valueInfo(graph, layer).dims).toEqual([1, 16, 16, 16]);
      }
    },
  );
});
