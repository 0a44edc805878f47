import { invalid } from '../check.js';

/** Pictures of more pixels are refused where nothing else is said. */
export const defaultMaxPixels = 100_000_000;

/** A decoded picture: RGB, 8 bits a channel, rows from the top, `width · height · 3` bytes. */
export interface Pixels {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly channels: 3;
  /** How many frames or pages the file has, of which this is the first; absent where it has one. */
  readonly frames?: number;
}

/** Pixels as callers may have them: grey, grey + alpha, RGB or RGBA (alpha not premultiplied), 8 bits a channel. */
export interface AnyPixels {
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 2 | 3 | 4;
}

/** Part of a picture in its own coordinates: pixel (0, 0) covers 0…1 in x and y. Fractions are meant. */
export interface Rectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** The smallest rectangle that holds all of them. */
export function around(parts: readonly Rectangle[]): Rectangle {
  const [x, y] = [Math.min(...parts.map((part) => part.x)), Math.min(...parts.map((part) => part.y))];
  const width = Math.max(...parts.map((part) => part.x + part.width)) - x;
  return { x, y, width, height: Math.max(...parts.map((part) => part.y + part.height)) - y };
}

/** The pixels if they are what they say; `INVALID_IMAGE` otherwise. */
export function checkPixels(value: AnyPixels, name = 'pixels'): AnyPixels {
  if (value === null || typeof value !== 'object')
    throw invalid(name, 'decoded pixels {data, width, height, channels}', value, '', 'INVALID_IMAGE');
  const { data, width, height, channels } = value;
  for (const [key, number, most] of [
    ['width', width, 2 ** 31],
    ['height', height, 2 ** 31],
    ['channels', channels, 4],
  ] as const)
    if (!Number.isInteger(number) || number < 1 || number > most)
      throw invalid(`${name}.${key}`, `a whole number from 1 to ${most}`, number, '', 'INVALID_IMAGE');
  if (!(data instanceof Uint8Array) && !(data instanceof Uint8ClampedArray))
    throw invalid(`${name}.data`, 'a Uint8Array', data, '', 'INVALID_IMAGE');
  const bytes = width * height * channels;
  if (data.length !== bytes)
    throw invalid(
      `${name}.data`,
      `${width} · ${height} · ${channels} = ${bytes} bytes long`,
      data,
      '',
      'INVALID_IMAGE',
    );
  return value;
}

/** RGB on white, in a plain Uint8Array (not a Buffer). RGB bytes are not copied. */
export function toRgb({ data, width, height, channels }: AnyPixels): Pixels {
  const bytes =
    data.constructor === Uint8Array ? data : new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  if (channels === 3) return { data: bytes, width, height, channels: 3 };
  const out = new Uint8Array(width * height * 3);
  if (channels === 1) spreadGrey(bytes, out);
  else if (channels === 2) flattenGrey(bytes, out);
  else flattenRgba(bytes, out);
  return { data: out, width, height, channels: 3 };
}

/** Luma of Rec. 601 with Pillow's rounding (its mode "L"): `(19595 R + 38470 G + 7471 B + 2¹⁵) / 2¹⁶`. */
export function toGrey({ data, width, height }: Pixels): Uint8Array {
  const grey = new Uint8Array(width * height);
  for (let i = 0, p = 0; i < grey.length; i++, p += 3)
    grey[i] = (19595 * data[p] + 38470 * data[p + 1] + 7471 * data[p + 2] + 0x8000) >> 16;
  return grey;
}

function spreadGrey(grey: Uint8Array, out: Uint8Array): void {
  for (let i = 0, o = 0; i < grey.length; i++, o += 3) out[o] = out[o + 1] = out[o + 2] = grey[i];
}

function flattenGrey(source: Uint8Array, out: Uint8Array): void {
  for (let i = 0, o = 0; i < source.length; i += 2, o += 3)
    out[o] = out[o + 1] = out[o + 2] = onWhite(source[i], source[i + 1]);
}

function flattenRgba(source: Uint8Array, out: Uint8Array): void {
  for (let i = 0, o = 0; i < source.length; i += 4, o += 3) {
    const alpha = source[i + 3];
    out[o] = onWhite(source[i], alpha);
    out[o + 1] = onWhite(source[i + 1], alpha);
    out[o + 2] = onWhite(source[i + 2], alpha);
  }
}

/** `colour · alpha + white · (1 − alpha)`, rounded to nearest (255 is odd: there are no ties). */
function onWhite(value: number, alpha: number): number {
  return alpha === 255 ? value : ((value * alpha + 255 * (255 - alpha) + 127) / 255) | 0;
}
