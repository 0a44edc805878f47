import { describe, expect, test } from 'vitest';
import { Explainer } from '../../src/batch/explainer.js';
import type { ExportOptions } from '../../src/export/export-options.js';
import { exportExplained } from '../../src/export/self-explaining.js';
import { openSession } from '../../src/runtime/session.js';
import type { Tensor } from '../../src/tensor.js';
import { detours } from '../support/detours.js';
import { bytesFrom, type ShortGraph, values } from '../support/network.js';
import { transformer } from '../support/transformer.js';

/** Maps of an exported model against those of `explain`. */
async function difference(graph: ShortGraph, options: ExportOptions): Promise<number> {
  const dims = graph.inputs.image.map((dim) => (typeof dim === 'number' ? dim : 2));
  const image: Tensor<'float32'> = { type: 'float32', dims, data: values(7, dims) };
  const bytes = bytesFrom(graph);
  const { layer, tokens, ...rest } = options;
  await using explainer = await Explainer.open(bytes, { backend: 'reference', layer, tokens });
  const explained = await explainer.explain(image, { ...rest, batchSize: dims[0] } as never);
  const file = await exportExplained(bytes, options);
  const session = await openSession(file.graph);
  const { explanation_maps: maps } = await session.run({ image });
  await session.close();
  const expected = explained.flatMap((own) => own.targets.flatMap(({ map }) => Array.from(map.data)));
  expect(Math.max(...expected)).toBe(1);
  expect(maps.data.length).toBe(expected.length);
  return Math.max(...expected.map((value, i) => Math.abs(value - Number(maps.data[i]))));
}

const methods = ['grad-cam++', 'grad-cam', 'xgrad-cam', 'layer-cam'] as const;

describe('an exported model lays out tokens as the explainer does', () => {
  test.each(Object.keys(detours))('%s', async (name) => {
    for (const method of methods)
      expect(await difference(detours[name], { layer: 'layer', method, targets: [1, 3] })).toBeLessThan(1e-5);
  });

  test.each([{ prefix: 1 }, { prefix: 5, suffix: 4 }, { prefix: 0 }])('a transformer: %o', async (own) => {
    for (const method of methods)
      expect(await difference(transformer(own), { method, targets: [1, 3] })).toBeLessThan(1e-5);
  });

  test('in the softmax form, behind a head that is not linear and one that is', async () => {
    const softmax = { method: 'grad-cam++', form: 'softmax', targets: [1, 3] } as const;
    expect(await difference(transformer(), softmax)).toBeLessThan(1e-4);
    expect(await difference(transformer({ prefix: 0 }), { ...softmax, layer: 'norm' })).toBeLessThan(1e-4);
  });

  test('with a grid that is given', async () => {
    const tokens = { grid: [3, 2], prefix: 1 };
    expect(await difference(transformer(), { tokens, method: 'layer-cam', targets: [0] })).toBeLessThan(1e-5);
  });
});

test('attention rollout, with a class token and without, and a grid that is given', async () => {
  const method = 'attention-rollout';
  for (const own of [{ prefix: 1 }, { prefix: 5, suffix: 4 }, { prefix: 0 }])
    expect(await difference(transformer(own), { method, targets: [1] })).toBeLessThan(1e-5);
  const tokens = { grid: [3, 2], prefix: 1 };
  expect(await difference(transformer(), { tokens, method, targets: [1] })).toBeLessThan(1e-5);
});
