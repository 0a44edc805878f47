import { afterAll, expect, test } from 'vitest';
import { vi } from 'vitest';
import { Explainer } from '../../src/batch/explainer.js';
import { settingsOf } from '../../src/explain/explain-options.js';
import { noisyPictures } from '../../src/methods/common/noise.js';
import { smoothGradCamPlusPlus, smoothWeights } from '../../src/methods/smooth-grad-cam++.js';
import { bytesFrom, classifier, values } from '../support/network.js';
import { giveNoise } from './given.js';
import { holdsOracle } from './oracle.js';

afterAll(() => void vi.restoreAllMocks());

test('weights by hand', () => {
  const of = (rows: readonly number[][], positions: number) => {
    const [activations, first, second, third] = rows;
    return [
      ...smoothWeights({
        activations: Float32Array.from(activations),
        first: Float64Array.from(first),
        second: Float64Array.from(second),
        third: Float64Array.from(third),
        positions,
      }),
    ];
  };
  // ΣA = 4: α = 1 / (2 + 4) and 4 / (8 + 4 · 8), w = 1/6 + 2/10; the second channel has only negative slopes.
  expect(
    of(
      [
        [1, 3, 5, 5],
        [1, 2, -1, -1],
        [1, 4, 1, 1],
        [1, 8, -1, -1],
      ],
      2,
    )[0],
  ).toBeCloseTo(1 / 6 + 1 / 5, 6);
  expect(
    of(
      [
        [1, 3, 5, 5],
        [1, 2, -1, -1],
        [1, 4, 1, 1],
        [1, 8, -1, -1],
      ],
      2,
    )[1],
  ).toBe(0);
  // A denominator of exactly zero: 2 · 1 − 1 · 2.
  expect(of([[2], [1], [1], [-1]], 1)).toEqual([0]);
});

test('noise is relative to the range of the picture, its own for each, and drawn anew for each sample', () => {
  const numbers = (start: number) => {
    let next = start;
    return { normal: () => next++, uniform: () => Number.NaN };
  };
  const evidence = {
    images: 2,
    input: Float32Array.of(0, 2, 5, 5),
    random: (_: number, n: number) => numbers(n * 10),
  };
  const noisy = Array.from(noisyPictures(evidence, { samples: 2, sigma: 0.5, seed: 1 }), (array) => [
    ...array,
  ]);
  expect(noisy).toEqual([
    [0, 3, 5, 5],
    [2, 5, 5, 5],
  ]);
});

const images = { type: 'float32', dims: [2, 3, 8, 8], data: values(4, [2, 3, 8, 8]) } as const;

test('depends on the seed, not on the batch; without noise it is Grad-CAM++; says how far it is', async () => {
  await using explainer = await Explainer.open(bytesFrom(classifier()), {
    layer: 'relu1',
    backend: 'reference',
  });
  const seen: number[][] = [];
  const maps = async (options: object) => {
    seen.length = 0;
    const settings = settingsOf({ method: 'smooth-grad-cam++', targets: 1, samples: 3, ...options });
    const found = await explainer.explainPrepared(
      await explainer.prepare(images),
      settings,
      undefined,
      (...step) => seen.push(step),
    );
    return found.map(({ targets }) => targets[0].map.data);
  };
  const first = await maps({ seed: 2 });
  expect(seen).toEqual([
    [1, 3],
    [2, 3],
    [3, 3],
    [1, 3],
    [2, 3],
    [3, 3],
  ]);
  expect(await maps({ seed: 2, batchSize: 2 })).toEqual(first);
  expect(await maps({ seed: 3 })).not.toEqual(first);
  const plain = await explainer.explain(images, { targets: 1 });
  const still = await maps({ sigma: 0 });
  plain.forEach(({ targets }, n) =>
    targets[0].map.data.forEach((value, i) => expect(still[n][i]).toBeCloseTo(value, 5)),
  );
});

holdsOracle('smooth-grad-cam++', {
  before: (item) => giveNoise(smoothGradCamPlusPlus, 'map', item),
  variant: ({ methods: { samples, sigma } }) => ({ method: 'smooth-grad-cam++', samples, sigma }),
});
