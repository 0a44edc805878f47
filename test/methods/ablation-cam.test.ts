import { expect, test } from 'vitest';
import { Explainer } from '../../src/explain/explainer.js';
import { settingsOf } from '../../src/explain/options.js';
import { bytesFrom, classifier, values } from '../support/network.js';
import { holdsOracle } from './oracle.js';

holdsOracle('ablation-cam', { variant: () => ({ method: 'ablation-cam' }) });

const images = { type: 'float32', dims: [3, 3, 8, 8], data: values(4, [3, 3, 8, 8]) } as const;

test.each(['pool', 'dense'] as const)('what a channel is worth, by taking it out: %s head', async (head) => {
  const network = classifier({ head });
  await using explainer = await Explainer.open(bytesFrom(network), { layer: 'relu2', backend: 'reference' });
  await using whole = await Explainer.open(bytesFrom({ ...network, outputs: ['relu2', 'logits'] }), {
    output: 'logits',
  });
  const [, , third] = await explainer.explain(images, { method: 'ablation-cam', targets: 1, batchSize: 2 });
  // The same by a network whose layer is an input.
  const layer = (await whole.network.forward(['relu2'], whole.scores)).forward({ image: images });
  const A = (await layer).activations[0].slice(2 * 96);
  const nodes = network.nodes.slice(4);
  const behind = { ...network, inputs: { relu2: ['N', 6, 4, 4] }, nodes };
  await using tail = await Explainer.open(bytesFrom(behind));
  const score = async (data: Float32Array) =>
    (await tail.scoresOf({ type: 'float32', dims: [1, 6, 4, 4], data }))[1];
  const full = await score(A);
  const expected = new Float64Array(16);
  for (let k = 0; k < 6; k++) {
    const without = A.slice().fill(0, k * 16, (k + 1) * 16);
    const weight = full - (await score(without));
    for (let p = 0; p < 16; p++) expected[p] += weight * A[k * 16 + p];
  }
  third.targets[0].raw?.data.forEach((value, p) => expect(value).toBeCloseTo(Math.max(0, expected[p]), 5));
});

test('reports every pass of the head, and none where it is affine', async () => {
  const steps = async (head: 'pool' | 'dense', channels?: number) => {
    await using explainer = await Explainer.open(bytesFrom(classifier({ head })), { layer: 'relu2' });
    const seen: number[][] = [];
    const settings = settingsOf({ method: 'ablation-cam', channels, targets: [0, 1] });
    await explainer.explainPrepared(await explainer.prepare(images), settings, undefined, (...step) =>
      seen.push(step),
    );
    return seen;
  };
  expect(await steps('pool')).toEqual([]);
  // A picture at a time; of each, two classes: as it is, and without each of six channels.
  const expected = [1, 2, 3].flatMap(() => [
    [7, 7],
    [14, 14],
  ]);
  expect(await steps('dense')).toEqual(expected);
  expect((await steps('dense', 2)).at(-1)).toEqual([6, 6]);
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
