import type { Box } from './localization.js';

/** The cells of an n × n grid over a picture, row by row; sizes differ by at most a pixel. */
export function gridCells(n: number, width: number, height: number): Box[] {
  const edge = (i: number, length: number): number => Math.floor((i * length) / n);
  return Array.from({ length: n * n }, (_, cell) => {
    const column = cell % n;
    const row = (cell - column) / n;
    return {
      x0: edge(column, width),
      y0: edge(row, height),
      x1: edge(column + 1, width),
      y1: edge(row + 1, height),
    };
  });
}

/**
 * Grid pointing game (Böhle et al. 2021, arXiv 2104.00032, Eq. 6): share of the positive map inside the cell that
 * shows the explained class, 0 … 1. An empty map scores 0; a map that knows nothing scores 1/n² on average.
 */
export function gridScore(map: Float32Array, width: number, cell: Box): number {
  let total = 0;
  let within = 0;
  for (let p = 0, y = 0; p < map.length; y++) {
    const row = y >= cell.y0 && y < cell.y1;
    for (let x = 0; x < width; x++, p++) {
      if (!(map[p] > 0)) continue;
      total += map[p];
      if (row && x >= cell.x0 && x < cell.x1) within += map[p];
    }
  }
  return total > 0 ? within / total : 0;
}

/**
 * One channel shrunk (or kept) by averaging areas: every target pixel is the mean of the source rectangle under it,
 * partly covered pixels counted by their share. Linear, so it may run on preprocessed values.
 */
export function resizeArea(
  source: Float32Array,
  width: number,
  height: number,
  toWidth: number,
  toHeight: number,
): Float32Array {
  const rows = new Float64Array(toWidth * height);
  for (let y = 0; y < height; y++) averageLine(source, y * width, 1, width, rows, y * toWidth, 1, toWidth);
  const result = new Float32Array(toWidth * toHeight);
  for (let x = 0; x < toWidth; x++) averageLine(rows, x, toWidth, height, result, x, toWidth, toHeight);
  return result;
}

function averageLine(
  from: Float32Array | Float64Array,
  fromStart: number,
  fromStep: number,
  fromLength: number,
  to: Float32Array | Float64Array,
  toStart: number,
  toStep: number,
  toLength: number,
): void {
  const scale = fromLength / toLength;
  for (let i = 0; i < toLength; i++) {
    const begin = i * scale;
    const end = (i + 1) * scale;
    let sum = 0;
    for (let j = Math.floor(begin); j < end && j < fromLength; j++)
      sum += (Math.min(end, j + 1) - Math.max(begin, j)) * from[fromStart + j * fromStep];
    to[toStart + i * toStep] = sum / scale;
  }
}
