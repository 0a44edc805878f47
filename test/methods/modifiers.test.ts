import { describe, expect, test } from 'vitest';
import { Explainer } from '../../src/batch/explainer.js';
import type { ExplainOptions, Method } from '../../src/explain/explain-options.js';
import { augmented } from '../../src/explain/augmented.js';
import { methods } from '../../src/methods/index.js';
import { type AnyMethod, hasChannels } from '../../src/methods/common/method.js';
import { floatConstant } from '../../src/onnx/constant.js';
import { DataType } from '../../src/onnx/types.js';
import type { Tensor } from '../../src/tensor.js';
import { bytesFrom, classifier, type ShortGraph, values } from '../support/network.js';
import { furthest } from './oracle.js';

/** Scores are weighted sums of relu(image), which is the layer. */
function linear(weights: readonly number[], dims: readonly number[], type = DataType.FLOAT): ShortGraph {
  return {
    inputs: { image: ['N', ...dims] },
    types: { image: type },
    outputs: ['logits'],
    nodes: [
      ...(type === DataType.FLOAT ? [] : [['Cast', ['image'], ['floats'], { to: 1 }] as const]),
      ['Relu', [type === DataType.FLOAT ? 'image' : 'floats'], ['layer']],
      ['Flatten', ['layer'], ['flat']],
      ['Gemm', ['flat', 'w'], ['logits'], { transB: 1 }],
    ],
    constants: { w: floatConstant(weights, [1, weights.length]) },
  };
}

async function explained(network: ShortGraph, images: Tensor, options: ExplainOptions, layer = 'layer') {
  await using explainer = await Explainer.open(bytesFrom(network), { layer, backend: 'reference' });
  return explainer.explain(images, options);
}

describe('eigen', () => {
  // Two channels of four places, [3 0 0 0] and [0 2 0 0]: weighted and unequally long, the longer one is the principal map.
  const picture: Tensor = { type: 'float32', dims: [2, 2, 2], data: Float32Array.of(3, 0, 0, 0, 0, 2, 0, 0) };
  test.each([
    { method: 'grad-cam', sign: 1, expected: [3, 0, 0, 0] }, // w = mean g = 1
    { method: 'grad-cam', sign: -1, expected: [0, 0, 0, 0] }, // the sum [-3 2 0 0] keeps [-3 0 0 0] negative
    { method: 'hires-cam', sign: 1, expected: [3, 0, 0, 0] },
    { method: 'layer-cam', sign: -1, expected: [0, 2, 0, 0] },
    { method: 'ablation-cam', sign: 1, expected: [9, 0, 0, 0] }, // w = S − S without: 3 and 2
  ] as const)('$method, first channel $sign: $expected', async ({ method, sign, expected }) => {
    const network = linear([sign, sign, sign, sign, 1, 1, 1, 1], [2, 2, 2]);
    const [{ targets }] = await explained(network, picture, { method, eigen: true, targets: 0 });
    const [{ raw, map, settings }] = targets;
    expect(furthest(raw!.data, expected)).toBeLessThan(1e-6);
    expect(map.empty).toBe(expected.every((value) => value === 0));
    expect(settings).toMatchObject({ eigen: true });
  });

  test('where the gradient is one number a channel too', async () => {
    const images: Tensor = { type: 'float32', dims: [2, 3, 8, 8], data: values(3, [2, 3, 8, 8]) };
    const maps = async (variant: { method: Method; eigen?: boolean }) => {
      const options = { method: [variant], targets: 1, batchSize: 2 };
      const found = await explained(classifier({ head: 'pool' }), images, options, 'relu2');
      return found.map(({ targets }) => targets[0].map.data);
    };
    const expected = await maps({ method: 'eigen-grad-cam' });
    for (const [n, map] of (await maps({ method: 'hires-cam', eigen: true })).entries())
      expect(furthest(map, expected[n])).toBeLessThan(1e-5);
  });

  const all = methods as unknown as readonly AnyMethod[];
  test.each(all.map((method) => [method.name, hasChannels(method)] as const))(
    '%s: has channels %s',
    async (method, has) => {
      const images: Tensor = { type: 'float32', dims: [3, 8, 8], data: values(3, [3, 8, 8]) };
      const run = explained(
        classifier({ head: 'pool' }),
        images,
        { method: method as Method, eigen: true, targets: 1 },
        'relu2',
      );
      if (has) expect((await run)[0].targets[0].map.data).toHaveLength(64);
      else await expect(run).rejects.toThrow(`"eigen" changes grad-cam++, grad-cam, cam,`);
    },
  );
});

