import * as ort from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { Explainer } from '../../src/batch/explainer.js';
import { exportable, type ExportOptions } from '../../src/export/export-options.js';
import { exportExplained } from '../../src/export/self-explaining.js';
import type { ExplainOptions, Method } from '../../src/explain/explain-options.js';
import { methodNames } from '../../src/methods/index.js';
import { openSession } from '../../src/runtime/session.js';
import { sizeOf } from '../../src/tensor.js';
import { bytesFrom, type ClassifierOptions, classifier, values, weights } from '../support/network.js';

const dims = [3, 3, 8, 8];
const images = { type: 'float32' as const, dims, data: values(21, dims) };

/** The largest distance between the maps of an exported model and those of the explainer. */
async function compare(network: ClassifierOptions, options: ExportOptions): Promise<number> {
  const { layer, ...own } = options;
  const bytes = bytesFrom(classifier(network));
  const file = await exportExplained(bytes, options);
  const session = await openSession(file.graph);
  const results = await session.run({ image: images });
  await session.close();
  await using explainer = await Explainer.open(bytes, { backend: 'reference', layer });
  const explanations = await explainer.explain(images, { ...own, batchSize: 3 } as ExplainOptions);
  const T = explanations[0].targets.length;
  const maps = results.explanation_maps;
  expect(maps.dims).toEqual([3, T, 8, 8]);
  let most = 0;
  explanations.forEach(({ targets: own, scores }, n) => {
    expect(
      Array.from(results[file.graph.outputs[0].name].data as Float32Array).slice(n * 5, n * 5 + 5),
    ).toEqual(network.tail ? expect.anything() : Array.from(scores));
    own.forEach(({ target, map }, t) => {
      expect(Number((results.explained_classes.data as BigInt64Array)[n * T + t])).toBe(target.class);
      const size = sizeOf(map.dims);
      const at = (n * T + t) * size;
      map.data.forEach((value, i) => {
        const distance = Math.abs(value - (maps.data as Float32Array)[at + i]);
        if (!(distance <= most)) most = distance;
      });
    });
  });
  return most;
}

const methods = exportable as Method[];

describe('a model that explains itself', () => {
  for (const head of ['pool', 'dense'] as const) {
    test.each(methods)(`${head} head, %s: equal to the explainer`, async (method) => {
      const compared = compare({ head }, { method, targets: { top: 2 } });
      if (method === 'cam' && head === 'dense')
        await expect(compared).rejects.toThrow('global average pooling');
      else if (method === 'attention-rollout')
        await expect(compared).rejects.toThrow('the model has no attention between tokens');
      else expect(await compared).toBeLessThan(1e-4);
    });
    test(`${head} head, softmax form`, async () => {
      expect(await compare({ head }, { form: 'softmax', targets: { top: 3 } })).toBeLessThan(1e-4);
    });
  }

  test('classes that were asked for, several layers, a softmax tail', async () => {
    expect(await compare({ tail: 'softmax' }, { targets: [4, 0], layer: ['relu1', 'relu2'] })).toBeLessThan(
      1e-5,
    );
  });

  test.each<ExportOptions>([
    { method: 'grad-cam++', eigen: true },
    { method: 'layer-cam', eigen: true },
    { method: 'shapley-cam', eigen: true },
    { method: 'grad-cam++', alphaNormalization: true },
    { method: 'grad-cam++', gradientRelu: false },
    { method: 'grad-cam++', form: 'softmax', alphaNormalization: true, gradientRelu: false },
    { method: 'guided-grad-cam++', form: 'softmax' },
    { method: 'grad-cam', layer: ['relu1', 'relu2'], combine: 'max' },
    { method: 'grad-cam', layer: ['relu1', 'relu2'], combine: 'product' },
  ])('with options: %o', async (options) => {
    expect(await compare({ head: 'dense' }, { targets: { top: 2 }, ...options })).toBeLessThan(1e-4);
  });

  test('methods that are no graph are refused, and those that are named', async () => {
    const refused = methodNames.filter((name) => !exportable.includes(name));
    expect(refused).toContain('score-cam');
    for (const method of refused as Method[])
      await expect(exportExplained(bytesFrom(classifier()), { method })).rejects.toThrow(
        `The method "${method}" cannot be exported, since no graph holds what it does; use one of ${exportable.join(', ')}.`,
      );
    await expect(exportExplained(bytesFrom(classifier()), { method: 'auto' as Method })).rejects.toThrow(
      `"method" must be one of ${exportable.join(', ')}; received "auto".`,
    );
    await expect(
      exportExplained(bytesFrom(classifier()), { method: 'grad-cam', form: 'exp' }),
    ).rejects.toThrow('"form" changes');
  });

  test('the softmax form of many classes behind a head that is not linear is refused', async () => {
    const bytes = bytesFrom(classifier({ classes: 65 }));
    await expect(exportExplained(bytes, { form: 'softmax' })).rejects.toThrow('all 65 classes');
  });

  test('a network without a layer is refused by methods that want one', async () => {
    const bytes = bytesFrom({
      inputs: { image: ['N', 3, 8, 8] },
      outputs: ['scores'],
      nodes: [
        ['Flatten', ['image'], ['flat']],
        ['Gemm', ['flat', 'w'], ['scores'], { transB: 1 }],
      ],
      constants: { w: weights(1, [5, 192]) },
    });
    await expect(exportExplained(bytes)).rejects.toThrow('No layer between the input and the scores');
    expect((await exportExplained(bytes, { method: 'saliency' })).graph.outputs).toHaveLength(3);
  });

  test('says what it is, and uses standard operators alone', async () => {
    const { graph } = await exportExplained(bytesFrom(classifier()));
    expect(Object.fromEntries(graph.metadata)).toMatchObject({
      'gradcampp.layer': 'relu2',
      'gradcampp.method': 'grad-cam++',
      'gradcampp.form': 'exp',
    });
    expect(new Set(graph.nodes.map((node) => node.domain))).toEqual(new Set(['']));
  });
});

