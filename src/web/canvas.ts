import { type AnyPixels, toRgb } from '../image/pixels.js';

/** Pixels as a canvas takes them: `context.putImageData(toImageData(drawOverlay(…)), 0, 0)`. */
export function toImageData(pixels: AnyPixels): ImageData {
  const { data, width, height } = toRgb(pixels);
  const rgba = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let from = 0, to = 0; from < data.length; from += 3, to += 4)
    for (let c = 0; c < 3; c++) rgba[to + c] = data[from + c];
  return new ImageData(rgba, width, height);
}
