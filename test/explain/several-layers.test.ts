import { expect, test } from 'vitest';
import { Explainer } from '../../src/batch/explainer.js';
import type { ExplainOptions } from '../../src/explain/explain-options.js';
import { floatConstant } from '../../src/onnx/constant.js';
import type { Tensor } from '../../src/tensor.js';
import { bytesFrom, classifier, type ShortGraph, values } from '../support/network.js';
import { furthest } from '../methods/oracle.js';

const images: Tensor<'float32'> = { type: 'float32', dims: [2, 3, 8, 8], data: values(6, [2, 3, 8, 8]) };

async function explained(
  layer: string | string[],
  options: ExplainOptions,
  network: ShortGraph = classifier(),
) {
  await using explainer = await Explainer.open(bytesFrom(network), { layer, backend: 'reference' });
  const found = await explainer.explain(images, { targets: 1, batchSize: 2, ...options });
  return found.map(({ targets }) => targets[0]);
}

const ways = {
  mean: (a: number, b: number) => (a + b) / 2,
  max: Math.max,
  product: (a: number, b: number) => a * b,
};

test.each(
  (['grad-cam++', 'layer-cam', 'ablation-cam', 'eigen-cam'] as const).flatMap((method) =>
    (['mean', 'max', 'product'] as const).map((combine) => [method, combine] as const),
  ),
)('the maps of two layers, %s, by their %s', async (method, combine) => {
  const [one, two] = [await explained('relu1', { method }), await explained('relu2', { method })];
  const both = await explained(['relu1', 'relu2'], { method, combine });
  for (const [n, { map, layers, combine: how }] of both.entries()) {
    const expected = one[n].map.data.map((value, i) => ways[combine](value, two[n].map.data[i]));
    expect(furthest(map.data, expected)).toBeLessThan(1e-6);
    expect([layers, how]).toEqual([['relu1', 'relu2'], combine]);
  }
  expect(one[0].combine).toBeUndefined();
});

test('a product of maps that never meet is empty', async () => {
  const network: ShortGraph = {
    inputs: { image: ['N', 3, 8, 8] },
    outputs: ['logits'],
    nodes: [
      ['Mul', ['image', 'left'], ['one']],
      ['Mul', ['image', 'right'], ['two']],
      ['Abs', ['one'], ['first']],
      ['Abs', ['two'], ['second']],
      ['Add', ['first', 'second'], ['sum']],
      ['GlobalAveragePool', ['sum'], ['means']],
      ['Flatten', ['means'], ['logits']],
    ],
    constants: {
      left: floatConstant([1, 1, 1, 1, 0, 0, 0, 0], [8]),
      right: floatConstant([0, 0, 0, 0, 1, 1, 1, 1], [8]),
    },
  };
  const options = { method: 'hires-cam' } as const;
  const [product] = await explained(['first', 'second'], { ...options, combine: 'product' }, network);
  const [mean] = await explained(['first', 'second'], options, network);
  expect([product.map.empty, mean.map.empty]).toEqual([true, false]);
});
