import { afterAll, expect, test, vi } from 'vitest';
import { Explainer } from '../../src/batch/explainer.js';
import type { Mask } from '../../src/methods/common/evidence.js';
import { enlargementOf, meanOfMasks, rise, shiftedMasks } from '../../src/methods/rise.js';
import { type Blocks, linearBlocks, linearUpsampler } from '../../src/upsample.js';
import { bytesFrom, classifier, values } from '../support/network.js';
import { compute } from './given.js';
import { furthest, holdsOracle } from './oracle.js';

afterAll(() => void vi.restoreAllMocks());

const enlargedCells = (size: readonly number[], cells: number) => {
  const { from, to } = enlargementOf(size, cells);
  return (mask: Mask) => linearBlocks(from, to, size)(Float64Array.from(mask.cells), mask.offsets);
};
const valuesOf = ({ count, at }: Blocks) =>
  Array.from({ length: count }, (_, block) => [...at(block)]).flat();

test('draws masks by hand: two cells of three pixels, enlarged to nine and cut out of the second pixel', () => {
  const drawn = [0.1, 0.9, 0.5, 0.9, 0.1, 0];
  const masks = shiftedMasks({ uniform: () => drawn.shift() ?? Number.NaN }, [6], { cells: 2, keep: 0.5 });
  const whole = linearUpsampler([2], [9]);
  const enlarged = enlargedCells([6], 2);
  const next = () => {
    return valuesOf(enlarged(masks.next().value as Mask));
  };
  expect(next()).toEqual([...whole(Float64Array.of(1, 0)).subarray(1, 7)]);
  expect(next()).toEqual([...whole(Float64Array.of(0, 1)).subarray(0, 6)]);
});

test.each([
  { size: [4, 6], drawn: [0.1, 0.9, 0.9, 0.1, /* rows */ 0.6, /* columns */ 0.4], offsets: [1, 1] },
  {
    size: [2, 4, 6],
    drawn: [0.1, 0.9, 0.9, 0.1, 0.9, 0.1, 0.1, 0.1, /* planes */ 0, /* rows */ 0.6, /* columns */ 0.9],
    offsets: [0, 1, 2],
  },
])('cuts a mask out on every axis of $size', ({ size, drawn, offsets }) => {
  const left = [...drawn];
  const masks = shiftedMasks({ uniform: () => left.shift() ?? Number.NaN }, size, { cells: 2, keep: 0.5 });
  const mask = masks.next().value as Mask;
  expect(mask.offsets).toEqual(offsets);
  const dims = size.map((dim) => 1.5 * dim);
  const whole = linearUpsampler(
    size.map(() => 2),
    dims,
  )(Float64Array.from(mask.cells));
  const places = size.reduce<number[]>(
    (found, dim, axis) =>
      found.flatMap((place) => Array.from({ length: dim }, (_, i) => place * dims[axis] + offsets[axis] + i)),
    [0],
  );
  const cut = valuesOf(enlargedCells(size, 2)(mask));
  expect(cut).toEqual(places.map((place) => whole[place]));
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
      const { size } = evidence;
      const enlargement = { from: cells, to: size, size, isNormalized: false };
      const draw = function* () {
        for (let m = 0; m < count; m++)
          yield { cells: Float64Array.from(data.subarray(m * length, (m + 1) * length)) };
      };
      return meanOfMasks(evidence, { draw, enlargement, count, keep });
    });
  },
  variant: () => ({ method: 'rise' }),
});
