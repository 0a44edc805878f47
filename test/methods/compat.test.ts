import { describe, expect, test } from 'vitest';
import { Explainer } from '../../src/batch/explainer.js';
import {
  type ExplainerOptions,
  type ExplainOptions,
  type Method,
  settingsOf,
} from '../../src/explain/explain-options.js';
import { type PeerName, peers } from '../../src/methods/compat/index.js';
import { finished, principals } from '../../src/methods/compat/pytorch-grad-cam.js';
import { methodNamed } from '../../src/methods/index.js';
import { floatConstant } from '../../src/onnx/constant.js';
import { sizeOf, type Tensor } from '../../src/tensor.js';
import { bytesFrom, classifier, type ShortGraph, values } from '../support/network.js';
import { furthest, oracleCases } from './oracle.js';

/** What the packages themselves returned, by our names of their methods. */
const returned: Readonly<Record<'pytorch-grad-cam' | 'torch-cam', Readonly<Record<string, Method>>>> = {
  'pytorch-grad-cam': {
    AblationCAM: 'ablation-cam',
    FEM: 'fem',
    GradCAM: 'grad-cam',
    GradCAMPlusPlus: 'grad-cam++',
    HiResCAM: 'hires-cam',
    LayerCAM: 'layer-cam',
    ScoreCAM: 'score-cam',
    ShapleyCAM: 'shapley-cam',
    XGradCAM: 'xgrad-cam',
  },
  'torch-cam': {
    GradCAM: 'grad-cam',
    GradCAMpp: 'grad-cam++',
    LayerCAM: 'layer-cam',
    ScoreCAM: 'score-cam',
    XGradCAM: 'xgrad-cam',
  },
};
const held = oracleCases.filter(({ name }) => ['vgg_bn', 'mobilenet_v2', 'densenet'].includes(name));

describe.skipIf(held.length === 0)('what the packages returned (needs ../shared/oracle)', () => {
  const cases = Object.entries(returned).flatMap(([compat, files]) =>
    Object.entries(files).flatMap(([theirs, method]) =>
      held.map((item) => [compat as PeerName, theirs, item.name, item.file, method, item] as const),
    ),
  );
  test.each(cases)('%s %s, %s %s', async (compat, theirs, _, __, method, item) => {
    const expected = await item.array(`peers/${compat}/${theirs}`);
    await using explainer = await Explainer.open(item.path, { layer: item.layer, backend: 'reference' });
    const options = { method, compat, targets: item.classes[0], batchSize: 2 };
    const found = await explainer.explain(await item.array('input'), options);
    const maps = found.flatMap(({ targets: [{ map, raw }] }) => [
      ...(compat === 'torch-cam' ? raw! : map).data,
    ]);
    expect(furthest(maps, expected.data)).toBeLessThan(1e-4);
  });

  test.each(held.map((item) => [item.name, item.file, item] as const))(
    'pytorch-grad-cam EigenCAM and EigenGradCAM, with the sign that its linear algebra gave, %s %s',
    async (_, __, item) => {
      const { data: activations, dims } = await item.array('activations');
      const { data: gradients } = await item.array('gradients');
      const [N, channels, ...rest] = dims;
      const [, ...size] = (await item.array('peers/pytorch-grad-cam/EigenCAM')).dims;
      const layer = { activations, channels, dims: rest };
      const own = activations.length / N;
      const first = activations.map((value, i) => {
        const n = Math.floor(i / own);
        return value * gradients[n * item.classes.length * own + (i % own)];
      });
      for (const [theirs, weighted] of [
        ['EigenCAM', activations],
        ['EigenGradCAM', first],
      ] as const) {
        const expected = (await item.array(`peers/pytorch-grad-cam/${theirs}`)).data;
        const maps = principals(layer, Float64Array.from(weighted));
        for (const [n, map] of maps.entries()) {
          const distances = [map, map.map((value) => -value)].map((signed) => {
            const { maps: whole } = finished({ layer, size }, [signed]);
            const merged = peers['pytorch-grad-cam'].merge!([whole], 1);
            return furthest(merged, expected.subarray(n * sizeOf(size), (n + 1) * sizeOf(size)));
          });
          expect(Math.min(...distances)).toBeLessThan(1e-4);
        }
      }
    },
  );
});

async function explained(
  network: ShortGraph,
  picture: Tensor,
  options: ExplainOptions,
  layer: ExplainerOptions['layer'] = 'layer',
) {
  await using explainer = await Explainer.open(bytesFrom(network), { layer, backend: 'reference' });
  const [{ targets }] = await explainer.explain(picture, { targets: 0, ...options });
  return targets[0];
}

