import type { RelativeBox } from './annotation.js';

/** A rectangle in pixels of the network's input; x1 and y1 lie just outside. */
export interface Box {
  readonly x0: number;
  readonly y0: number;
  readonly x1: number;
  readonly y1: number;
}

/** Where the network's input lies in the picture: what preprocessing cropped and how large it made it. */
export interface Geometry {
  /** The picture, in pixels, upright. */
  readonly picture: { readonly width: number; readonly height: number };
  /** The part that the network saw, in pixels of the picture; fractions are meant. */
  readonly crop: { readonly x: number; readonly y: number; readonly width: number; readonly height: number };
  /** The network's input, in pixels. */
  readonly input: { readonly width: number; readonly height: number };
}

/** A box in pixels of the network's input, cut to what the network saw; undefined where it saw nothing of it. */
export function boxInInput(box: RelativeBox, { picture, crop, input }: Geometry): Box | undefined {
  const x = (value: number): number =>
    clamp((value * picture.width - crop.x) * (input.width / crop.width), input.width);
  const y = (value: number): number =>
    clamp((value * picture.height - crop.y) * (input.height / crop.height), input.height);
  const result = { x0: x(box.x0), y0: y(box.y0), x1: x(box.x1), y1: y(box.y1) };
  return result.x1 > result.x0 && result.y1 > result.y0 ? result : undefined;
}

function clamp(value: number, maximum: number): number {
  return Math.min(Math.max(value, 0), maximum);
}

/**
 * 1 at every pixel whose centre lies in some box, row-major. A box that covers no pixel centre marks the pixel it
 * is in: an annotated thing is never lost to its size.
 */
export function regionOfBoxes(boxes: readonly Box[], width: number, height: number): Uint8Array {
  const inside = new Uint8Array(width * height);
  for (const { x0, y0, x1, y1 } of boxes) {
    let [left, right, top, bottom] = [x0, x1, y0, y1].map(firstCentre);
    if (right <= left) {
      left = Math.min(Math.floor((x0 + x1) / 2), width - 1);
      right = left + 1;
    }
    if (bottom <= top) {
      top = Math.min(Math.floor((y0 + y1) / 2), height - 1);
      bottom = top + 1;
    }
    for (let y = top; y < bottom; y++) inside.fill(1, y * width + left, y * width + right);
  }
  return inside;
}

/** The first pixel whose centre is at or after an edge. */
function firstCentre(edge: number): number {
  return Math.ceil(edge - 0.5);
}

/** A mask of the whole picture, any size, seen through the preprocessing: nearest pixel, row-major, 0 or 1. */
export function regionOfMask(
  mask: { readonly data: Uint8Array; readonly width: number; readonly height: number },
  { picture, crop, input }: Geometry,
): Uint8Array {
  const inside = new Uint8Array(input.width * input.height);
  const column = (x: number): number =>
    Math.floor(((crop.x + ((x + 0.5) * crop.width) / input.width) * mask.width) / picture.width);
  const row = (y: number): number =>
    Math.floor(((crop.y + ((y + 0.5) * crop.height) / input.height) * mask.height) / picture.height);
  for (let y = 0; y < input.height; y++)
    for (let x = 0; x < input.width; x++) {
      const [u, v] = [column(x), row(y)];
      if (u >= 0 && v >= 0 && u < mask.width && v < mask.height)
        inside[y * input.width + x] = mask.data[v * mask.width + u] ? 1 : 0;
    }
  return inside;
}
