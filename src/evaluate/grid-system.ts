/** Offsets of the eight neighbours of a pixel, [right, down]. */
export const neighbours: readonly (readonly [number, number])[] = [
  [-1, -1],
  [0, -1],
  [1, -1],
  [-1, 0],
  [1, 0],
  [-1, 1],
  [0, 1],
  [1, 1],
];

/**
 * A symmetric linear system whose unknowns lie on a grid, each tied to some of its eight neighbours:
 * `diagonal[i] x[i] − Σ_k weights[8 i + k] x[columns[8 i + k]] = b[i]`, where no weight is negative and the diagonal is at least
 * their sum. A neighbour that is no unknown has the column `count`, and the weight 0.
 */
export interface GridSystem {
  readonly count: number;
  readonly width: number;
  /** Place of every unknown on the grid, row by row, ascending. */
  readonly places: Int32Array;
  readonly columns: Int32Array;
  readonly weights: Float64Array;
  readonly diagonal: Float64Array;
}

/** The system that places on a grid of `width` make, all weights and diagonals 0. */
export function emptySystem(places: Int32Array, width: number, height: number): GridSystem {
  const count = places.length;
  const indices = new Int32Array(width * height).fill(count);
  for (let i = 0; i < count; i++) indices[places[i]] = i;
  const columns = new Int32Array(8 * count).fill(count);
  for (let i = 0; i < count; i++) {
    const x = places[i] % width;
    const y = (places[i] - x) / width;
    for (let k = 0; k < 8; k++) {
      const u = x + neighbours[k][0];
      const v = y + neighbours[k][1];
      if (u >= 0 && v >= 0 && u < width && v < height) columns[8 * i + k] = indices[v * width + u];
    }
  }
  return {
    count,
    width,
    places,
    columns,
    weights: new Float64Array(8 * count),
    diagonal: new Float64Array(count),
  };
}

/** A system and its coarser ones: four pixels of a level are one of the next. */
interface Level extends GridSystem {
  /** The unknown of the next level that each is part of. */
  readonly parents: Int32Array;
  readonly coarser: Level | undefined;
  /** Room for what a cycle computes; one value more than there are unknowns, 0, for neighbours that are none. */
  readonly x: Float64Array;
  readonly b: Float64Array;
  readonly r: Float64Array;
}

/** What is constant over four pixels corrects too little (Braess 1995): by that much more, two thirds of the steps are left. */
const overcorrection = 1.4;

/** Unknowns of which there are so few that they are only smoothed. */
const few = 16;

/**
 * Solves systems of the same matrix for several right-hand sides: conjugate gradients, until the residual is `tolerance` times b,
 * preconditioned by a multigrid cycle over aggregates of four pixels (Notay 2010: the matrix of a coarser level is the sum of what it
 * gathers, visited twice), since a hole of a hundred pixels takes hundreds of steps without.
 */
export function gridSolver(system: GridSystem, height: number, tolerance: number) {
  const level = levelOf(system, height);
  const { count } = system;
  const [x, r, z, p, q] = Array.from({ length: 5 }, () => new Float64Array(count + 1));
  /** The solution, valid until the next call. */
  return (b: Float64Array): Float64Array => {
    x.fill(0);
    r.set(b.subarray(0, count));
    const enough = tolerance * Math.sqrt(dot(b, b, count));
    let before = 0;
    for (let step = 0; Math.sqrt(dot(r, r, count)) > enough; step++) {
      cycle(level, r, z);
      const now = dot(r, z, count);
      const beta = step > 0 ? now / before : 0;
      for (let i = 0; i < count; i++) p[i] = z[i] + beta * p[i];
      applied(system, p, q);
      const alpha = now / dot(p, q, count);
      for (let i = 0; i < count; i++) {
        x[i] += alpha * p[i];
        r[i] -= alpha * q[i];
      }
      before = now;
    }
    return x;
  };
}