describe('aug', () => {
  const shape = [2, 3, 8, 8];
  const images: Tensor<'float32'> = { type: 'float32', dims: shape, data: values(5, shape) };
  const flipped = (data: Float32Array) => data.map((_, i) => data[i - (i % 8) + 7 - (i % 8)]);

  test.each(['grad-cam++', 'layer-cam', 'score-cam', 'saliency'] as const)(
    '%s: the mean of six maps, whatever the batch',
    async (method) => {
      const options = { method, targets: 1, batchSize: 2 };
      const parts: Float32Array[][] = [];
      for (const brightness of [0.9, 1, 1.1])
        for (const isMirrored of [false, true]) {
          const data = images.data.map((value) => value * brightness);
          const own = { ...images, data: isMirrored ? flipped(data) : data };
          const found = await explained(classifier(), own, options, 'relu1');
          parts.push(found.map(({ targets: [{ map }] }) => (isMirrored ? flipped(map.data) : map.data)));
        }
      for (const batchSize of [1, 2]) {
        const found = await explained(classifier(), images, { ...options, batchSize, aug: true }, 'relu1');
        for (const [n, { targets }] of found.entries()) {
          const [{ map, raw, facts, settings }] = targets;
          const mean = map.data.map((_, i) => parts.reduce((sum, maps) => sum + maps[n][i] / 6, 0));
          expect(furthest(map.data, mean)).toBeLessThan(1e-5);
          expect(raw).toBeUndefined();
          expect(facts).toMatchObject({ augmentations: 6 });
          expect(settings).toMatchObject({ aug: true });
        }
      }
    },
  );

  test('several targets and methods, of which one asks for it', async () => {
    const network = classifier({ classes: 10 });
    const aug = { method: 'grad-cam', aug: true } as const;
    const targets = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]; // more than are explained at once
    const [both] = await explained(network, images, { method: ['grad-cam', aug], targets }, 'relu1');
    const [alone] = await explained(network, images, { method: [aug], targets: 9 }, 'relu1');
    expect(both.targets.map(({ facts }) => facts?.augmentations)).toEqual(
      both.targets.map((_, i) => (i % 2 === 1 ? 6 : undefined)),
    );
    expect(both.targets[19].map.data).toEqual(alone.targets[0].map.data);
  });

  test.each([
    { what: 'channels first', dims: [2, 1, 3], channelAxis: 0, expected: [3, 2, 1, 6, 5, 4] },
    { what: 'channels last', dims: [1, 3, 2], channelAxis: 2, expected: [5, 6, 3, 4, 1, 2] },
    { what: 'no channels', dims: [2, 3], channelAxis: -1, expected: [3, 2, 1, 6, 5, 4] },
    { what: 'video', dims: [1, 2, 1, 3], channelAxis: 0, expected: [3, 2, 1, 6, 5, 4] },
  ])('mirrors from left to right: $what', ({ dims, channelAxis, expected }) => {
    const image = { path: undefined, dims, tensor: Float32Array.of(1, 2, 3, 4, 5, 6) };
    const change = { isMirrored: true, brightness: 1 };
    expect([...augmented(image, change, { channelAxis, type: undefined }).tensor]).toEqual(expected);
  });

  test('the same in a model whose N is fixed', async () => {
    const of = async (batch: number | 'N') =>
      (await explained(classifier({ batch }), images, { targets: 1, aug: true }, 'relu1')).map(
        ({ targets }) => targets[0].map.data,
      );
    const [fixed, free] = [await of(3), await of('N')];
    for (const [n, map] of fixed.entries()) expect(furthest(map, free[n])).toBeLessThan(1e-5);
  });

  test('signals and outputs with places are not mirrored', async () => {
    const signal: Tensor = { type: 'float32', dims: [2, 4], data: Float32Array.of(1, 2, 3, 4, 4, 3, 2, 1) };
    const [one] = await explained(linear([1, 2, 3, 4, 5, 6, 7, 8], [2, 4]), signal, {
      targets: 0,
      aug: true,
    });
    expect(one.targets[0].facts).toEqual({ augmentations: 3 });
    const places: ShortGraph = {
      ...classifier(),
      outputs: ['conv2'],
      nodes: classifier().nodes.slice(0, 3),
    };
    const [two] = await explained(
      places,
      images,
      { targets: { kind: 'segmentation', class: 1 }, aug: true },
      'relu1',
    );
    expect(two.targets[0].facts).toEqual({ augmentations: 3 });
  });

  test('whole numbers stay in their range', async () => {
    const network = linear([1, 1, 1, 1], [1, 2, 2], DataType.UINT8);
    const picture: Tensor = { type: 'float32', dims: [1, 2, 2], data: Float32Array.of(0, 255, 128, 255) };
    const [{ targets }] = await explained(network, picture, { method: 'grad-cam', targets: 0, aug: true });
    // 128/255, but 140.8/255 where it is brighter.
    const middle = (4 * (128 / 255) + 2 * (140.8 / 255)) / 6;
    expect(furthest(targets[0].map.data, [0, 1, middle, 1])).toBeLessThan(1e-5);
  });
});
