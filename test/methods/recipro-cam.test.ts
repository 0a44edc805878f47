import { describe, expect, test } from 'vitest';
import { Explainer } from '../../src/batch/explainer.js';
import { keptAround } from '../../src/methods/recipro-cam.js';
import { bytesFrom, classifier, values } from '../support/network.js';
import { cutByHand } from './head.js';
import { furthest } from './oracle.js';

test('keeps one position, or a Gaussian around it, by hand', () => {
  expect(keptAround(5, { dims: [3, 4] }, false)).toEqual([{ position: 5, factor: 1 }]);
  const inside = keptAround(5, { dims: [3, 4] }, true);
  expect(inside.map(({ position }) => position)).toEqual([0, 1, 2, 4, 5, 6, 8, 9, 10]);
  expect(inside.map(({ factor }) => factor * 16)).toEqual([1, 2, 1, 2, 4, 2, 1, 2, 1]);
  expect(keptAround(0, { dims: [3] }, true)).toEqual([
    { position: 0, factor: 1 / 2 },
    { position: 1, factor: 1 / 4 },
  ]);
  expect(keptAround(11, { dims: [3, 4] }, true).map(({ position }) => position)).toEqual([6, 7, 10, 11]);
});

const images = { type: 'float32', dims: [2, 3, 8, 8], data: values(4, [2, 3, 8, 8]) } as const;

describe.each(['pool', 'dense'] as const)('%s head', (head) => {
  test.each([false, true])('scores each position alone, gaussian %s', async (gaussian) => {
    await using explainer = await Explainer.open(bytesFrom(classifier({ head })), {
      layer: 'relu2',
      backend: 'reference',
    });
    const [, explained] = await explainer.explain(images, {
      method: 'recipro-cam',
      gaussian,
      targets: 3,
      batchSize: 2,
    });
    const { activations, scores } = await cutByHand({ head }, images);
    const alone = Float32Array.from({ length: 16 }).fill(0);
    for (let p = 0; p < 16; p++) {
      const A = new Float32Array(96);
      for (let q = 0; q < 16; q++) {
        const [y, x] = [Math.abs(Math.floor(p / 4) - Math.floor(q / 4)), Math.abs((p % 4) - (q % 4))];
        const factor = gaussian ? (y < 2 && x < 2 ? 1 / 4 / 2 ** (y + x) : 0) : Number(p === q);
        for (let k = 0; k < 6; k++) A[k * 16 + q] = factor * activations[96 + k * 16 + q];
      }
      alone[p] = (await scores(A))[3];
    }
    const least = Math.min(...alone);
    const raw = explained.targets[0].raw!.data;
    expect(
      furthest(
        raw,
        alone.map((value) => value - least),
      ),
    ).toBeLessThan(1e-6);
    expect(Math.max(...raw)).toBeGreaterThan(1e-3);
  });
});