describe('a model with names that the export gives', () => {
  test('one that was exported before', async () => {
    const once = (await exportExplained(bytesFrom(classifier()), { method: 'grad-cam' })).toBytes();
    const twice = await exportExplained(once, { method: 'layer-cam' });
    expect(twice.graph.outputs.map(({ name }) => name)).toEqual([
      'logits',
      'explained_classes',
      'explanation_maps',
      'explained_classes_2',
      'explanation_maps_2',
    ]);
    const session = await openSession((await exportExplained(twice.toBytes())).graph);
    const results = await session.run({ image: images });
    await session.close();
    expect(results.explained_classes_3.data).toEqual(results.explained_classes.data);
    expect(results.explanation_maps.data).not.toEqual(results.explanation_maps_2.data);
    expect(results.explanation_maps_3.dims).toEqual([3, 1, 8, 8]);
  });

  test('one whose scores are called so, and one that has a value "seed"', async () => {
    const rename = (from: string, to: string) => {
      const { nodes, ...rest } = classifier();
      const named = (names: readonly string[]) => names.map((name) => (name === from ? to : name));
      return bytesFrom({
        ...rest,
        outputs: named(rest.outputs),
        nodes: nodes.map(([op, inputs, made, attributes]) => [op, named(inputs), named(made), attributes]),
      });
    };
    const plain = (await exportExplained(bytesFrom(classifier()))).toBytes();
    const expected = await run(plain, 'explanation_maps');
    for (const [from, to, maps] of [
      ['logits', 'explanation_maps', 'explanation_maps_2'],
      ['hidden', 'seed', 'explanation_maps'],
    ]) {
      const file = await exportExplained(rename(from, to));
      expect(await run(file.toBytes(), maps)).toEqual(expected);
      await using explainer = await Explainer.open(rename(from, to), { backend: 'reference' });
      const [{ targets }] = await explainer.explain(images);
      expect(targets[0].map.empty).toBe(false);
    }
  });
});

async function run(model: Uint8Array, output: string) {
  const session = await ort.InferenceSession.create(model);
  const results = await session.run({ image: new ort.Tensor('float32', images.data, dims) });
  await session.release();
  return results[output].data;
}
