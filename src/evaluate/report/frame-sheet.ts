import type { Pixels } from '../../image/pixels.js';

/** Rows and columns of a sheet about as wide as high that shows the frames of a clip; 1 × 1 for a picture. */
export function sheetGrid(size: readonly number[]): { readonly rows: number; readonly columns: number } {
  const [height, width = 1] = size.slice(-2);
  const count = size.slice(0, -2).reduce((product, length) => product * length, 1);
  const columns = Math.min(count, Math.max(1, Math.round(Math.sqrt((count * height) / width))));
  return { rows: Math.ceil(count / columns), columns };
}

/** The frames of a clip side by side, row by row, all of `size`'s [H, W]. */
export function sheetOf(frames: readonly Pixels[], size: readonly number[]): Pixels {
  const [height, width] = size.slice(-2);
  const { rows, columns } = sheetGrid(size);
  const data = new Uint8Array(rows * columns * height * width * 3);
  for (const [t, frame] of frames.entries())
    place(frame.data, data, t, { height, width: 3 * width, columns });
  return { data, width: columns * width, height: rows * height, channels: 3 };
}

/** A map [T, H, W] laid out in the same way; one [H, W] stays as it is. */
export function sheetOfMap(
  map: Float32Array,
  size: readonly number[],
): { data: Float32Array; width: number } {
  const [height, width] = size.slice(-2);
  const { rows, columns } = sheetGrid(size);
  if (rows * columns === 1) return { data: map, width };
  const data = new Float32Array(rows * columns * height * width);
  const plane = height * width;
  for (let t = 0; t * plane < map.length; t++)
    place(map.subarray(t * plane, (t + 1) * plane), data, t, { height, width, columns });
  return { data, width: columns * width };
}

/** A box of frame `t`, in shares of the frame, in shares of the sheet. */
export function onSheet(
  [x0, y0, x1, y1]: readonly [number, number, number, number],
  t: number,
  size: readonly number[],
): [number, number, number, number] {
  const { rows, columns } = sheetGrid(size);
  const [left, top] = [t % columns, Math.floor(t / columns)];
  return [(left + x0) / columns, (top + y0) / rows, (left + x1) / columns, (top + y1) / rows];
}

function place<A extends Uint8Array | Float32Array>(
  from: A,
  to: A,
  t: number,
  { height, width, columns }: { readonly height: number; readonly width: number; readonly columns: number },
): void {
  const [left, top] = [(t % columns) * width, Math.floor(t / columns) * height];
  for (let y = 0; y < height; y++)
    to.set(from.subarray(y * width, (y + 1) * width), (top + y) * columns * width + left);
}
