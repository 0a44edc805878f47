import { inflateSync } from 'node:zlib';
import { PNG } from 'pngjs';
import { messageOf } from '../errors.js';
import { exifOrientation, orient } from './orientation.js';
import { type Pixels, toRgb } from './pixels.js';
import { tooLarge, unreadable } from './unreadable.js';

/** Bit depths that PNG allows, by colour type (PNG specification, table 11.1). */
const depths: Readonly<Record<number, readonly number[]>> = {
  0: [1, 2, 4, 8, 16], // grey
  2: [8, 16], // RGB
  3: [1, 2, 4, 8], // palette
  4: [8, 16], // grey and alpha
  6: [8, 16], // RGBA
};
const samples: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };

/**
 * A PNG file as RGB on white, by pngjs: grey, palette, alpha, 1 to 16 bits (of 16-bit values the high byte, as
 * Pillow and libvips take it), interlaced; upright by its eXIf chunk. Everything that would make pngjs take memory or time
 * out of proportion is checked on the chunks first.
 */
export function decodePng(bytes: Uint8Array, name: string, maxPixels: number): Pixels {
  const chunks = readChunks(bytes, name);
  const { width, height, depth, colorType, interlaced } = readHeader(chunks[0], name);
  if (width * height > maxPixels) throw tooLarge(name, width, height, maxPixels);
  if (chunks.at(-1)?.type !== 'IEND') throw unreadable(name, 'the file ends too early');
  const packed = chunks.filter((chunk) => chunk.type === 'IDAT').map((chunk) => chunk.body);
  if (packed.length === 0) throw unreadable(name, 'it holds no pixels (no IDAT chunk)');
  const end = chunks[chunks.length - 1].end; // bytes after the end are ignored, as other readers do
  try {
    // pngjs inflates interlaced data without a limit; seven passes add at most a few bytes a row.
    if (interlaced) {
      const rowBytes = Math.ceil((width * samples[colorType] * depth) / 8) + 8;
      inflateSync(Buffer.concat(packed), { maxOutputLength: 2 * rowBytes * height + 64 });
    }
    const options: object = { skipRescale: depth === 16 }; // not in pngjs' types
    const { data } = PNG.sync.read(Buffer.from(bytes.buffer, bytes.byteOffset, end), options);
    const rgba = depth === 16 ? Uint8Array.from(data, (value) => value >> 8) : data;
    const upright = toRgb({ data: rgba, width, height, channels: 4 });
    const exif = chunks.find((chunk) => chunk.type === 'eXIf');
    return exif ? orient(upright, exifOrientation(exif.body)) : upright;
  } catch (cause) {
    throw unreadable(name, `its data are damaged (${messageOf(cause)})`, cause);
  }
}

interface Chunk {
  readonly type: string;
  readonly body: Uint8Array;
  /** Offset of the byte after the chunk's checksum. */
  readonly end: number;
}

/** The chunks up to IEND or to where the file breaks off. */
function readChunks(bytes: Uint8Array, name: string): Chunk[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const chunks: Chunk[] = [];
  for (let at = 8; at + 12 <= bytes.length && chunks.at(-1)?.type !== 'IEND'; ) {
    const length = view.getUint32(at);
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const end = at + 12 + length;
    if (end > bytes.length) break;
    chunks.push({ type, body: bytes.subarray(at + 8, at + 8 + length), end });
    at = end;
  }
  if (chunks.length === 0) throw unreadable(name, 'the file ends too early');
  return chunks;
}

function readHeader({ type, body }: Chunk, name: string) {
  if (type !== 'IHDR' || body.length !== 13) throw unreadable(name, 'its PNG header is damaged');
  const view = new DataView(body.buffer, body.byteOffset, 13);
  const [width, height] = [view.getUint32(0), view.getUint32(4)];
  const [depth, colorType, compression, filter, interlace] = body.subarray(8);
  const possible = depths[colorType]?.includes(depth) && compression === 0 && filter === 0 && interlace <= 1;
  if (width === 0 || height === 0 || !possible) throw unreadable(name, 'its PNG header is damaged');
  return { width, height, depth, colorType, interlaced: interlace === 1 };
}
