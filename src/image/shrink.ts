import type { Pixels } from './pixels.js';
import { resizePillow } from './resize.js';

/** A picture whose longest edge has at most so many pixels; never enlarged. */
export function shrink(pixels: Pixels, edge: number): Pixels {
  const scale = edge / Math.max(pixels.width, pixels.height);
  if (scale >= 1) return pixels;
  const width = Math.max(1, Math.round(pixels.width * scale));
  const height = Math.max(1, Math.round(pixels.height * scale));
  const window = { x: 0, y: 0, width, height };
  const plan = { width, height, window };
  const data = resizePillow(pixels.data, pixels.width, pixels.height, 3, plan, 'bilinear');
  return { data, width, height, channels: 3 };
}
