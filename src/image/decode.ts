import { fileURLToPath } from 'node:url';
import { onlyKeys, wholeNumber } from '../check.js';
import { GradcamppError, messageOf, show } from '../errors.js';
import { release } from '../memory.js';
import { readBytes } from './file.js';
import { sniff } from './formats.js';
import { type AnyPixels, checkPixels, type Pixels, toRgb } from './pixels.js';
import { requireSharp } from './sharp.js';
import { quoted, tooLarge, unnamed, unreadable } from './unreadable.js';

/** A path, a file URL, the bytes of a picture file, or pixels that are decoded already. */
export type ImageSource = string | URL | Uint8Array | AnyPixels;

export interface DecodeOptions {
  /** Pictures of more pixels are refused, before memory is taken for them. Default 100 million. */
  readonly maxPixels?: number;
  /** What bytes or pixels are called in messages. Default: the path, or "The picture". */
  readonly name?: string;
  /** How sharp is loaded; for embedders that bundle it, and for tests. Default: where it is installed. */
  readonly loadSharp?: () => Promise<unknown>;
}

export const defaultMaxPixels = 100_000_000;

/**
 * Any supported picture as upright RGB on white. PNG and JPEG are read here (pngjs, libjpeg-turbo); WebP, GIF, TIFF,
 * AVIF and rare kinds of JPEG (CMYK, 12 bits) through sharp when it is installed. Of several pages or frames the
 * first is taken. EXIF orientation is applied. Embedded RGB profiles are not: Pillow and torchvision ignore them too,
 * so networks were trained without; CMYK is converted with libvips' profile. 16 bits become 8. Whatever the file's
 * problem, the error is one `INVALID_IMAGE` sentence that names it.
 */
export async function decodeImage(source: ImageSource, options: DecodeOptions = {}): Promise<Pixels> {
  onlyKeys('decodeImage', options, ['maxPixels', 'name', 'loadSharp']);
  const maxPixels = wholeNumber('maxPixels', options.maxPixels ?? defaultMaxPixels, 1);
  if (typeof source === 'string' || source instanceof URL) {
    const path = pathOf(source);
    const name = options.name ?? path;
    const bytes = await readBytes(path, (reason, cause) => unreadable(name, reason, cause));
    const pixels = await decodeBytes(bytes, name, maxPixels, options.loadSharp);
    release([bytes]);
    return pixels;
  }
  if (source instanceof Uint8Array)
    return decodeBytes(source, options.name ?? unnamed, maxPixels, options.loadSharp);
  if (source !== null && typeof source === 'object' && 'data' in source)
    return toRgb(checkPixels(source, options.name));
  throw new GradcamppError(
    'INVALID_IMAGE',
    `A picture must be a path, bytes or {data, width, height, channels}; received ${show(source)}.`,
  );
}

// Each is asked for once: even of a module that is there, `import` makes a promise's worth of work every time.
let png: Promise<typeof import('./png.js')> | undefined;
let jpeg: Promise<typeof import('./jpeg.js')> | undefined;

async function decodeBytes(
  bytes: Uint8Array,
  name: string,
  maxPixels: number,
  loadSharp?: () => Promise<unknown>,
): Promise<Pixels> {
  if (bytes.length === 0) throw unreadable(name, 'it is empty');
  const { format, other } = sniff(bytes);
  if (format === 'PNG') return (await (png ??= import('./png.js'))).decodePng(bytes, name, maxPixels);
  if (format === 'JPEG') {
    const pixels = await (await (jpeg ??= import('./jpeg.js'))).decodeJpeg(bytes, name, maxPixels);
    const need = 'is a JPEG picture that is damaged or of a rare kind; what can be read of those is read';
    return pixels ?? decodeWithSharp(bytes, name, maxPixels, need, loadSharp);
  }
  if (format)
    return decodeWithSharp(bytes, name, maxPixels, `is a ${format} picture; those are read`, loadSharp);
  const found = other ? `it is ${other}` : 'it does not begin like a picture file';
  throw unreadable(name, `${found}; PNG, JPEG, WebP, GIF, TIFF and AVIF are supported`);
}

async function decodeWithSharp(
  bytes: Uint8Array,
  name: string,
  maxPixels: number,
  need: string,
  loadSharp?: () => Promise<unknown>,
): Promise<Pixels> {
  const sharp = await requireSharp(loadSharp, `${quoted(name)} ${need}`);
  try {
    const { data, info } = await sharp(bytes, {
      failOn: 'error', // truncated and broken files fail; harmless warnings do not, as in Pillow
      ignoreIcc: true,
      limitInputPixels: maxPixels,
    })
      .rotate() // by EXIF orientation; `autoOrient` is newer than the oldest sharp we accept
      .toColourspace('srgb')
      .raw()
      .toBuffer({ resolveWithObject: true });
    // sharp's own flatten takes white for 255 of 65,535 in 16-bit pictures.
    return toRgb({ data, width: info.width, height: info.height, channels: info.channels });
  } catch (cause) {
    const reason = messageOf(cause);
    if (/^unknown error$/i.test(reason)) throw unreadable(name, 'it is damaged or cut off', cause); // libvips' words
    if (!/exceeds pixel limit/i.test(reason)) throw unreadable(name, reason, cause);
    const { width = 0, height = 0 } = await sharp(bytes, { limitInputPixels: false }).metadata();
    throw tooLarge(name, width, height, maxPixels);
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
