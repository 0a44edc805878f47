import { afterAll, expect, test, vi } from 'vitest';
import { Explainer } from '../../src/batch/explainer.js';
import { meanOfMasks, rise, shiftedMasks } from '../../src/methods/rise.js';
import { linearUpsampler } from '../../src/upsample.js';
import { bytesFrom, classifier, values } from '../support/network.js';
import { compute } from './given.js';
import { furthest, holdsOracle } from './oracle.js';

afterAll(() => void vi.restoreAllMocks());

test('draws masks by hand: two cells of three pixels, enlarged to nine and cut out of the second pixel', () => {
  const drawn = [0.1, 0.9, 0.5, 0.9, 0.1, 0];
  const masks = shiftedMasks({ uniform: () => drawn.shift() ?? Number.NaN }, [6], { cells: 2, keep: 0.5 });
  const whole = linearUpsampler([2], [9]);
  expect([...masks.next().value]).toEqual([...whole(Float64Array.of(1, 0)).subarray(1, 7)]);
  expect([...masks.next().value]).toEqual([...whole(Float64Array.of(0, 1)).subarray(0, 6)]);
});

test('cuts a mask out on every axis', () => {
  const drawn = [0.1, 0.9, 0.9, 0.1, /* rows */ 0.6, /* columns */ 0.4];
  const masks = shiftedMasks({ uniform: () => drawn.shift() ?? Number.NaN }, [4, 6], { cells: 2, keep: 0.5 });
  const whole = linearUpsampler([2, 2], [6, 9])(Float64Array.of(1, 0, 0, 1));
  const expected = Array.from({ length: 24 }, (_, i) => whole[(Math.floor(i / 6) + 1) * 9 + (i % 6) + 1]);
  expect([...masks.next().value]).toEqual(expected);
});

const images = { type: 'float32', dims: [2, 3, 8, 8], data: values(4, [2, 3, 8, 8]) } as const;

test('explains without a gradient, by the seed and the name alone, and says how far it is', async () => {
  await using explainer = await Explainer.open(bytesFrom(classifier({ tail: 'softmax' })));
  const gradients = vi.spyOn(explainer.network, 'differentiator');
  const maps = async (options: object) =>
    (await explainer.explain(images, { method: 'rise', masks: 20, cells: 3, targets: 1, ...options })).map(
      ({ targets }) => targets[0],
    );
  const first = await maps({ seed: 2 });
  expect(first[0]).toMatchObject({
    layers: ['image'],
    settings: { masks: 20, cells: 3, keep: 0.5, seed: 2 },
  });
  expect(first[0].map.dims).toEqual([8, 8]);
  expect(Math.min(...first[0].map.data)).toBe(0);
  expect(Math.max(...first[0].map.data)).toBe(1);
  const again = await maps({ seed: 2, batchSize: 2 });
  first.forEach(({ map }, n) => expect(furthest(again[n].map.data, map.data)).toBeLessThan(1e-5));
  expect((await maps({ seed: 3 }))[0].map.data).not.toEqual(first[0].map.data);
  expect(gradients).not.toHaveBeenCalled();
});

holdsOracle('rise', {
  before: async ({ array, methods: { riseProbability: keep } }) => {
    const { data, dims } = await array('rise-masks');
    const [count, , ...cells] = dims;
    const length = data.length / count;
    compute(rise, 'attribute', (evidence) => {
      const upsample = linearUpsampler(cells, evidence.size);
      const masks = function* () {
        for (let m = 0; m < count; m++)
          yield upsample(Float64Array.from(data.subarray(m * length, (m + 1) * length))).slice();
      };
      return meanOfMasks(evidence, { masks, count, keep });
    });
  },
  variant: () => ({ method: 'rise' }),
});
