import { expect, test } from 'vitest';
import { shareOfStrong } from '../../src/methods/fem.js';
import { holdsOracle } from './oracle.js';

test.each([
  { values: [0, 0, 0, 0, 0, 0, 0, 0, 0, 10], share: 0.1 }, // mean 1, std 3: above 7
  { values: [0, 0, 0, 10], share: 0 }, // mean 2.5, std 4.33: above 11.2
  { values: [3, 3, 3], share: 0 }, // not above its own mean
])('the share of $values above mean + 2 std, by hand', ({ values, share }) => {
  expect(shareOfStrong(Float32Array.from(values))).toBe(share);
});

holdsOracle('fem', { variant: () => ({ method: 'fem' }) });
