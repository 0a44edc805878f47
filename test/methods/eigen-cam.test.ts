import { expect, test } from 'vitest';
import { firstProjection } from '../../src/methods/eigen-cam.js';
import { values } from '../support/network.js';
import { furthest, holdsOracle } from './oracle.js';

test.each([
  // K channels of P positions each, their projection on v₁ up to its sign
  { planes: [3, 0, 0, 2], channels: 2, expected: [3, 0] },
  { planes: [2, 1, 1, 2], channels: 2, expected: [3 / Math.SQRT2, 3 / Math.SQRT2] }, // v₁ = (1, 1) / √2
  { planes: [1, -2, 2, -4], channels: 2, expected: [Math.sqrt(5), -2 * Math.sqrt(5)] }, // rank 1: v₁ = (1, 2) / √5
  { planes: [1, 2, 2], channels: 1, expected: [1, 2, 2] },
  { planes: [3, 4, 0], channels: 3, expected: [5] },
  { planes: [0, 0, 0, 0], channels: 2, expected: [0, 0] },
  { planes: [1e-30, 0, 0, 0], channels: 2, expected: [1e-30, 0] },
])('projects $planes by hand', ({ planes, channels, expected }) => {
  const found = firstProjection(Float32Array.from(planes), channels);
  const sign = found.reduce((sum, value, i) => sum + value * expected[i], 0) < 0 ? -1 : 1;
  const size = Math.max(...expected.map(Math.abs)) || 1;
  expect(
    furthest(
      found.map((value) => (sign * value) / size),
      expected.map((value) => value / size),
    ),
  ).toBeLessThan(1e-7);
});

test.each([
  { channels: 60, positions: 35 },
  { channels: 35, positions: 60 },
])(
  'finds an eigenvector of X Xᵀ, of the largest eigenvalue: $channels channels',
  ({ channels, positions }) => {
    const planes = values(channels, [channels, positions]);
    const times = (u: Float64Array): Float64Array => {
      const out = new Float64Array(positions);
      for (let k = 0; k < channels; k++) {
        const plane = planes.subarray(k * positions, (k + 1) * positions);
        const product = plane.reduce((sum, value, p) => sum + value * u[p], 0);
        for (let p = 0; p < positions; p++) out[p] += product * plane[p];
      }
      return out;
    };
    const found = firstProjection(planes, channels);
    const eigenvalue = found.reduce((sum, value) => sum + value * value, 0); // σ₁², since |X v₁| = σ₁
    const product = times(found);
    expect(
      furthest(
        product.map((value) => value / eigenvalue),
        found,
      ),
    ).toBeLessThan(1e-10);
    let power = Float64Array.from({ length: positions }, (_, p) => Math.cos(p));
    for (let i = 0; i < 3000; i++) {
      const next = times(power);
      const length = Math.hypot(...next);
      power = next.map((value) => value / length);
    }
    expect(Math.hypot(...times(power))).toBeCloseTo(eigenvalue, 6);
  },
);

holdsOracle('eigen-cam', { variant: () => ({ method: 'eigen-cam' }) });
