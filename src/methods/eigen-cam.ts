import { sizeOf } from '../tensor.js';
import type { LayerValues } from './common/evidence.js';
import { firstProjectionNodes } from './common/eigen-nodes.js';
import { layerMethod } from './common/method.js';

/**
 * Eigen-CAM, Muhammad and Yeasin, arXiv 2008.00299, Eq. 1 to 3: X [P, K] holds the activations, a row a position, X = U Σ Vᵀ,
 * map relu(X v₁) with v₁ the first column of V. X is not centred. No target: the map is the same for every class.
 *
 * Beyond the paper, which leaves the sign of v₁ open: Σ_p (X v₁)_p ≥ 0. The paper has no ReLU; it is applied as in every map.
 */
export const eigenCam = layerMethod({
  name: 'eigen-cam',
  kind: 'layer',
  isSum: false,
  source: 'arXiv 2008.00299, Eq. 3',
  formula: 'A projected on its first principal component, Σ ≥ 0',
  needs: ['activations'],
  hasTarget: false,
  options: {},
  map: ({ images, layer }) => {
    const { activations, dims } = layer;
    const positions = sizeOf(dims);
    const map = new Float32Array(images * positions);
    for (const [n, picture] of picturesOf(layer, activations).entries()) {
      const projection = firstProjection(picture, layer.channels);
      const sum = projection.reduce((total, value) => total + value, 0);
      map.set(sum < 0 ? projection.map((value) => -value) : projection, n * positions);
    }
    return { by: 'map', map, dims, relu: true };
  },
  nodes: (b, { activations, channels, positions }) =>
    firstProjectionNodes(b, activations, { channels, positions }, () => b.scalar(1)),
});

/** [K, …dims] of each picture in [N, K, …dims]. */
export function picturesOf({ channels, dims }: LayerValues, values: Float32Array): Float32Array[] {
  const size = channels * sizeOf(dims);
  return Array.from({ length: values.length / size }, (_, n) => values.subarray(n * size, (n + 1) * size));
}

/**
 * X v₁ of X = planesᵀ, `planes` being [K, P]: P numbers, of either sign.
 *
 * The first eigenvector of X Xᵀ or Xᵀ X, whichever is smaller, by Lanczos' method in float64: T = Qᵀ M Q in an orthonormal
 * basis Q of the Krylov space, its first eigenvector by Jacobi's method, restarted with it until the residual is rounding.
 */
export function firstProjection(planes: Float32Array, channels: number): Float64Array {
  const positions = planes.length / channels;
  const most = planes.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
  if (most === 0) return new Float64Array(positions);
  const scaled = Float64Array.from(planes, (value) => value / most); // squares neither over- nor underflow
  const project = (v: Float64Array) => timesPlanes(scaled, v, positions);
  const back = (u: Float64Array) => planesTimes(scaled, u, channels);
  const vector =
    channels <= positions
      ? firstEigenvector((v) => back(project(v)), channels)
      : back(firstEigenvector((u) => project(back(u)), positions));
  const length = norm(vector);
  const projection = project(vector).map((value) => (value / length) * most);
  const largest = projection.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  return projection.map((value) => (Math.abs(value) > rounding * largest ? value : 0)); // a ReLU would leave it alone, and a norm stretch it
}

/** Of the largest value: what the search for the vector leaves. */
const rounding = 1e-12;

/** Σ_k v_k A_k. */
function timesPlanes(planes: Float64Array, v: Float64Array, positions: number): Float64Array {
  const sum = new Float64Array(positions);
  for (let k = 0, i = 0; k < v.length; k++)
    for (let p = 0; p < positions; p++, i++) sum[p] += v[k] * planes[i];
  return sum;
}

/** ⟨A_k, u⟩ of every channel. */
function planesTimes(planes: Float64Array, u: Float64Array, channels: number): Float64Array {
  const products = new Float64Array(channels);
  for (let k = 0, i = 0; k < channels; k++)
    for (let p = 0; p < u.length; p++, i++) products[k] += planes[i] * u[p];
  return products;
}

const krylovSteps = 24;
const mostRestarts = 100;

/** The eigenvector of the largest eigenvalue of a positive semidefinite matrix, which is given as v → M v. */
function firstEigenvector(times: (v: Float64Array) => Float64Array, n: number): Float64Array {
  let vector = unit(Float64Array.from({ length: n }, (_, i) => 1 + Math.sin(i + 1) / 2)); // orthogonal to none that occurs
  for (let restart = 0; restart < mostRestarts; restart++) {
    const basis = [vector];
    const products: Float64Array[] = [];
    while (true) {
      const product = times(basis[basis.length - 1]);
      products.push(product);
      const next = withoutComponents(withoutComponents(product, basis), basis); // twice is enough (Kahan, Parlett)
      const rest = norm(next);
      const isWhole = basis.length === Math.min(n, krylovSteps) || rest <= 1e-14 * norm(product);
      if (isWhole) break;
      basis.push(next.map((value) => value / rest));
    }
    const T = basis.map((q) => products.map((product) => dot(q, product)));
    const { value, coefficients } = firstOfSymmetric(T);
    vector = unit(combination(basis, coefficients));
    const residual = combination(products, coefficients).map((own, i) => own - value * vector[i]);
    if (norm(residual) <= 1e-13 * value) break;
  }
  return vector;
}

/** The largest eigenvalue of a small symmetric matrix and its eigenvector, by Jacobi's rotations. */
function firstOfSymmetric(T: number[][]): { value: number; coefficients: number[] } {
  const n = T.length;
  const V = T.map((_, i) => T.map((__, j) => (i === j ? 1 : 0)));
  const size = Math.hypot(...T.flat());
  const rest = () => Math.hypot(...T.flatMap((row, i) => row.slice(0, i)));
  for (let sweep = 0; sweep < 30 && rest() > 1e-16 * size; sweep++)
    for (let p = 0; p < n; p++)
      for (let q = p + 1; q < n; q++) {
        if (T[p][q] === 0) continue;
        const theta = (T[q][q] - T[p][p]) / (2 * T[p][q]);
        const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.hypot(theta, 1));
        const c = 1 / Math.hypot(t, 1);
        rotate(T, p, q, c, t * c);
        for (const row of [...T, ...V])
          [row[p], row[q]] = [c * row[p] - t * c * row[q], t * c * row[p] + c * row[q]];
      }
  const first = T.reduce((best, row, i) => (row[i] > T[best][best] ? i : best), 0);
  return { value: T[first][first], coefficients: V.map((row) => row[first]) };
}

function rotate(rows: number[][], p: number, q: number, c: number, s: number): void {
  const [a, b] = [rows[p], rows[q]];
  rows[p] = a.map((value, i) => c * value - s * b[i]);
  rows[q] = a.map((value, i) => s * value + c * b[i]);
}

function withoutComponents(v: Float64Array, basis: readonly Float64Array[]): Float64Array {
  const rest = v.slice();
  for (const q of basis) {
    const part = dot(q, rest);
    for (let i = 0; i < rest.length; i++) rest[i] -= part * q[i];
  }
  return rest;
}

function combination(vectors: readonly Float64Array[], coefficients: readonly number[]): Float64Array {
  return vectors[0].map((_, i) => vectors.reduce((sum, v, j) => sum + coefficients[j] * v[i], 0));
}

function dot(a: Float64Array, b: Float64Array): number {
  return a.reduce((sum, value, i) => sum + value * b[i], 0);
}

function norm(v: Float64Array): number {
  return Math.sqrt(dot(v, v));
}

function unit(v: Float64Array): Float64Array {
  const length = norm(v);
  return v.map((value) => value / length);
}
