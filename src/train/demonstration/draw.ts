import { type Random, random } from '../../random-stream.js';
import type { Pixels } from '../../image/pixels.js';

/** The sides of a drawn picture. */
export const drawnSize = 32;

/** Whether a point lies in a shape of radius 1 around 0. */
type Shape = (x: number, y: number) => boolean;

/** What is drawn; every class is one shape. */
const shapes: Readonly<Record<string, Shape>> = {
  bar: (x, y) => Math.abs(x) < 1 && Math.abs(y) < 0.33,
  circle: (x, y) => Math.hypot(x, y) < 0.85,
  cross: (x, y) => Math.min(Math.abs(x), Math.abs(y)) < 0.3 && Math.max(Math.abs(x), Math.abs(y)) < 1,
  ring: (x, y) => Math.abs(Math.hypot(x, y) - 0.75) < 0.25,
  square: (x, y) => Math.max(Math.abs(x), Math.abs(y)) < 0.8,
  triangle: (x, y) => y < 0.6 && y > 1.9 * Math.abs(x) - 1,
};

export const drawnClasses = Object.keys(shapes);

/** A picture, and where its shape is: white on black. */
export interface Drawn {
  readonly picture: Pixels;
  readonly mask: Pixels;
}

/**
 * One shape, its size, place, colour and turn by chance, on a ground of two colours, among spots and lines that mean nothing. The same
 * class and parts give the same picture on every machine.
 *
 * @param parts what the picture is for, and its number
 * @param ground the colour of the ground, 0…255 each; default: by chance
 */
export function draw(name: string, parts: readonly (string | number)[], ground?: readonly number[]): Drawn {
  const numbers = random('drawn', name, ...parts);
  const between = (low: number, high: number) => low + (high - low) * numbers.uniform();
  const colour = () => [between(0, 255), between(0, 255), between(0, 255)];
  const size = drawnSize;
  const data = new Uint8Array(size * size * 3);
  const [chance, far, turn] = [colour(), colour(), between(0, 2 * Math.PI)];
  const near = ground ?? chance;
  paint(data, (x, y) => {
    const share = 0.5 + 0.5 * Math.sin((x * Math.cos(turn) + y * Math.sin(turn)) / 5);
    return near.map((level, c) => level + share * 0.5 * (far[c] - level));
  });
  for (let i = 0; i < 4; i++) clutter(data, numbers, colour());
  const own = near.map((level) => (level + between(90, 166)) % 256);
  const [radius, angle] = [between(7, 11), between(-0.5, 0.5)];
  const [cx, cy] = [between(radius, size - radius), between(radius, size - radius)];
  const isIn = shapes[name];
  const shown = new Uint8Array(data.length);
  const inside = (x: number, y: number) => {
    const [dx, dy] = [(x - cx) / radius, (y - cy) / radius];
    const across = dx * Math.cos(angle) + dy * Math.sin(angle);
    const down = dy * Math.cos(angle) - dx * Math.sin(angle);
    return isIn(across, down);
  };
  paint(data, (x, y) => (inside(x, y) ? own : undefined));
  paint(shown, (x, y) => (inside(x, y) ? [255, 255, 255] : undefined));
  for (let i = 0; i < data.length; i++) data[i] = Math.min(Math.max(data[i] + between(-25, 25), 0), 255);
  const pixels = (bytes: Uint8Array): Pixels => ({ data: bytes, width: size, height: size, channels: 3 });
  return { picture: pixels(data), mask: pixels(shown) };
}

/** A spot, or a short line. */
function clutter(data: Uint8Array, numbers: Random, colour: readonly number[]): void {
  const [cx, cy] = [numbers.uniform() * drawnSize, numbers.uniform() * drawnSize];
  const angle = numbers.uniform() * Math.PI;
  const length = numbers.below(2) === 0 ? 1.5 : 5;
  paint(data, (x, y) => {
    const along = (x - cx) * Math.cos(angle) + (y - cy) * Math.sin(angle);
    const beside = (y - cy) * Math.cos(angle) - (x - cx) * Math.sin(angle);
    return Math.abs(along) < length && Math.abs(beside) < 1 ? colour : undefined;
  });
}

function paint(data: Uint8Array, colourAt: (x: number, y: number) => readonly number[] | undefined): void {
  for (let y = 0; y < drawnSize; y++)
    for (let x = 0; x < drawnSize; x++) {
      const colour = colourAt(x + 0.5, y + 0.5);
      if (colour) data.set(colour.map(Math.round), (y * drawnSize + x) * 3);
    }
}
