import { emptySystem, type GridSystem, gridSolver, neighbours } from './grid-system.js';
import { offsetOf, type PictureLayout, stepOf } from './masking.js';

/** Of a neighbour beside, and of one across. */
const [beside, across] = [1 / 6, 1 / 12];
const weightOf = neighbours.map(([x, y]) => (x === 0 || y === 0 ? beside : across));

/** The residual that is left of the linear system, in parts of its right-hand side. */
const tolerance = 1e-5;

/**
 * Linear imputation (Rong et al., arXiv 2202.00449, Sec. 4.2): every removed pixel is the weighted mean of its eight neighbours,
 * removed ones too, which is one sparse linear system for each channel. Weights are 1/6 beside and 1/12 across; at an edge those of the
 * neighbours that are there count in their proportions. Frames of a video are apart; where nothing is left of one, it becomes 0.
 *
 * @param removed 1 at the positions that are imputed, 0 elsewhere
 * @param size the map's dims, innermost last
 * @param out the picture with these positions imputed
 */
export function impute(
  tensor: Float32Array,
  removed: Uint8Array,
  layout: PictureLayout,
  size: readonly number[],
  out: Float32Array,
): void {
  const width = size[size.length - 1];
  const height = size[size.length - 2] ?? 1;
  const plane = width * height;
  const step = stepOf(layout);
  out.set(tensor);
  for (let first = 0; first < layout.positions; first += plane) {
    const frame = removed.subarray(first, first + plane);
    const system = systemOf(frame, width, height);
    const { count, places } = system;
    if (count === 0) continue;
    const solve = gridSolver(system, height, tolerance);
    const b = new Float64Array(count);
    for (let c = 0; c < layout.channels; c++) {
      const start = offsetOf(layout, first, c);
      const at = (place: number) => start + place * step;
      for (let i = 0; i < count; i++) b[i] = knownAround(tensor, frame, places[i], width, height, at);
      const x = solve(b);
      for (let i = 0; i < count; i++) out[at(places[i])] = x[i];
    }
  }
}

function systemOf(removed: Uint8Array, width: number, height: number): GridSystem {
  const places: number[] = [];
  for (let place = 0; place < removed.length; place++) if (removed[place]) places.push(place);
  const system = emptySystem(Int32Array.from(places), width, height);
  const { count, columns, weights, diagonal } = system;
  for (let i = 0; i < count; i++) {
    eachNeighbour(places[i], width, height, (_, k) => {
      diagonal[i] += weightOf[k];
    });
    for (let k = 0; k < 8; k++) if (columns[8 * i + k] < count) weights[8 * i + k] = weightOf[k];
  }
  return system;
}

/** Weighted sum of what is known around a place. */
function knownAround(
  tensor: Float32Array,
  removed: Uint8Array,
  place: number,
  width: number,
  height: number,
  at: (place: number) => number,
): number {
  let sum = 0;
  eachNeighbour(place, width, height, (other, k) => {
    if (!removed[other]) sum += weightOf[k] * tensor[at(other)];
  });
  return sum;
}

function eachNeighbour(
  place: number,
  width: number,
  height: number,
  visit: (other: number, k: number) => void,
): void {
  const x = place % width;
  const y = (place - x) / width;
  for (let k = 0; k < 8; k++) {
    const u = x + neighbours[k][0];
    const v = y + neighbours[k][1];
    if (u >= 0 && v >= 0 && u < width && v < height) visit(v * width + u, k);
  }
}
