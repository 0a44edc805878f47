import { onlyKeys, wholeNumber } from '../check.js';
import { GradcamppError, show } from '../errors.js';
import { readBytes } from './file.js';
import { type AnyPixels, checkPixels, defaultMaxPixels, type Pixels, toRgb } from './pixels.js';
import { unnamed, unreadable } from './unreadable.js';

/** A URL, the bytes of a picture file, what a page holds of one, or pixels that are decoded already. */
export type ImageSource = string | URL | Uint8Array | Blob | ImageBitmap | ImageData | AnyPixels;

export interface DecodeOptions {
  /** Pictures of more pixels are refused. Default 100 million. */
  readonly maxPixels?: number;
  /** What it is called in messages. Default: the URL, or "The picture". */
  readonly name?: string;
}

/**
 * Any picture that the browser reads as upright RGB on white. Embedded profiles are not applied, as in Node; a JPEG's pixels
 * can differ from libjpeg's by a level.
 */
export async function decodeImage(source: ImageSource, options: DecodeOptions = {}): Promise<Pixels> {
  onlyKeys('decodeImage', options, ['maxPixels', 'name']);
  const maxPixels = wholeNumber('maxPixels', options.maxPixels ?? defaultMaxPixels, 1);
  if (source instanceof ImageBitmap) return pixelsOf(source, options.name ?? unnamed, maxPixels);
  if (source instanceof ImageData) {
    const { data, width, height } = source;
    return toRgb(checkPixels({ data, width, height, channels: 4 }, options.name));
  }
  if (source !== null && typeof source === 'object' && 'data' in source)
    return toRgb(checkPixels(source, options.name));
  const name =
    options.name ?? (typeof source === 'string' || source instanceof URL ? String(source) : unnamed);
  const bitmap = await bitmapOf(await blobOf(source, name), name);
  try {
    return pixelsOf(bitmap, name, maxPixels);
  } finally {
    bitmap.close();
  }
}

async function blobOf(source: unknown, name: string): Promise<Blob> {
  if (source instanceof Blob) return source;
  if (source instanceof Uint8Array) return new Blob([source as Uint8Array<ArrayBuffer>]);
  if (typeof source === 'string' || source instanceof URL) {
    const bytes = await readBytes(String(source), (reason, cause) => unreadable(name, reason, cause));
    return new Blob([bytes as Uint8Array<ArrayBuffer>]);
  }
  throw new GradcamppError(
    'INVALID_IMAGE',
    `A picture must be a URL, a Blob, an ImageBitmap, ImageData, an image element, bytes or {data, width, height, channels}; received ${show(source)}.`,
  );
}

function bitmapOf(blob: Blob, name: string): Promise<ImageBitmap> {
  if (blob.size === 0) throw unreadable(name, 'it is empty');
  const options = {
    colorSpaceConversion: 'none',
    imageOrientation: 'from-image',
    premultiplyAlpha: 'none',
  } as const;
  return createImageBitmap(blob, options).catch((cause: unknown) => {
    throw unreadable(
      name,
      'the browser does not read it: it is damaged, or in a format that it does not know',
      cause,
    );
  });
}

function pixelsOf(bitmap: ImageBitmap, name: string, maxPixels: number): Pixels {
  const { width, height } = bitmap;
  if (width * height > maxPixels)
    throw unreadable(name, `it has ${width} × ${height} pixels, and at most ${maxPixels} are read`);
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
  if (!context) throw unreadable(name, 'the browser gives no canvas');
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  return toRgb({ data, width, height, channels: 4 });
}
