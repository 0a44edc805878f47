/** File formats by their first bytes; the extension is never asked. */
export type ImageFormat = 'PNG' | 'JPEG' | 'WebP' | 'GIF' | 'TIFF' | 'AVIF';

/** Extensions that a folder is searched for. */
export const imageExtensions = [
  '.png',
  '.jpg',
  '.jpeg',
  '.jpe',
  '.jfif',
  '.webp',
  '.gif',
  '.tif',
  '.tiff',
  '.avif',
] as const;

/** `[name, offset, bytes]`, Latin-1. */
const signatures: readonly (readonly [string, number, string])[] = [
  ['PNG', 0, '\x89PNG\r\n\x1a\n'],
  ['JPEG', 0, '\xff\xd8\xff'],
  ['GIF', 0, 'GIF87a'],
  ['GIF', 0, 'GIF89a'],
  ['TIFF', 0, 'II*\0'],
  ['TIFF', 0, 'MM\0*'],
  ['TIFF', 0, 'II+\0'],
  ['TIFF', 0, 'MM\0+'],
];

/** Recognised only to say what the file is instead. */
const others: readonly (readonly [string, number, string])[] = [
  ['a BMP picture', 0, 'BM'],
  ['a JPEG XL picture', 0, '\xff\x0a'],
  ['a JPEG XL picture', 4, 'JXL '],
  ['a JPEG 2000 picture', 4, 'jP  '],
  ['a Photoshop document', 0, '8BPS'],
  ['a PDF document', 0, '%PDF'],
  ['an SVG drawing', 0, '<svg'],
  ['an XML document', 0, '<?xml'],
  ['an HTML document', 0, '<!DOCTYPE'],
  ['a .npy tensor', 0, '\x93NUMPY'],
  ['a zip archive', 0, 'PK\x03\x04'],
];

/** What a file's first 64 bytes or so say it is, and, where that is nothing we read, what it looks like. */
export function sniff(bytes: Uint8Array): { format?: ImageFormat; other?: string } {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 64)).toString('latin1');
  for (const [format, offset, signature] of signatures)
    if (head.startsWith(signature, offset)) return { format: format as ImageFormat };
  if (head.startsWith('RIFF') && head.startsWith('WEBP', 8)) return { format: 'WebP' };
  if (head.startsWith('ftyp', 4)) {
    const brands = head.slice(8, Math.max(8, Math.min(64, Buffer.from(head, 'latin1').readUInt32BE(0))));
    if (brands.includes('avif') || brands.includes('avis')) return { format: 'AVIF' };
    return { other: /heic|heix|hevc|mif1/.test(brands) ? 'a HEIC picture' : 'an MP4-like file' };
  }
  for (const [other, offset, signature] of others) if (head.startsWith(signature, offset)) return { other };
  return {};
}