function levelOf(system: GridSystem, height: number): Level {
  const { count, width, places, columns, weights, diagonal } = system;
  const [x, b, r] = Array.from({ length: 3 }, () => new Float64Array(count + 1));
  const own = { ...system, x, b, r };
  if (count <= few) return { ...own, parents: new Int32Array(0), coarser: undefined };
  const [halfWidth, halfHeight] = [(width + 1) >> 1, (height + 1) >> 1];
  const cells = new Int32Array(count);
  const isCell = new Uint8Array(halfWidth * halfHeight);
  for (let i = 0; i < count; i++) {
    const column = places[i] % width;
    cells[i] = (((places[i] - column) / width) >> 1) * halfWidth + (column >> 1);
    isCell[cells[i]] = 1;
  }
  const parentOf = new Int32Array(isCell.length);
  const coarsePlaces: number[] = [];
  for (let cell = 0; cell < isCell.length; cell++)
    if (isCell[cell]) parentOf[cell] = coarsePlaces.push(cell) - 1;
  const coarse = emptySystem(Int32Array.from(coarsePlaces), halfWidth, halfHeight);
  const parents = cells.map((cell) => parentOf[cell]);
  for (let i = 0; i < count; i++) {
    const parent = parents[i];
    coarse.diagonal[parent] += diagonal[i];
    for (let k = 8 * i; k < 8 * i + 8; k++) {
      if (columns[k] === count) continue;
      const other = parents[columns[k]];
      if (other === parent) coarse.diagonal[parent] -= weights[k];
      else coarse.weights[slotOf(coarse, parent, other)] += weights[k];
    }
  }
  return { ...own, parents, coarser: levelOf(coarse, halfHeight) };
}

function slotOf({ columns }: GridSystem, i: number, column: number): number {
  let slot = 8 * i;
  while (columns[slot] !== column) slot++;
  return slot;
}

/** z ≈ A⁻¹ b, symmetric in b: smoothed forward, corrected twice by the coarser level, smoothed backward. */
function cycle(level: Level, b: Float64Array, z: Float64Array): void {
  const { count, parents, coarser, r } = level;
  z.fill(0);
  smooth(level, b, z, 1);
  if (coarser) {
    residual(level, b, z, r);
    coarser.b.fill(0);
    for (let i = 0; i < count; i++) coarser.b[parents[i]] += r[i];
    const correction = coarser.x;
    cycle(coarser, coarser.b, correction);
    if (coarser.coarser) {
      const first = correction.slice();
      const rest = coarser.b.slice();
      residual(coarser, rest, first, coarser.b);
      cycle(coarser, coarser.b.slice(), correction);
      for (let i = 0; i < coarser.count; i++) correction[i] += first[i];
    }
    for (let i = 0; i < count; i++) z[i] += overcorrection * correction[parents[i]];
  } else
    for (let sweep = 0; sweep < few; sweep++) {
      smooth(level, b, z, -1);
      smooth(level, b, z, 1);
    }
  smooth(level, b, z, -1);
}

/** One sweep of Gauss and Seidel, in ascending or descending order. */
function smooth(
  { count, columns, weights, diagonal }: GridSystem,
  b: Float64Array,
  x: Float64Array,
  step: 1 | -1,
): void {
  for (let n = 0, i = step > 0 ? 0 : count - 1; n < count; n++, i += step) {
    const k = 8 * i;
    x[i] =
      (b[i] +
        weights[k] * x[columns[k]] +
        weights[k + 1] * x[columns[k + 1]] +
        weights[k + 2] * x[columns[k + 2]] +
        weights[k + 3] * x[columns[k + 3]] +
        weights[k + 4] * x[columns[k + 4]] +
        weights[k + 5] * x[columns[k + 5]] +
        weights[k + 6] * x[columns[k + 6]] +
        weights[k + 7] * x[columns[k + 7]]) /
      diagonal[i];
  }
}

/** r = b − A x */
function residual(system: GridSystem, b: Float64Array, x: Float64Array, r: Float64Array): void {
  applied(system, x, r);
  for (let i = 0; i < system.count; i++) r[i] = b[i] - r[i];
}

/** y = A x */
function applied({ count, columns, weights, diagonal }: GridSystem, x: Float64Array, y: Float64Array): void {
  for (let i = 0, k = 0; i < count; i++, k += 8)
    y[i] =
      diagonal[i] * x[i] -
      (weights[k] * x[columns[k]] +
        weights[k + 1] * x[columns[k + 1]] +
        weights[k + 2] * x[columns[k + 2]] +
        weights[k + 3] * x[columns[k + 3]] +
        weights[k + 4] * x[columns[k + 4]] +
        weights[k + 5] * x[columns[k + 5]] +
        weights[k + 6] * x[columns[k + 6]] +
        weights[k + 7] * x[columns[k + 7]]);
}

function dot(a: Float64Array, b: Float64Array, count: number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += a[i] * b[i];
  return sum;
}
