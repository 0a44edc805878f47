import type { Box } from '../annotations/region.js';

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
