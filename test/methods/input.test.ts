import { afterAll, describe, expect, test, vi } from 'vitest';
import { Explainer } from '../../src/batch/explainer.js';
import type { TargetExplanation } from '../../src/explain/explanation.js';
import type { Variant } from '../../src/explain/explain-options.js';
import { smoothGrad } from '../../src/methods/smooth-grad.js';
import { floatConstant } from '../../src/onnx/constant.js';
import { bytesFrom, classifier, type ShortGraph, values } from '../support/network.js';
import { giveNoise } from './given.js';
import { furthest, holdsOracle } from './oracle.js';

afterAll(() => void vi.restoreAllMocks());

/** S_c = Σ w_c x + x₀² (the same for both classes): gradients are known. */
const network: ShortGraph = {
  inputs: { image: ['N', 2, 1, 2] },
  outputs: ['logits'],
  nodes: [
    ['Flatten', ['image'], ['flat']],
    ['Gemm', ['flat', 'w'], ['linear'], { transB: 1 }],
    ['Mul', ['flat', 'flat'], ['squares']],
    ['Gemm', ['squares', 'first'], ['square'], { transB: 1 }],
    ['Add', ['linear', 'square'], ['logits']],
  ],
  constants: {
    w: floatConstant([1, -2, 3, 0, 0, 0, 0, 5], [2, 4]),
    first: floatConstant([1, 0, 0, 0, 1, 0, 0, 0], [2, 4]),
  },
};
const image = { type: 'float32', dims: [2, 1, 2], data: Float32Array.of(2, 1, -1, 4) } as const;

async function explained(variant: Variant): Promise<TargetExplanation> {
  await using explainer = await Explainer.open(bytesFrom(network));
  return (await explainer.explain(image, { method: [variant], targets: 0 }))[0].targets[0];
}

describe('by hand', () => {
  // The gradient is (1 + 2 · 2, −2, 3, 0); channels are (x₀, x₁) and (x₂, x₃).
  test('saliency', async () => {
    const { attribution, map } = await explained({ method: 'saliency' });
    expect(attribution).toEqual({ data: Float32Array.of(5, -2, 3, 0), dims: [2, 1, 2] });
    expect([...map.data]).toEqual([1, 0]);
  });

  test('gradient times input', async () => {
    const { attribution, map } = await explained({ method: 'grad-input' });
    expect([...(attribution?.data ?? [])]).toEqual([10, -2, -3, 0]); // magnitudes 13 and 2
    expect([...map.data]).toEqual([1, 0]);
  });

  test('integrated gradients: exact for a square, and complete', async () => {
    for (const steps of [1, 4]) {
      const { attribution, facts, settings } = await explained({ method: 'integrated-gradients', steps });
      // x₀ ∫ (1 + 2 t x₀) dt = 2 + 4.
      expect(furthest(attribution!.data, [6, -2, -3, 0])).toBeLessThan(1e-6);
      expect(facts?.completenessError).toBeLessThan(1e-5);
      expect(settings).toEqual({ steps });
    }
  });

  test('SmoothGrad: the mean of gradients at noisy pictures', async () => {
    const { attribution, settings } = await explained({
      method: 'smooth-grad',
      samples: 2000,
      sigma: 0.1,
      seed: 3,
    });
    // 1 + 2 (x₀ + noise): noise of deviation 0.1 · (4 − (−1)) leaves 2 · 0.5 / √2000.
    expect(attribution!.data[0]).toBeCloseTo(5, 1);
    expect([...attribution!.data].slice(1)).toEqual([-2, 3, 0]);
    expect(settings).toEqual({ samples: 2000, sigma: 0.1, seed: 3 });
  });
});

const images = { type: 'float32', dims: [2, 3, 8, 8], data: values(4, [2, 3, 8, 8]) } as const;

test.each(['saliency', 'grad-input', 'smooth-grad', 'integrated-gradients'] as const)(
  '%s needs no layer, and gives the same in batches',
  async (method) => {
    await using explainer = await Explainer.open(bytesFrom(classifier()));
    const maps = async (batchSize: number) =>
      (await explainer.explain(images, { method, batchSize, targets: [0, 3] })).map(({ targets }) => targets);
    const [alone, together] = [await maps(1), await maps(2)];
    alone.forEach((targets, n) =>
      targets.forEach(({ map, attribution, layers }, t) => {
        expect(layers).toEqual(['image']);
        expect(attribution?.dims).toEqual([3, 8, 8]);
        expect(furthest(map.data, together[n][t].map.data)).toBeLessThan(1e-5);
        expect([Math.min(...map.data), Math.max(...map.data)]).toEqual([0, 1]);
      }),
    );
    expect(alone[0][0].map.data).not.toEqual(alone[0][1].map.data);
  },
);

test('more steps leave less of the completeness error', async () => {
  await using explainer = await Explainer.open(bytesFrom(classifier()));
  const error = async (steps: number) =>
    (await explainer.explain(images, { method: 'integrated-gradients', steps }))[0].targets[0].facts!
      .completenessError;
  expect(await error(256)).toBeLessThan((await error(2)) / 10);
});

holdsOracle('smooth-grad', {
  before: (item) => giveNoise(smoothGrad, 'attribute', item),
  variant: ({ methods: { samples, sigma } }) => ({ method: 'smooth-grad', samples, sigma }),
});

holdsOracle('integrated-gradients', {
  variant: ({ methods: { steps } }) => ({ method: 'integrated-gradients', steps }),
});
