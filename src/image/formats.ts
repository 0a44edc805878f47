import { extname } from 'node:path';
import { brandsOf } from './decoders/iso-boxes.js';
import type { Decoder } from './decoders/decoder.js';
import { decoders } from './decoders/index.js';

/** `PNG, JPEG, … and AVIF` */
export const formatNames = decoders
  .map(({ format }) => format)
  .join(', ')
  .replace(/, ([^,]+)$/, ' and $1');

/** Extensions that a folder is searched for, in lower case. */
export const imageExtensions: readonly string[] = decoders.flatMap(({ extensions }) => extensions);

/** What is recognised only to say what it is: its extensions, and its first bytes (Latin-1), or those at an offset. */
interface Other {
  readonly what: string;
  readonly extensions?: readonly string[];
  readonly starts?: readonly (string | readonly [offset: number, bytes: string])[];
}

const others: readonly Other[] = [
  { what: 'a HEIC picture', extensions: ['.heic', '.heif', '.hif'] }, // by its brands
  { what: 'a BMP picture', extensions: ['.bmp', '.dib'], starts: ['BM'] },
  { what: 'a JPEG XL picture', extensions: ['.jxl'], starts: ['\xff\x0a', [4, 'JXL ']] },
  {
    what: 'a JPEG 2000 picture',
    extensions: ['.jp2', '.j2k', '.jpf', '.jpx', '.j2c', '.jpc'],
    starts: [[4, 'jP  '], '\xff\x4f\xff\x51'],
  },
  {
    what: 'a Netpbm picture',
    extensions: ['.pnm', '.pbm', '.pgm', '.ppm', '.pam', '.pfm'],
    starts: ['P1', 'P2', 'P3', 'P4', 'P5', 'P6', 'P7\n'],
  },
  { what: 'an OpenEXR picture', extensions: ['.exr'], starts: ['\x76\x2f\x31\x01'] },
  { what: 'a Radiance picture', extensions: ['.hdr'], starts: ['#?RADIANCE', '#?RGBE'] },
  { what: 'a QOI picture', extensions: ['.qoi'], starts: ['qoif'] },
  { what: 'a TGA picture', extensions: ['.tga'] },
  { what: 'a Windows icon', extensions: ['.ico', '.cur'], starts: ['\0\0\x01\0', '\0\0\x02\0'] },
  { what: 'a raw photograph', extensions: ['.dng', '.nef', '.cr2', '.cr3', '.arw', '.raf', '.orf', '.rw2'] },
  { what: 'a DICOM file', extensions: ['.dcm'], starts: [[128, 'DICM']] },
  { what: 'a Photoshop document', extensions: ['.psd'], starts: ['8BPS'] },
  {
    what: 'a video',
    extensions: ['.mp4', '.m4v', '.mov', '.webm', '.mkv', '.avi'],
    starts: ['\x1a\x45\xdf\xa3'],
  },
  { what: 'a PDF document', extensions: ['.pdf'], starts: ['%PDF'] },
  { what: 'an SVG drawing', extensions: ['.svg', '.svgz'], starts: ['<svg'] },
  { what: 'an XML document', starts: ['<?xml'] },
  { what: 'an HTML document', starts: ['<!DOCTYPE', '<!doctype', '<html'] },
  { what: 'a .npy tensor', starts: ['\x93NUMPY'] },
  { what: 'a zip archive', starts: ['PK\x03\x04'] },
];

/** Why a file is no picture that is read, by its name; undefined where it may be one. */
export function whyNoPicture(path: string): string | undefined {
  const extension = extname(path).toLowerCase();
  if (imageExtensions.includes(extension)) return undefined;
  const other = others.find(({ extensions }) => extensions?.includes(extension));
  return other ? `it is ${other.what}, which is not read` : 'its name has no extension of a picture';
}

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
  const begins = (start: string | readonly [offset: number, bytes: string]) =>
    typeof start === 'string' ? head.startsWith(start) : head.startsWith(start[1], start[0]);
  return { other: others.find(({ starts }) => starts?.some(begins))?.what };
}
