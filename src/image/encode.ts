import zlib from 'node:zlib';
import { oneOf, onlyKeys, wholeNumber } from '../check.js';
import { GradcamppError } from '../errors.js';
import { release } from '../memory.js';
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
const colourTypes = [undefined, 0, 4, 2, 6];

/** A PNG file, 8 bits a channel: one filter, run lengths and Huffman coding, which is quick, and enough for drawn maps. */
export function encodePng(pixels: AnyPixels): Buffer {
  const { data, width, height, channels } = checkPixels(pixels);
  const filtered = filterAverage(data, width * channels, height, channels);
  const body = zlib.deflateSync(filtered, { level: 1, memLevel: 9, strategy: zlib.constants.Z_RLE });
  release([filtered]);
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, colourTypes[channels] as number, 0, 0, 0], 8);
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    ...chunk('IHDR', header),
    ...chunk('IDAT', body),
    ...chunk('IEND', Buffer.alloc(0)),
  ]);
}

/** Rows behind a filter byte 3 ("Average"): each byte less the mean of those on its left and above, 0 beyond the edges. */
function filterAverage(data: AnyPixels['data'], row: number, rows: number, channels: number): Buffer {
  const out = Buffer.allocUnsafeSlow((row + 1) * rows);
  const above = new Uint8Array(row); // the row before, and nothing above the first
  for (let y = 0, p = 0, o = 0; y < rows; y++) {
    out[o++] = 3;
    for (let x = 0; x < row; x++, p++) {
      const left = x < channels ? 0 : data[p - channels];
      out[o++] = data[p] - ((left + above[x]) >> 1);
      above[x] = data[p];
    }
  }
  return out;
}

function chunk(type: string, body: Buffer): Buffer[] {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(body.length, 0);
  head.write(type, 4, 'latin1');
  const tail = Buffer.alloc(4);
  tail.writeUInt32BE(zlib.crc32(body, zlib.crc32(head.subarray(4))), 0);
  return [head, body, tail];
}