/** [2, 2, 4] → the layer [2, 1, 2], means of 2 × 2 → two scores: ⟨g, A⟩ with g [2 1 | 1 -1], and 0. */
const pooled: ShortGraph = {
  inputs: { image: ['N', 2, 2, 4] },
  outputs: ['logits'],
  nodes: [
    ['AveragePool', ['image'], ['layer'], { kernel_shape: [2, 2], strides: [2, 2] }],
    ['Flatten', ['layer'], ['flat']],
    ['Gemm', ['flat', 'w'], ['logits'], { transB: 1 }],
  ],
  constants: { w: floatConstant([2, 1, 1, -1, 0, 0, 0, 0], [2, 4]) },
};
/** A = [1 3 | 1 0] */
const picture: Tensor<'float32'> = {
  type: 'float32',
  dims: [2, 2, 4],
  data: Float32Array.of(1, 1, 3, 3, 1, 1, 3, 3, 1, 1, 0, 0, 1, 1, 0, 0),
};
const twice = (row: readonly number[]) => [...row, ...row];

describe('authors, by hand', () => {
  test('α is normalised over positive gradients; the map fades at the edges, within its range', async () => {
    // ΣA = 4: α = 4 / (8 + 32), 1 / (2 + 4), w = (0.2 + 1/6) / (0.1 + 1/6) = 1.375; ΣA = 1: one positive gradient, w = 1.
    const { map, raw } = await explained(pooled, picture, { compat: 'authors' });
    expect(furthest(raw!.data, [2.375, 4.125])).toBeLessThan(1e-6);
    const [a, b] = [2.375 / 4.125, 1];
    const row = [0.75 * a, 0.75 * a + 0.25 * b, 0.25 * a + 0.75 * b, 0.75 * b].map((value, i) =>
      Math.max(a, 0.75 * (i === 1 ? a + 0.25 * (b - a) : i === 2 ? a + 0.75 * (b - a) : value)),
    );
    expect(furthest(map.data, twice(row))).toBeLessThan(1e-6);
  });

  test('a map of zeros stays so', async () => {
    const none = { ...picture, data: new Float32Array(16) };
    const { map } = await explained(pooled, none, { compat: 'authors' });
    expect([map.empty, ...map.data]).toEqual([true, ...new Float32Array(8)]);
  });
});

describe('tf-keras-vis, by hand', () => {
  test.each([
    // α over both signs: (1/3) / (1/3 + 1) for the second channel
    { method: 'grad-cam++', expected: [1.375 + 0.25, 4.125] },
    { method: 'grad-cam', expected: [1.5, 4.5] },
    { method: 'layer-cam', expected: [3, 3] },
  ] as const)('$method', async ({ method, expected }) => {
    const { map, raw } = await explained(pooled, picture, { method, compat: 'tf-keras-vis' });
    expect(furthest(raw!.data, expected)).toBeLessThan(1e-6);
    const row = expected[0] === expected[1] ? [0, 0, 0, 0] : [0, 1 / 3, 2 / 3, 1]; // aligned corners
    expect(furthest(map.data, twice(row))).toBeLessThan(1e-6);
  });

  test('score-cam weighs by probabilities', async () => {
    await using explainer = await Explainer.open(bytesFrom(pooled), { layer: 'layer' });
    const masks = [twice([0, 1 / 3, 2 / 3, 1]), twice([1, 2 / 3, 1 / 3, 0])];
    const weights = [];
    for (const mask of masks) {
      const data = picture.data.map((value, i) => value * mask[i % 8]);
      weights.push((await explainer.predict({ ...picture, data }))[0].probabilities![0]);
    }
    const of = (channels?: number) =>
      explained(pooled, picture, { method: 'score-cam', compat: 'tf-keras-vis', channels });
    const [one, two] = weights;
    expect(furthest((await of()).raw!.data, [one + two, 3 * one])).toBeLessThan(1e-6);
    expect(furthest((await of(1)).raw!.data, [one, 3 * one])).toBeLessThan(1e-6);
  });

  test('saliency and smooth-grad: the largest magnitude of the channels', async () => {
    const expected = twice([1, 1, 0, 0]); // 2/4, 2/4, 1/4, 1/4
    const saliency = await explained(pooled, picture, { method: 'saliency', compat: 'tf-keras-vis' });
    expect(furthest(saliency.map.data, expected)).toBeLessThan(1e-6);
    const options = { method: 'smooth-grad', compat: 'tf-keras-vis', samples: 3 } as const;
    const smooth = await explained(pooled, picture, options);
    expect(furthest(smooth.map.data, expected)).toBeLessThan(1e-6); // the gradient is the same everywhere
    expect(smooth.settings).toMatchObject({ samples: 3, compat: 'tf-keras-vis' });
  });
});

