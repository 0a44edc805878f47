import zlib from 'node:zlib';
import { wholeNumber } from '../check.js';
import { release } from '../memory.js';
import { deflateLiterals } from './deflate.js';
import { kernels } from './kernels.js';
import { type AnyPixels, checkPixels, type Pixels } from './pixels.js';
import { requireSharp } from './sharp.js';

/** PNG colour types by channels: grey, grey + alpha, RGB, RGBA. */
const colourTypes = [undefined, 0, 4, 2, 6];

/**
 * A PNG file, 8 bits a channel. Made for writing thousands of overlays: photographs are compressed by deflate.ts (with
 * the addon a third of zlib's time, without looking for repetitions too, for 2 % more bytes); pictures that are mostly
 * flat by zlib, with run lengths.
 */
export function encodePng(pixels: AnyPixels): Buffer {
  const { data, width, height, channels } = checkPixels(pixels);
  const row = width * channels;
  const filtered = Buffer.allocUnsafe((row + 1) * height);
  const counts = new Uint32Array(256);
  const bytes = data instanceof Uint8Array ? data : new Uint8Array(data.buffer, data.byteOffset, data.length);
  const adler = kernels().filterAverage(bytes, row, height, channels, filtered, counts);
  const isFlat = counts[0] > counts.reduce((sum, count) => sum + count) / 2;
  const body = isFlat
    ? zlib.deflateSync(filtered, { level: 1, memLevel: 9, strategy: zlib.constants.Z_RLE })
    : deflateLiterals(filtered, counts, adler, kernels().packCodes);
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, colourTypes[channels] as number, 0, 0, 0], 8);
  const signature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
  const file = Buffer.concat([
    signature,
    ...chunk('IHDR', header),
    ...chunk('IDAT', body),
    ...chunk('IEND', Buffer.alloc(0)),
  ]);
  release([filtered, !isFlat && new Uint8Array(body.buffer)]);
  return file;
}

/** A JPEG file, through sharp. @param quality 1…100 */
export async function encodeJpeg(
  { data, width, height, channels }: Pixels,
  quality = 90,
  loadSharp?: () => Promise<unknown>,
): Promise<Buffer> {
  wholeNumber('quality', quality, 1, 100);
  const sharp = await requireSharp(loadSharp, 'JPEG pictures are written');
  return sharp(data, { raw: { width, height, channels } }).jpeg({ quality }).toBuffer();
}

function chunk(type: string, body: Buffer): Buffer[] {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(body.length, 0);
  head.write(type, 4, 'latin1');
  const tail = Buffer.alloc(4);
  tail.writeUInt32BE(zlib.crc32(body, zlib.crc32(head.subarray(4))), 0);
  return [head, body, tail];
}
