import { createRequire } from 'node:module';
import zlib from 'node:zlib';
import { oneOf, onlyKeys, wholeNumber } from '../check.js';
import { GradcamppError } from '../errors.js';
import { type AnyPixels, checkPixels, toRgb } from './pixels.js';
import { loadSharp } from './sharp.js';

/** What pictures can be written as. */
export const pictureFormats = ['png', 'jpeg', 'webp'] as const;
export type PictureFormat = (typeof pictureFormats)[number];

/** What each format's file names end with. */
export const pictureEndings: Readonly<Record<PictureFormat, string>> = {
  png: '.png',
  jpeg: '.jpg',
  webp: '.webp',
};

export const defaultQuality = 90;

/** The most pixels that a side of each format can have. */
const longestSide: Readonly<Record<PictureFormat, number>> = { png: 2 ** 31 - 1, jpeg: 65_535, webp: 16_383 };

export interface EncodeOptions {
  /** Default png. */
  readonly format?: PictureFormat;
  /** Of JPEG and WebP, 1…100; default 90. */
  readonly quality?: number;
  /** WebP that gives the same pixels back, as PNG always does; default false. */
  readonly lossless?: boolean;
}

/**
 * A picture file, 8 bits a channel. PNG and WebP keep alpha; JPEG lies on white, its colours at full resolution (4:4:4), since
 * the colours of a map are half of what an overlay says.
 *
 * @throws GradcamppError INVALID_OPTION, INVALID_IMAGE
 */
export async function encodeImage(pixels: AnyPixels, options: EncodeOptions = {}): Promise<Buffer> {
  onlyKeys('encodeImage', options, ['format', 'quality', 'lossless']);
  const format = oneOf('format', options.format ?? 'png', pictureFormats);
  const quality = wholeNumber('quality', options.quality ?? defaultQuality, 1, 100);
  const { width, height } = checkPixels(pixels);
  const most = longestSide[format];
  if (Math.max(width, height) > most)
    throw new GradcamppError(
      'INVALID_OPTION',
      `A ${format} picture has at most ${most} pixels a side, and this one has ${width} × ${height}: write it as png.`,
    );
  if (format === 'png') return encodePng(pixels);
  const shown = format === 'jpeg' && pixels.channels !== 1 ? toRgb(pixels) : pixels;
  const sharp = await loadSharp();
  const raw = sharp(shown.data, { raw: { width, height, channels: shown.channels } });
  const file =
    format === 'jpeg'
      ? raw.jpeg({ quality, chromaSubsampling: '4:4:4', optimiseCoding: false })
      : raw.webp({ quality, lossless: options.lossless ?? false, effort: 1 });
  return file.toBuffer();
}

/** PNG colour types by channels: grey, grey + alpha, RGB, RGBA. */
const colourTypes = [undefined, 0, 4, 2, 6] as const;

/** zlib's Z_RLE and level 1, and PNG's filter "Average": quick, and enough for drawn maps. */
const packing = { deflateLevel: 1, deflateStrategy: zlib.constants.Z_RLE, filterType: 3 };

/** A PNG file, 8 bits a channel. */
export function encodePng(pixels: AnyPixels): Buffer {
  const { data, width, height, channels } = checkPixels(pixels);
  const { PNG } = loadPngjs();
  const colorType = colourTypes[channels];
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.length);
  return PNG.sync.write({ width, height, data: bytes, gamma: 0 } as never, {
    ...packing,
    colorType,
    inputColorType: colorType,
    inputHasAlpha: channels % 2 === 0,
    bitDepth: 8,
  });
}

/** Loaded at the first picture that is written: importing this package is to load no other. */
const loadPngjs = (): typeof import('pngjs') => createRequire(import.meta.url)('pngjs');
