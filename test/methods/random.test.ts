import { expect, test } from 'vitest';
import { Explainer } from '../../src/batch/explainer.js';
import { linearUpsampler } from '../../src/upsample.js';
import { random } from '../../src/random-stream.js';
import { bytesFrom, classifier, values } from '../support/network.js';
import { furthest } from './oracle.js';

const images = { type: 'float32', dims: [2, 3, 8, 8], data: values(4, [2, 3, 8, 8]) } as const;

test('the random map is noise of the layer, of the seed and the picture’s name alone', async () => {
  await using explainer = await Explainer.open(bytesFrom(classifier()), {
    layer: 'relu2',
    backend: 'reference',
  });
  const maps = async (seed?: number, batchSize = 1) =>
    (await explainer.explain(images, { method: 'random', seed, batchSize, targets: [0, 1] })).map(
      ({ targets }) => targets.map(({ map }) => map.data),
    );
  const [first, second] = await maps(5);
  expect(first[1]).toEqual(first[0]); // no target
  expect(second).not.toEqual(first);
  expect(await maps(5, 2)).toEqual([first, second]);
  expect(await maps(6)).not.toEqual([first, second]);
  expect(await maps(1)).toEqual(await maps());
  const stream = random(5, 'control', '1');
  const noise = linearUpsampler([4, 4], [8, 8])(Float64Array.from({ length: 16 }, () => stream.uniform()));
  const [least, most] = [Math.min(...noise), Math.max(...noise)];
  expect(
    furthest(
      second[0],
      noise.map((value) => (value - least) / (most - least)),
    ),
  ).toBeLessThan(1e-6);
});

test('the seed stands in the result', async () => {
  await using explainer = await Explainer.open(bytesFrom(classifier()));
  const [{ targets }] = await explainer.explain(
    { ...images, dims: [3, 8, 8], data: images.data.slice(192) },
    { method: 'random', seed: 7 },
  );
  expect(targets[0]).toMatchObject({ method: 'random', settings: { seed: 7 } });
});
