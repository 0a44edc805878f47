import { expect, test } from 'vitest';
import { appended, Builder } from '../../src/graph/builder.js';
import { firstPrincipalMap } from '../../src/methods/eigen-grad-cam.js';
import { firstPrincipalNodes } from '../../src/methods/eigen-grad-cam.js';
import { DataType } from '../../src/onnx/types.js';
import { openSession } from '../../src/runtime/session.js';
import { randomNumbers } from '../map/random.js';
import { graphFrom, values } from '../support/network.js';
import { furthest } from './oracle.js';

/** The largest distance of maps by nodes and by Lanczos' method, of either length; `planes` [N, K, 4, 5]. */
async function distance(planes: Float32Array, K: number): Promise<number> {
  const N = planes.length / (K * 20);
  const graph = graphFrom({ inputs: { planes: ['N', K, 4, 5] }, outputs: [], nodes: [] });
  const b = new Builder(graph);
  const map = firstPrincipalNodes(b, 'planes', { channels: K, positions: 20 });
  const outputs = [{ name: map, type: DataType.FLOAT, dims: undefined }];
  const session = await openSession({ ...appended(graph, b), outputs });
  const results = await session.run({ planes: { type: 'float32', dims: [N, K, 4, 5], data: planes } });
  await session.close();
  const unit = (own: ArrayLike<number>) => {
    const most = Math.max(...Array.from(own, Math.abs));
    return Array.from(own, (value) => (most === 0 ? 0 : value / most));
  };
  let most = 0;
  for (let n = 0; n < N; n++) {
    const expected = firstPrincipalMap(planes.slice(n * K * 20, (n + 1) * K * 20), K);
    const own = (results[map].data as Float32Array).slice(n * 20, (n + 1) * 20);
    most = Math.max(most, furthest(unit(own), unit(expected)));
  }
  expect(results[map].dims).toEqual([N, 1, 4, 5]);
  return most;
}

/** Planes [K, 20] with singular values 1, 1 − gap, and others of at most one half. */
function withGap(gap: number, K: number, seed: number): Float32Array {
  const next = randomNumbers(seed);
  const orthonormal = (size: number, count: number) => {
    const vectors: number[][] = [];
    while (vectors.length < count) {
      const v = Array.from({ length: size }, () => next() - 0.5);
      for (const q of vectors) {
        const part = q.reduce((sum, value, i) => sum + value * v[i], 0);
        for (let i = 0; i < size; i++) v[i] -= part * q[i];
      }
      const norm = Math.hypot(...v);
      vectors.push(v.map((value) => value / norm));
    }
    return vectors;
  };
  const sigma = [1, 1 - gap, 0.5, 0.2];
  const [left, right] = [orthonormal(K, 4), orthonormal(20, 4)];
  return Float32Array.from({ length: K * 20 }, (_, at) => {
    const [k, p] = [Math.floor(at / 20), at % 20];
    return sigma.reduce((sum, value, i) => sum + value * left[i][k] * right[i][p], 0);
  });
}

test.each([3, 20, 64])('random planes of %i channels', async (K) => {
  expect(await distance(values(K, [4, K, 4, 5]), K)).toBeLessThan(1e-6);
});

test.each([0.1, 1e-2, 1e-3, 1e-4])('a second singular value nearer than the first by %f', async (gap) => {
  for (const K of [6, 40]) expect(await distance(withGap(gap, K, 7), K)).toBeLessThan(1e-6);
});

test('planes of zeros, of one position, very large and very small ones', async () => {
  expect(await distance(new Float32Array(6 * 20), 6)).toBe(0);
  const one = new Float32Array(6 * 20);
  one[3 * 20 + 7] = -2;
  expect(await distance(one, 6)).toBeLessThan(1e-6);
  for (const scale of [1e-30, 1e30])
    expect(
      await distance(
        values(3, [1, 6, 4, 5]).map((value) => value * scale),
        6,
      ),
    ).toBeLessThan(1e-6);
});
