import { type AnyPixels, toRgb } from '../image/pixels.js';

/** Between frames, in pixels; and how bright that is. */
const [gap, grey] = [4, 255];

/** Frames of one size side by side, row by row, on a sheet about as wide as high. */
export function contactSheet(frames: readonly AnyPixels[]): AnyPixels {
  const [{ width, height }] = frames;
  const columns = Math.min(
    frames.length,
    Math.max(1, Math.round(Math.sqrt((frames.length * height) / width))),
  );
  const rows = Math.ceil(frames.length / columns);
  const [sheetWidth, sheetHeight] = [columns * (width + gap) - gap, rows * (height + gap) - gap];
  const data = new Uint8Array(sheetWidth * sheetHeight * 3).fill(grey);
  for (const [t, frame] of frames.entries()) {
    const left = (t % columns) * (width + gap);
    const top = Math.floor(t / columns) * (height + gap);
    const rgb = toRgb(frame).data;
    for (let y = 0; y < height; y++)
      data.set(rgb.subarray(y * width * 3, (y + 1) * width * 3), ((top + y) * sheetWidth + left) * 3);
  }
  return { data, width: sheetWidth, height: sheetHeight, channels: 3 };
}
