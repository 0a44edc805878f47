import { describe, expect, test } from 'vitest';
import { Explainer } from '../../src/batch/explainer.js';
import { exportExplained } from '../../src/export/self-explaining.js';
import { int64Constant } from '../../src/onnx/constant.js';
import { openSession } from '../../src/runtime/session.js';
import type { Tensor } from '../../src/tensor.js';
import { drawnFrames } from './clips.js';
import { bytesFrom, type ShortNode, values, weights } from '../support/network.js';

const [frames, K, size] = [4, 6, 8];
const T = frames;

/** How a network comes to the frames of its clips as pictures of a batch. */
type Order = '3-D' | 'N·T' | 'T·N';

/**
 * A convolution on every frame, an LSTM over the frames' means, and a classifier of its last state, on clips [N, T, 3, 8, 8]. The same
 * numbers come of a convolution of 1 × 3 × 3 over clips, whose layer has an axis of time.
 */
function recurrent(
  order: Order,
  { head = 'LSTM', batch = 'N' as string | number, T = frames } = {},
): Uint8Array {
  const is3d = order === '3-D';
  const isOuter = order === 'T·N';
  const perm = is3d ? [0, 2, 1, 3, 4] : isOuter ? [1, 0, 2, 3, 4] : [0, 1, 2, 3, 4];
  const pictures: ShortNode[] = is3d
    ? [['Identity', ['ordered'], ['frames']]]
    : [['Reshape', ['ordered', 'pictures'], ['frames']]];
  const toSteps: ShortNode[] = is3d
    ? [
        ['ReduceMean', ['relu', 'space'], ['means'], { keepdims: 0 }],
        ['Transpose', ['means'], ['steps'], { perm: [2, 0, 1] }],
      ]
    : [
        ['GlobalAveragePool', ['relu'], ['pooled']],
        ['Reshape', ['pooled', isOuter ? 'apartOuter' : 'apart'], ['means']],
        ['Transpose', ['means'], ['steps'], { perm: isOuter ? [0, 1, 2] : [1, 0, 2] }],
      ];
  const heads: Record<string, ShortNode[]> = {
    LSTM: [
      ['LSTM', ['steps', 'W', 'R'], ['', 'last'], { hidden_size: 5 }],
      ['Squeeze', ['last', 'first'], ['state']],
    ],
    mean: [['ReduceMean', ['steps', 'first'], ['state'], { keepdims: 0 }]],
  };
  const features = head === 'LSTM' ? 5 : K;
  return bytesFrom({
    inputs: { clip: [batch, T, 3, size, size] },
    outputs: ['logits'],
    nodes: [
      ['Transpose', ['clip'], ['ordered'], { perm }],
      ...pictures,
      ['Conv', ['frames', is3d ? 'w3' : 'w2'], ['conv'], { pads: is3d ? [0, 1, 1, 0, 1, 1] : [1, 1, 1, 1] }],
      ['Relu', ['conv'], ['relu']],
      ...toSteps,
      ...heads[head],
      ['Gemm', ['state', 'v'], ['logits'], { transB: 1 }],
    ],
    constants: {
      w2: weights(1, [K, 3, 3, 3]),
      w3: weights(1, [K, 3, 1, 3, 3]),
      W: weights(2, [1, 20, K], 3),
      R: weights(3, [1, 20, 5], 3),
      v: weights(4, [7, features], 2),
      pictures: int64Constant([-1, 3, size, size]),
      apart: int64Constant([-1, T, K]),
      apartOuter: int64Constant([T, -1, K]),
      space: int64Constant([3, 4]),
      first: int64Constant([0]),
    },
  });
}

const data = values(9, [3, T, 3, size, size]);
const clips: Tensor<'float32'> = { type: 'float32', dims: [3, T, 3, size, size], data };

const methods = [
  'grad-cam++',
  'grad-cam',
  'xgrad-cam',
  'layer-cam',
  'hires-cam',
  'eigen-cam',
  'score-cam',
  'ablation-cam',
] as const;

async function mapsOf(model: Uint8Array, options: object = {}) {
  await using explainer = await Explainer.open(model, { backend: 'reference' });
  const explained = await explainer.explain(clips, { method: methods, targets: [1, 4], ...options } as never);
  const maps = explained.flatMap(({ targets }) => targets.map(({ map }) => map));
  return { maps, layers: explainer.layers };
}

function furthest(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i])));
}

describe('a network of pictures on every frame, and one over time: maps are those of the same network in three dimensions', () => {
  test.each([
    ['N·T', 'LSTM', 3],
    ['T·N', 'LSTM', 3],
    ['T·N', 'LSTM', 1],
    ['N·T', 'mean', 3],
    ['T·N', 'mean', 3],
  ] as const)('%s, %s, %d clips a pass', async (order, head, batchSize) => {
    const [own, other] = [
      await mapsOf(recurrent(order, { head }), { batchSize }),
      await mapsOf(recurrent('3-D', { head }), { batchSize }),
    ];
    expect([own, other].map(({ layers }) => layers)).toEqual([['relu'], ['relu']]);
    expect(own.maps).toHaveLength(3 * methods.length * 2);
    for (const [i, map] of own.maps.entries()) {
      expect(map.dims).toEqual([T, size, size]);
      expect(map.empty).toBe(false);
      expect(furthest(map.data, other.maps[i].data)).toBeLessThan(1e-5);
    }
    const [{ data: first }] = own.maps;
    const parts = Array.from({ length: T }, (_, t) => first.subarray(t * size * size, (t + 1) * size * size));
    expect(new Set(parts.map((part) => part.join())).size).toBe(T);
  });

  test('with a fixed batch of one, and in the softmax form', async () => {
    const settings = { method: 'grad-cam++', form: 'softmax' };
    for (const batch of ['N', 1]) {
      const [own, other] = [
        await mapsOf(recurrent('N·T', { batch }), settings),
        await mapsOf(recurrent('3-D', { batch }), settings),
      ];
      own.maps.forEach((map, i) => expect(furthest(map.data, other.maps[i].data)).toBeLessThan(1e-5));
    }
  });

  test('three frames are none of the channels', async () => {
    await using explainer = await Explainer.open(recurrent('N·T', { T: 3 }), { backend: 'reference' });
    expect(explainer.clips?.layout).toBe('NTCHW');
    const [{ targets }] = await explainer.explain({ frames: drawnFrames(3, size, size) });
    expect(targets[0].map.dims).toEqual([3, size, size]);
  });

  test.each(['N·T', 'T·N'] as const)('as a model that explains itself: %s', async (order) => {
    const { maps } = await mapsOf(recurrent(order), { method: 'grad-cam++' });
    const file = await exportExplained(recurrent(order), { method: 'grad-cam++', targets: [1, 4] });
    const session = await openSession(file.graph);
    const { explanation_maps: exported } = await session.run({ clip: clips });
    await session.close();
    const whole = Float32Array.from(maps.flatMap((map) => Array.from(map.data)));
    expect(exported.dims).toEqual([3, 2, T, size, size]);
    expect(furthest(whole, exported.data as Float32Array)).toBeLessThan(1e-5);
  });
});
