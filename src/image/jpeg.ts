import { unwritten } from '../memory.js';
import { exifOrientation, orient } from './orientation.js';
import type { Pixels } from './pixels.js';
import { tooLarge } from './unreadable.js';

/** What is used of libjpeg-turbo, compiled to WebAssembly; the package has no types. */
interface Decoder {
  getEncodedBuffer(length: number): Uint8Array;
  decode(): void;
  /** RGB, 8 bits. */
  getDecodedBuffer(): Uint8ClampedArray;
}
interface Codec {
  readonly JPEGDecoder: new () => Decoder;
}

let opened: Promise<Decoder> | undefined;

/** Bytes that WebAssembly's memory, which never shrinks, may have before it is given up. */
const mostMemory = 2 ** 27;

/**
 * A JPEG file as upright RGB, by libjpeg-turbo: the pixels of Pillow and of sharp, sooner, but in the calling thread.
 * Undefined where it refuses: files that are damaged or cut off, CMYK, 12 bits.
 */
export async function decodeJpeg(
  bytes: Uint8Array,
  name: string,
  maxPixels: number,
): Promise<Pixels | undefined> {
  const header = readHeader(bytes);
  if (!header) return undefined;
  const { width, height, orientation } = header;
  if (width * height > maxPixels) throw tooLarge(name, width, height, maxPixels);
  opened ??= openDecoder();
  const decoder = await opened;
  try {
    decoder.getEncodedBuffer(bytes.length).set(bytes);
    decoder.decode();
    const decoded = decoder.getDecodedBuffer();
    if (decoded.length !== width * height * 3) return undefined;
    const data = new Uint8Array(unwritten(decoded.length));
    data.set(new Uint8Array(decoded.buffer, decoded.byteOffset, decoded.length)); // clamped, it is copied byte by byte
    return orient({ data, width, height, channels: 3 }, orientation);
  } catch {
    return undefined;
  } finally {
    if (isSpent(decoder)) opened = undefined;
  }
}

/** Whether it holds too much memory, or does not answer any more, as once WebAssembly had none left to give. */
function isSpent(decoder: Decoder): boolean {
  try {
    return decoder.getEncodedBuffer(0).buffer.byteLength > mostMemory;
  } catch {
    return true;
  }
}

async function openDecoder(): Promise<Decoder> {
  // As a string, so that the compiler does not look for types; bundlers still see the name.
  const module = await import('@cornerstonejs/codec-libjpeg-turbo-8bit/decodewasmjs' as string);
  const codec: Codec = await module.default();
  return new codec.JPEGDecoder();
}

interface Header {
  readonly width: number;
  readonly height: number;
  /** EXIF, 1 … 8; 1 where nothing is said. */
  readonly orientation: number;
}

/** The segments before the pixels (ISO/IEC 10918-1, B.1.1); undefined where there is no frame among them. */
function readHeader(bytes: Uint8Array): Header | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let orientation: number | undefined;
  for (let at = 2; at + 9 <= bytes.length; ) {
    if (bytes[at] !== 0xff) return undefined;
    const marker = bytes[at + 1];
    if (marker === 0xff) {
      at++; // a fill byte
      continue;
    }
    const end = at + 2 + view.getUint16(at + 2);
    const body = bytes.subarray(at + 4, end);
    if (marker === 0xe1 && isExif(body)) orientation ??= exifOrientation(body.subarray(6));
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker))
      return { width: view.getUint16(at + 7), height: view.getUint16(at + 5), orientation: orientation ?? 1 };
    at = end;
  }
  return undefined;
}

function isExif(body: Uint8Array): boolean {
  return String.fromCharCode(...body.subarray(0, 6)) === 'Exif\0\0';
}
