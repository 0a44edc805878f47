import { expect, test } from 'vitest';
import { Explainer } from '../../src/batch/explainer.js';
import { settingsOf } from '../../src/explain/explain-options.js';
import { bytesFrom, classifier, values } from '../support/network.js';
import { cutByHand } from './head.js';
import { furthest, holdsOracle } from './oracle.js';

holdsOracle('ablation-cam', { variant: () => ({ method: 'ablation-cam' }) });

const images = { type: 'float32', dims: [3, 3, 8, 8], data: values(4, [3, 3, 8, 8]) } as const;

test.each(['pool', 'dense'] as const)('what a channel is worth, by taking it out: %s head', async (head) => {
  await using explainer = await Explainer.open(bytesFrom(classifier({ head })), {
    layer: 'relu2',
    backend: 'reference',
  });
  const explained = await explainer.explain(images, { method: 'ablation-cam', targets: 1, batchSize: 2 });
  const { activations, scores } = await cutByHand({ head }, images);
  const A = activations.subarray(2 * 96);
  const [, full] = await scores(A);
  const expected = new Float64Array(16);
  for (let k = 0; k < 6; k++) {
    const without = A.slice().fill(0, k * 16, (k + 1) * 16);
    const weight = full - (await scores(without))[1];
    for (let p = 0; p < 16; p++) expected[p] += weight * A[k * 16 + p];
  }
  const raw = explained[2].targets[0].raw!.data;
  expect(
    furthest(
      raw,
      expected.map((value) => Math.max(0, value)),
    ),
  ).toBeLessThan(1e-6);
  expect(Math.max(...raw)).toBeGreaterThan(1e-3);
});

test('reports every pass of the head, and none where it is affine', async () => {
  const steps = async (head: 'pool' | 'dense', channels?: number) => {
    await using explainer = await Explainer.open(bytesFrom(classifier({ head })), { layer: 'relu2' });
    const seen: number[][] = [];
    const settings = settingsOf({ method: 'ablation-cam', channels, targets: [0, 1] });
    const prepared = await explainer.prepare(images);
    await explainer.explainPrepared(prepared, settings, undefined, (...step) => seen.push(step));
    return seen;
  };
  expect(await steps('pool')).toEqual([]);
  // A picture at a time, for both classes together: as it is, and without each of six channels, of which one is dead in two of them.
  expect(await steps('dense')).toEqual([
    [6, 6],
    [7, 7],
    [6, 6],
  ]);
  expect((await steps('dense', 2)).at(-1)).toEqual([3, 3]);
});

test('looks at the channels of largest variance alone, and says so', async () => {
  await using explainer = await Explainer.open(bytesFrom(classifier()), {
    layer: 'relu2',
    backend: 'reference',
  });
  const explained = async (channels?: number) =>
    (await explainer.explain(images, { method: 'ablation-cam', channels }))[0].targets[0];
  const [two, six, all] = [await explained(2), await explained(6), await explained()];
  expect(two.facts).toEqual({ channels: 2, channelsOfLayer: 6 });
  expect([six.facts, all.facts]).toEqual([undefined, undefined]);
  expect(six.map.data).toEqual(all.map.data);
  expect(two.map.data).not.toEqual(all.map.data);
});