test('torch-cam has CAM without the ReLU', async () => {
  const network: ShortGraph = {
    inputs: { image: ['N', 2, 2, 2] },
    outputs: ['logits'],
    nodes: [
      ['Relu', ['image'], ['layer']],
      ['GlobalAveragePool', ['layer'], ['means']],
      ['Flatten', ['means'], ['flat']],
      ['Gemm', ['flat', 'w'], ['logits'], { transB: 1 }],
    ],
    constants: { w: floatConstant([1, -1], [1, 2]) },
  };
  const own: Tensor = { type: 'float32', dims: [2, 2, 2], data: Float32Array.of(4, 0, 0, 0, 0, 2, 0, 0) };
  const { map, raw } = await explained(network, own, { method: 'cam', compat: 'torch-cam' });
  for (const { data } of [map, raw!]) expect(furthest(data, [1, 0, 1 / 3, 1 / 3])).toBeLessThan(1e-6);
  await expect(
    explained(
      classifier(),
      { type: 'float32', dims: [3, 8, 8], data: values(1, [3, 8, 8]) },
      { method: 'cam', compat: 'torch-cam' },
      'relu2',
    ),
  ).rejects.toThrow('Method "cam" needs global average pooling');
});

describe('pytorch-grad-cam', () => {
  const dims = [3, 8, 8];
  const image: Tensor<'float32'> = { type: 'float32', dims, data: values(2, dims) };

  test('eigen_smooth subtracts the mean of each channel', async () => {
    const network: ShortGraph = {
      inputs: { image: ['N', 2, 2, 2] },
      outputs: ['logits'],
      nodes: [
        ['Relu', ['image'], ['layer']],
        ['Flatten', ['layer'], ['flat']],
        ['Gemm', ['flat', 'w'], ['logits'], { transB: 1 }],
      ],
      constants: { w: floatConstant(new Float32Array(8).fill(1), [1, 8]) },
    };
    const own: Tensor = { type: 'float32', dims: [2, 2, 2], data: Float32Array.of(3, 0, 0, 0, 0, 2, 0, 0) };
    const options = { method: 'grad-cam', eigen: true, compat: 'pytorch-grad-cam' } as const;
    const { raw } = await explained(network, own, options);
    // Channels without their means: [9 -3 -3 -3]/4 and [-2 6 -2 -2]/4, products [6.75 -1.5; -1.5 3].
    const largest = (9.75 + Math.hypot(3.75, 3)) / 2;
    const [x, y] = [-1.5, largest - 6.75].map((value, _, v) => -value / Math.hypot(...v));
    const expected = [
      [2.25, -0.5],
      [-0.75, 1.5],
      [-0.75, -0.5],
      [-0.75, -0.5],
    ].map(([a, b]) => Math.max(0, a * x + b * y));
    expect(furthest(raw!.data, expected)).toBeLessThan(1e-6);
  });

  test('aug_smooth is the mean of its six maps', async () => {
    const flipped = (data: Float32Array) => data.map((_, i) => data[i - (i % 8) + 7 - (i % 8)]);
    const options = { compat: 'pytorch-grad-cam', targets: 1 } as const;
    const mean = new Float64Array(64);
    for (const brightness of [0.9, 1, 1.1])
      for (const isMirrored of [false, true]) {
        const data = image.data.map((value) => value * brightness);
        const own = { ...image, data: isMirrored ? flipped(data) : data };
        const { map } = await explained(classifier(), own, options, 'relu1');
        (isMirrored ? flipped(map.data) : map.data).forEach((value, i) => {
          mean[i] += value / 6;
        });
      }
    const { map, settings } = await explained(classifier(), image, { ...options, aug: true }, 'relu1');
    expect(furthest(map.data, mean)).toBeLessThan(1e-5);
    expect(settings).toEqual({ aug: true, compat: 'pytorch-grad-cam' });
  });

  test('takes the mean of several layers, and normalises it', async () => {
    const options = { compat: 'pytorch-grad-cam', targets: 1 } as const;
    const layers = ['relu1', 'relu2'];
    const { map } = await explained(classifier(), image, options, layers);
    expect([Math.min(...map.data), Math.max(...map.data).toFixed(5)]).toEqual([0, '1.00000']);
    await expect(explained(classifier(), image, { ...options, combine: 'max' }, layers)).rejects.toThrow(
      '"compat" pytorch-grad-cam takes the mean of several layers; received "combine" max.',
    );
    await expect(explained(classifier(), image, { ...options, compat: 'torch-cam' }, layers)).rejects.toThrow(
      '"compat" torch-cam explains one layer; received 2. Leave it out, or name one layer.',
    );
  });
});

