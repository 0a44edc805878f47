import type { Shape } from './shapes.js';

/** Red, green, blue in 0…1. */
export type Colour = readonly [number, number, number];

/** A square picture: `size` × `size` pixels, RGB interleaved, 0…1. */
export interface Canvas {
  readonly size: number;
  readonly data: Float32Array;
  /** Which thing is seen at each pixel, counted from 1; 0 is the ground. */
  readonly labels: Uint8Array;
}

/** One painted piece of a thing, in its own coordinates: about -1…1, y down. */
export interface Layer {
  readonly shape: Shape;
  /** One colour, or one for every point; `depth` is how far inside the edge the point lies. */
  readonly paint: Colour | ((x: number, y: number, depth: number) => Colour);
  /** How wide the rounded edge is; 0, the default, is flat. */
  readonly bevel?: number;
  /** Strength of the highlight on the rounded edge, 0…1. */
  readonly gloss?: number;
}

/** Where a thing's own coordinates lie on the canvas; lengths as shares of the canvas. */
export interface Placement {
  readonly x: number;
  readonly y: number;
  readonly radius: number;
  /** Clockwise, radians. */
  readonly angle: number;
  readonly flip: boolean;
}

/** [left, top, right, bottom] as shares of the canvas. */
export type Box = readonly [number, number, number, number];

/** From the upper left and in front, unit length. */
const light = [-0.48, -0.64, 0.6] as const;

/**
 * Paints a thing with a soft shadow under it, labels its pixels and returns the box of what is visible of it.
 * Edges are smoothed over one pixel of distance, so one scene can be drawn at every size.
 */
export function paintThing(
  { size, data, labels }: Canvas,
  layers: readonly Layer[],
  at: Placement,
  label: number,
): Box {
  const scale = at.radius * size;
  const [cos, sin] = [Math.cos(at.angle), Math.sin(at.angle)];
  const side = at.flip ? -1 : 1;
  const reach = 1.35 * scale;
  const low = (centre: number) => Math.max(0, Math.floor(centre * size - reach));
  const high = (centre: number) => Math.min(size, Math.ceil(centre * size + reach));
  const box = [size, size, 0, 0];
  for (let row = low(at.y); row < high(at.y); row++) {
    for (let column = low(at.x); column < high(at.x); column++) {
      const [px, py] = [(column + 0.5) / size - at.x, (row + 0.5) / size - at.y];
      const x = (side * (px * cos + py * sin)) / at.radius;
      const y = (py * cos - px * sin) / at.radius;
      const offset = 3 * (row * size + column);

      // The shadow falls to the lower right of the picture, whichever way the thing is turned.
      const [sx, sy] = [px - 0.1 * at.radius, py - 0.14 * at.radius];
      const shadowX = (side * (sx * cos + sy * sin)) / at.radius;
      const shadowY = (sy * cos - sx * sin) / at.radius;
      let nearest = Number.POSITIVE_INFINITY;
      for (const layer of layers) nearest = Math.min(nearest, layer.shape(shadowX, shadowY));
      const shade = 1 - 0.42 * smooth(0.14, -0.14, nearest);
      for (let c = 0; c < 3; c++) data[offset + c] *= shade;

      for (const layer of layers) {
        const distance = layer.shape(x, y);
        const coverage = Math.min(1, Math.max(0, 0.5 - distance * scale));
        if (coverage === 0) continue;
        const colour = typeof layer.paint === 'function' ? layer.paint(x, y, -distance) : layer.paint;
        const [lit, shine] = relief(layer, x, y, distance, cos, sin, side);
        for (let c = 0; c < 3; c++) {
          const value = colour[c] * lit + shine;
          data[offset + c] += coverage * (value - data[offset + c]);
        }
        if (coverage > 0.5) {
          labels[row * size + column] = label;
          box[0] = Math.min(box[0], column);
          box[1] = Math.min(box[1], row);
          box[2] = Math.max(box[2], column + 1);
          box[3] = Math.max(box[3], row + 1);
        }
      }
    }
  }
  return [box[0] / size, box[1] / size, box[2] / size, box[3] / size];
}

/** Brightness and highlight of a rounded edge: the normal of a quarter circle of the bevel's width. */
function relief(
  layer: Layer,
  x: number,
  y: number,
  distance: number,
  cos: number,
  sin: number,
  side: number,
): readonly [number, number] {
  const bevel = layer.bevel ?? 0;
  if (bevel === 0 || -distance >= bevel) return [1, 0];
  const step = 1e-3;
  const gx = side * (layer.shape(x + step, y) - distance);
  const gy = layer.shape(x, y + step) - distance;
  const length = Math.hypot(gx, gy) || 1;
  const slope = Math.min(1, 1 + distance / bevel);
  const nx = ((gx * cos - gy * sin) / length) * slope;
  const ny = ((gx * sin + gy * cos) / length) * slope;
  const facing = nx * light[0] + ny * light[1] + Math.sqrt(1 - slope * slope) * light[2];
  const shine = (layer.gloss ?? 0) * Math.max(0, facing) ** 16;
  return [1 + 0.55 * (facing - light[2]), shine];
}

/** 0 at `from`, 1 at `to`, cubic between; `from` may be the larger. */
export function smooth(from: number, to: number, value: number): number {
  const t = Math.min(1, Math.max(0, (value - from) / (to - from)));
  return t * t * (3 - 2 * t);
}

export function mix(a: Colour, b: Colour, share: number): Colour {
  const t = Math.min(1, Math.max(0, share));
  return [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t];
}

/** A colour by hue in turns (0 red, 1/3 green, 2/3 blue), saturation and value in 0…1. */
export function hsv(hue: number, saturation: number, value: number): Colour {
  const channel = (shift: number) => {
    const k = (shift + 6 * (hue - Math.floor(hue))) % 6;
    return value * (1 - saturation * Math.max(0, Math.min(k, 4 - k, 1)));
  };
  return [channel(5), channel(3), channel(1)];
}
