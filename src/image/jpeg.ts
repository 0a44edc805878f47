import type { AddonTurboJpeg } from '../addon.js';
import { release, uninitialized } from '../memory.js';
import { decodeInWebAssembly } from './jpeg-wasm.js';
import { exifOrientation, orient } from './orientation.js';
import type { Pixels } from './pixels.js';
import { openTurboJpeg } from './turbojpeg.js';
import { tooLarge } from './unreadable.js';

/** Fills `out` with the pixels of the file, RGB; false where it refuses. */
type Decode = (bytes: Uint8Array, header: Header, out: Uint8Array) => boolean | Promise<boolean>;

let native: AddonTurboJpeg | null | undefined;

/**
 * A JPEG file as upright RGB, by libjpeg-turbo in the calling thread: the pixels of Pillow and of sharp, sooner. As
 * machine code where there is one (turbojpeg.ts), otherwise and where that refuses in WebAssembly. Undefined where both
 * do: files that are damaged or cut off, CMYK, 12 bits.
 */
export async function decodeJpeg(
  bytes: Uint8Array,
  name: string,
  maxPixels: number,
  decoders: readonly Decode[] = [decodeNatively, decodeInWebAssembly],
): Promise<Pixels | undefined> {
  const header = readHeader(bytes);
  if (!header) return undefined;
  const { width, height, orientation } = header;
  if (width * height > maxPixels) throw tooLarge(name, width, height, maxPixels);
  if (width * height === 0) return undefined;
  const data = new Uint8Array(uninitialized(width * height * 3));
  for (const decode of decoders)
    if (await decode(bytes, header, data)) return orient({ data, width, height, channels: 3 }, orientation);
  release([data]);
  return undefined;
}

/** By the shared library; false where it refuses, or there is none. */
export function decodeNatively(bytes: Uint8Array, { width, height }: Header, out: Uint8Array): boolean {
  if (native === undefined) native = openTurboJpeg() ?? null;
  return native?.decode(bytes, width, height, out) ?? false;
}

/** What a JPEG file says before its pixels. */
export interface Header {
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
