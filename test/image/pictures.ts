import { createHash } from 'node:crypto';
import zlib from 'node:zlib';
import type { Pixels } from '../../src/image/pixels.js';

/** A picture by formula, with smooth parts, edges and noise; the same in the Python that made the frozen values. */
export function pattern(width: number, height: number): Pixels {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0, p = 0; y < height; y++) {
    for (let x = 0; x < width; x++, p += 3) {
      data[p] = (x * 7 + y * 13 + ((x * y) % 31) * 5) % 256;
      data[p + 1] = (x * x + 3 * y) % 256;
      data[p + 2] = (((x >> 3) + (y >> 3)) % 2) * 200 + ((x * 3 + y * 5) % 56);
    }
  }
  return { data, width, height, channels: 3 };
}

/** The first 16 hexadecimal digits of the bytes' SHA-256. */
export function digest(array: ArrayBufferView): string {
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  return createHash('sha256').update(bytes).digest('hex').slice(0, 16);
}

export interface PngParts {
  readonly width: number;
  readonly height: number;
  readonly depth: 1 | 2 | 4 | 8 | 16;
  readonly colourType: 0 | 2 | 3 | 4 | 6;
  /** The sample of channel c at (x, y), in 0 … 2^depth − 1. */
  readonly sample: (x: number, y: number, c: number) => number;
  readonly interlaced?: boolean;
  /** Between IHDR and IDAT: PLTE, tRNS, eXIf. */
  readonly chunks?: readonly (readonly [string, Uint8Array])[];
}

/** A PNG file written by the specification, unfiltered: independent of the encoder and decoder under test. */
export function pngFile({
  width,
  height,
  depth,
  colourType,
  sample,
  interlaced,
  chunks = [],
}: PngParts): Buffer {
  const channels = [1, 0, 3, 1, 2, 0, 4][colourType];
  const rows: number[] = [];
  const passes = interlaced ? adam7 : [[0, 0, 1, 1]];
  for (const [x0, y0, dx, dy] of passes) {
    if (x0 >= width) continue; // a pass without pixels has no rows
    for (let y = y0; y < height; y += dy) {
      const bits: number[] = [];
      for (let x = x0; x < width; x += dx)
        for (let c = 0; c < channels; c++)
          for (let bit = depth - 1; bit >= 0; bit--) bits.push((sample(x, y, c) >> bit) & 1);
      while (bits.length % 8) bits.push(0);
      rows.push(0);
      for (let i = 0; i < bits.length; i += 8)
        rows.push(bits.slice(i, i + 8).reduce((byte, bit) => 2 * byte + bit, 0));
    }
  }
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    pngChunk('IHDR', pngHeader(width, height, depth, colourType, interlaced)),
    ...chunks.map(([type, body]) => pngChunk(type, body)),
    pngChunk('IDAT', zlib.deflateSync(Uint8Array.from(rows))),
    pngChunk('IEND', new Uint8Array(0)),
  ]);
}

/** [first column, first row, column step, row step] of the seven passes. */
const adam7 = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
];

export function pngHeader(
  width: number,
  height: number,
  depth = 8,
  colourType = 2,
  interlaced = false,
): Buffer {
  const body = Buffer.alloc(13);
  body.writeUInt32BE(width, 0);
  body.writeUInt32BE(height, 4);
  body.set([depth, colourType, 0, 0, interlaced ? 1 : 0], 8);
  return body;
}

export function pngChunk(type: string, body: Uint8Array): Buffer {
  const out = Buffer.alloc(12 + body.length);
  out.writeUInt32BE(body.length, 0);
  out.write(type, 4, 'latin1');
  out.set(body, 8);
  out.writeUInt32BE(zlib.crc32(out.subarray(4, 8 + body.length)), 8 + body.length);
  return out;
}

/** An EXIF block that says nothing but the orientation. */
export function exif(orientation: number, little = false): Buffer {
  const body = Buffer.from(
    little ? '49492a00080000000100120103000100000000000000' : '4d4d002a000000080001011200030000000100000000',
    'hex',
  );
  if (little) body.writeUInt16LE(orientation, 18);
  else body.writeUInt16BE(orientation, 18);
  return body;
}
