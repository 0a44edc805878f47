import { expect, test } from 'vitest';
import { firstPrincipalMap } from '../../src/methods/eigen-grad-cam.js';
import { furthest, holdsOracle } from './oracle.js';

test.each([
  { weighted: [1, -2, 2, -4], expected: [Math.sqrt(5), -2 * Math.sqrt(5)] }, // v₁ = (1, 2) / √5, the sum is (3, −6)
  { weighted: [-1, 2, -2, 4], expected: [-Math.sqrt(5), 2 * Math.sqrt(5)] },
  { weighted: [-1, 0, 0, -3], expected: [0, -3] }, // the sum (−1, −3) keeps what speaks against the target negative
])('the sign is that of the sum: $weighted', ({ weighted, expected }) => {
  expect(furthest(firstPrincipalMap(Float32Array.from(weighted), 2), expected)).toBeLessThan(1e-7);
});

holdsOracle('eigen-grad-cam', { variant: () => ({ method: 'eigen-grad-cam' }) });
