import { expect, test } from 'vitest';
import { maskPicture, normalize } from '../../src/methods/masked-pictures.js';
import { softmax } from '../../src/methods/score-cam.js';
import { furthest, holdsOracle } from './oracle.js';

test.each([
  {
    what: 'channels first',
    inputDims: [2, 1, 2],
    channelAxis: 0,
    mask: [10, 100],
    expected: [10, 200, 30, 400],
  },
  {
    what: 'channels last',
    inputDims: [1, 2, 2],
    channelAxis: 2,
    mask: [10, 100],
    expected: [10, 20, 300, 400],
  },
  {
    what: 'no channels',
    inputDims: [4],
    channelAxis: -1,
    mask: [1, 10, 100, 1000],
    expected: [1, 20, 300, 4000],
  },
  {
    what: 'a mask for every frame',
    inputDims: [1, 2, 2],
    channelAxis: 0,
    mask: [10, 100],
    expected: [10, 200, 30, 400],
  },
  {
    what: 'a mask for every frame, channels last',
    inputDims: [2, 2, 1],
    channelAxis: 2,
    mask: [10, 100],
    expected: [10, 200, 30, 400],
  },
])('masks a picture: $what', ({ inputDims, channelAxis, mask, expected }) => {
  const input = Float32Array.from([9, 9, 9, 9, 1, 2, 3, 4]); // the second of two
  const out = new Float32Array(4).fill(-1);
  maskPicture({ input, inputDims, channelAxis }, 1, mask, out);
  expect([...out]).toEqual(expected);
});

test('normalises by hand', () => {
  expect([...normalize(Float64Array.of(1, 3, 2))]).toEqual([0, 1, 0.5]);
  expect([...normalize(Float64Array.of(3, 3))]).toEqual([0, 0]);
});

test('the softmax of scores by hand, of large ones and of none', () => {
  expect(furthest(softmax(Float64Array.of(0, Math.log(3))), [0.25, 0.75])).toBeLessThan(1e-15);
  expect([...softmax(Float64Array.of(1000, 1000, Number.NEGATIVE_INFINITY))]).toEqual([0.5, 0.5, 0]);
  expect([...softmax(new Float64Array(2).fill(Number.NEGATIVE_INFINITY))]).toEqual([0, 0]);
});

holdsOracle('score-cam', { variant: () => ({ method: 'score-cam' }) });