describe('what a package has', () => {
  test.each(Object.entries(peers))('%s: methods and options of ours', (_, peer) => {
    for (const [name, { options }] of Object.entries(peer.methods))
      for (const option of options) expect(Object.keys(methodNamed(name).options)).toContain(option);
  });

  const image: Tensor = { type: 'float32', dims: [3, 8, 8], data: values(2, [3, 8, 8]) };
  test.each<[ExplainOptions, string]>([
    [
      { method: 'rise', compat: 'torch-cam' },
      '"compat" torch-cam has no rise; it has grad-cam++, grad-cam, cam',
    ],
    [
      { compat: 'torch-cam', aug: true },
      `"aug" is no option of torch-cam's grad-cam++ ("compat"). Leave it out.`,
    ],
    [
      { compat: 'authors', form: 'exp' },
      `"form" is no option of authors's grad-cam++ ("compat"). Leave it out.`,
    ],
    [
      { method: [{ method: 'score-cam', compat: 'pytorch-grad-cam', channels: 2 }] },
      `"channels" is no option of pytorch-grad-cam's score-cam ("compat"). Leave it out.`,
    ],
    [
      { compat: 'captum' as 'authors' },
      '"compat" must be one of pytorch-grad-cam, torch-cam, authors, tf-keras-vis',
    ],
  ])('%j is refused', async (options, message) => {
    await expect(explained(classifier(), image, options, 'relu1')).rejects.toThrow(message);
  });

  test('video, where it has it', async () => {
    const video: ShortGraph = {
      inputs: { image: ['N', 1, 2, 4, 4] },
      outputs: ['logits'],
      nodes: [
        ['AveragePool', ['image'], ['layer'], { kernel_shape: [1, 2, 2], strides: [1, 2, 2] }],
        ['Flatten', ['layer'], ['flat']],
        ['Gemm', ['flat', 'w'], ['logits'], { transB: 1 }],
      ],
      constants: { w: floatConstant(values(5, [16]), [2, 8]) },
    };
    const own: Tensor = { type: 'float32', dims: [1, 2, 4, 4], data: values(6, [32]).map(Math.abs) };
    for (const compat of ['torch-cam', 'tf-keras-vis'] as const)
      for (const method of ['grad-cam++', 'score-cam', 'layer-cam'] as const) {
        const { map, raw } = await explained(video, own, { method, compat });
        expect([map.dims, raw!.dims, map.empty]).toEqual([[2, 4, 4], [2, 2, 2], false]);
        expect(Math.max(...map.data)).toBeLessThanOrEqual(1);
      }
  });

  test('pictures alone, where it has no others', async () => {
    const signal: ShortGraph = {
      inputs: { image: ['N', 2, 4] },
      outputs: ['logits'],
      nodes: [
        ['Relu', ['image'], ['layer']],
        ['Flatten', ['layer'], ['flat']],
        ['Gemm', ['flat', 'w'], ['logits'], { transB: 1 }],
      ],
      constants: { w: floatConstant(values(3, [8]), [1, 8]) },
    };
    const own: Tensor = { type: 'float32', dims: [2, 4], data: values(4, [8]) };
    await expect(explained(signal, own, { compat: 'pytorch-grad-cam' })).rejects.toThrow(
      '"compat" pytorch-grad-cam explains layers of 2 axes; "layer" has 1.',
    );
    await using explainer = await Explainer.open(bytesFrom(signal), { layer: 'layer', backend: 'reference' });
    await expect(explainer.warmUp(settingsOf({ compat: 'pytorch-grad-cam' }))).rejects.toThrow(
      '"layer" has 1. Leave it out, or name another layer.',
    );
    expect((await explained(signal, own, { compat: 'torch-cam' })).map.data).toHaveLength(4);
  });
});
