import { extname } from 'node:path';
import { brandsOf } from './decoders/boxes.js';
import type { Decoder } from './decoders/decoder.js';
import { decoders } from './decoders/index.js';

/** `PNG, JPEG, … and AVIF` */
export const formatNames = decoders
  .map(({ format }) => format)
  .join(', ')
  .replace(/, ([^,]+)$/, ' and $1');

/** Extensions that a folder is searched for, in lower case. */
export const imageExtensions: readonly string[] = decoders.flatMap(({ extensions }) => extensions);

/** Whether a file is taken for a picture by its name. */
export function isPictureName(path: string): boolean {
  return imageExtensions.includes(extname(path).toLowerCase());
}

/** Recognised only to say what a file is instead: `[name, offset, bytes in Latin-1]`. */
const others: readonly (readonly [string, number, string])[] = [
  ['a BMP picture', 0, 'BM'],
  ['a JPEG XL picture', 0, '\xff\x0a'],
  ['a JPEG XL picture', 4, 'JXL '],
  ['a JPEG 2000 picture', 4, 'jP  '],
  ['a JPEG 2000 picture', 0, '\xff\x4f\xff\x51'],
  ['a PBM picture', 0, 'P1'],
  ['a PGM picture', 0, 'P2'],
  ['a PPM picture', 0, 'P3'],
  ['a PBM picture', 0, 'P4'],
  ['a PGM picture', 0, 'P5'],
  ['a PPM picture', 0, 'P6'],
  ['an OpenEXR picture', 0, '\x76\x2f\x31\x01'],
  ['a Radiance picture', 0, '#?RADIANCE'],
  ['a QOI picture', 0, 'qoif'],
  ['a Windows icon', 0, '\0\0\x01\0'],
  ['a DICOM file', 128, 'DICM'],
  ['a Photoshop document', 0, '8BPS'],
  ['a PDF document', 0, '%PDF'],
  ['an SVG drawing', 0, '<svg'],
  ['an XML document', 0, '<?xml'],
  ['an HTML document', 0, '<!DOCTYPE'],
  ['a .npy tensor', 0, '\x93NUMPY'],
  ['a zip archive', 0, 'PK\x03\x04'],
];

const headLength = 132;

/** Who reads a file, by its first bytes; where that is nobody, what it looks like. */
export function recognize(bytes: Uint8Array): { decoder?: Decoder; other?: string } {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, headLength)).toString(
    'latin1',
  );
  const decoder = decoders.find(({ recognizes }) => recognizes(head));
  if (decoder) return { decoder };
  const brands = brandsOf(head);
  if (brands.length > 0)
    return {
      other: brands.some((brand) => /^(hei|hev|mif)/.test(brand)) ? 'a HEIC picture' : 'an MP4-like file',
    };
  return { other: others.find(([, offset, start]) => head.startsWith(start, offset))?.[0] };
}
