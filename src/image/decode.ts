import { fileURLToPath } from 'node:url';
import { onlyKeys, wholeNumber } from '../check.js';
import { GradcamppError, show } from '../errors.js';
import { release } from '../memory.js';
import { Unreadable } from './decoders/decoder.js';
import { readBytes } from './file.js';
import { formatNames, recognize } from './formats.js';
import { type AnyPixels, checkPixels, defaultMaxPixels, type Pixels, toRgb } from './pixels.js';
import { unnamed, unreadable } from './unreadable.js';

/** A path, a file URL, the bytes of a picture file, or pixels that are decoded already. */
export type ImageSource = string | URL | Uint8Array | AnyPixels;

export interface DecodeOptions {
  /** Pictures of more pixels are refused, before memory is taken for them. Default 100 million. */
  readonly maxPixels?: number;
  /** What bytes or pixels are called in messages. Default: the path, or "The picture". */
  readonly name?: string;
}

/**
 * Any supported picture (PNG, JPEG, WebP, GIF, TIFF, AVIF) as upright RGB on white. Of several pages or frames the first is
 * taken, and `frames` says how many there are. EXIF orientation is applied. Embedded RGB profiles are not: Pillow and
 * torchvision ignore them too, so networks were trained without; CMYK is converted with libvips' profile. 16 bits become 8.
 * Whatever the file's problem, the error is one `INVALID_IMAGE` sentence that names it.
 */
export async function decodeImage(source: ImageSource, options: DecodeOptions = {}): Promise<Pixels> {
  onlyKeys('decodeImage', options, ['maxPixels', 'name']);
  const maxPixels = wholeNumber('maxPixels', options.maxPixels ?? defaultMaxPixels, 1);
  if (typeof source === 'string' || source instanceof URL) {
    const path = pathOf(source);
    const name = options.name ?? path;
    const bytes = await readBytes(path, (reason, cause) => unreadable(name, reason, cause));
    const pixels = await decodeBytes(bytes, name, maxPixels);
    release([bytes]);
    return pixels;
  }
  if (source instanceof Uint8Array) return decodeBytes(source, options.name ?? unnamed, maxPixels);
  if (source !== null && typeof source === 'object' && 'data' in source)
    return toRgb(checkPixels(source, options.name));
  throw new GradcamppError(
    'INVALID_IMAGE',
    `A picture must be a path, bytes or {data, width, height, channels}; received ${show(source)}.`,
  );
}

async function decodeBytes(bytes: Uint8Array, name: string, maxPixels: number): Promise<Pixels> {
  if (bytes.length === 0) throw unreadable(name, 'it is empty');
  const { decoder, other } = recognize(bytes);
  if (!decoder) {
    const found = other ? `it is ${other}` : 'it does not begin like a picture file';
    throw unreadable(name, `${found}; ${formatNames} are supported`);
  }
  try {
    return await decoder.decode(bytes, maxPixels);
  } catch (cause) {
    if (cause instanceof Unreadable) throw unreadable(name, cause.message, cause.cause);
    throw cause;
  }
}

function pathOf(source: string | URL): string {
  if (typeof source === 'string') return source;
  try {
    return fileURLToPath(source);
  } catch (cause) {
    throw unreadable(String(source), 'only file: URLs are read', cause);
  }
}
