import { Unreadable } from './decoder.js';
import { loadSharp } from '../sharp.js';
import { Reader } from './reader.js';
import { sharpDecoder, type Survey } from './sharp-decoder.js';

export const tiff = sharpDecoder({
  format: 'TIFF',
  extensions: ['.tif', '.tiff'],
  recognizes: (head) => ['II*\0', 'MM\0*', 'II+\0', 'MM\0+'].some((start) => head.startsWith(start)),
  survey,
  whyRefused: (bytes) => {
    const [compression] = pagesOf(bytes).first.get(tags.compression) ?? [1];
    return compression > 1
      ? `its data are damaged, or compressed in a way that is not read (TIFF compression ${compression})`
      : undefined;
  },
});

/** TIFF 6.0 and BigTIFF. */
const tags = {
  width: 256,
  height: 257,
  bitsPerSample: 258,
  compression: 259,
  stripOffsets: 273,
  stripByteCounts: 279,
  tileOffsets: 324,
  tileByteCounts: 325,
  sampleFormat: 339,
};
const kept: ReadonlySet<number> = new Set(Object.values(tags));

/** Bytes of a value, by field type. */
const sizes = [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8];
/** Field types that are unsigned numbers. */
const unsigned: ReadonlySet<number> = new Set([1, 3, 4, 13, 16, 18]);

/** The values of a directory's tags. */
type Directory = ReadonlyMap<number, readonly number[]>;

const mostPages = 100_000;

async function survey(bytes: Uint8Array): Promise<Survey> {
  const { file, first, pages } = pagesOf(bytes);
  const [width = 0] = first.get(tags.width) ?? [];
  const [height = 0] = first.get(tags.height) ?? [];
  if (width * height === 0) throw new Unreadable('its TIFF header is damaged');
  for (const [offsets, counts] of [
    [first.get(tags.stripOffsets), first.get(tags.stripByteCounts)],
    [first.get(tags.tileOffsets), first.get(tags.tileByteCounts)],
  ])
    offsets?.forEach((offset, i) => file.need(offset, counts?.[i] ?? 0));
  const bits = first.get(tags.bitsPerSample) ?? [1];
  const formats = first.get(tags.sampleFormat) ?? [1];
  const frames = pages;
  if (formats.every((format) => format === 3) && bits[0] === 32)
    return { width, height, frames, scale: await scaleOf(bytes) };
  checkSamples(bits[0], formats[0]);
  return { width, height, frames };
}

/** Samples of which nothing says where black and white are would give a black picture. */
function checkSamples(bits: number, format: number): void {
  const read = 'unsigned numbers of 1, 2, 4, 8 and 16 bits and floats of 32 are read; convert it first';
  const kind =
    { 1: 'unsigned numbers', 2: 'signed numbers', 3: 'floats', 4: 'numbers' }[format] ?? 'no plain numbers';
  const isRead = (format === 1 || format === 4) && [1, 2, 4, 8, 16].includes(bits);
  if (!isRead) throw new Unreadable(`its samples are ${kind} of ${bits} bits; ${read}`);
}

/** Floats are colours where they lie in 0…1, as most programs have them; others have no white that is known. */
async function scaleOf(bytes: Uint8Array): Promise<number> {
  const sharp = await loadSharp();
  const stats = await sharp(bytes, { failOn: 'error' })
    .stats()
    .catch((cause) => {
      throw new Unreadable('its data are damaged', { cause });
    });
  const least = Math.min(...stats.channels.map(({ min }) => min));
  const largest = Math.max(...stats.channels.map(({ max }) => max));
  if (stats.channels.some(({ mean }) => Number.isNaN(mean)))
    throw new Unreadable('its samples are floats, and not all are numbers');
  if (least >= 0 && largest <= 1) return 255;
  throw new Unreadable(
    `its samples are floats from ${least} to ${largest}, and floats are colours only from 0 to 1; scale them first`,
  );
}

/** The tags of the first page, and how many pages there are. */
function pagesOf(bytes: Uint8Array): { file: Reader; first: Directory; pages: number } {
  const file = new Reader(bytes, { little: bytes[0] === 0x49 });
  const isBig = file.u16(2) === 43;
  const first = new Map<number, number[]>();
  let pages = 0;
  for (let at = isBig ? file.u64(8) : file.u32(4); at !== 0; ) {
    if (++pages > mostPages)
      throw new Unreadable(`it has more than ${mostPages} pages, or they run in a circle`);
    const count = isBig ? file.u64(at) : file.u16(at);
    const [begin, entry] = isBig ? [at + 8, 20] : [at + 2, 12];
    file.need(begin, count * entry);
    if (pages === 1) for (let i = 0; i < count; i++) readTag(file, begin + i * entry, isBig, first);
    const next = begin + count * entry;
    at = isBig ? file.u64(next) : file.u32(next);
  }
  if (pages === 0) throw new Unreadable('it holds no pixels');
  return { file, first, pages };
}

function readTag(file: Reader, at: number, isBig: boolean, found: Map<number, number[]>): void {
  const tag = file.u16(at);
  const type = file.u16(at + 2);
  const size = sizes[type] ?? 0;
  const count = isBig ? file.u64(at + 4) : file.u32(at + 4);
  const [inline, place] = isBig ? [8, at + 12] : [4, at + 8];
  const from = count * size <= inline ? place : isBig ? file.u64(place) : file.u32(place);
  file.need(from, count * size);
  if (!kept.has(tag) || found.has(tag)) return;
  if (!unsigned.has(type)) throw new Unreadable('its TIFF header is damaged');
  const read = { 1: file.u8, 2: file.u16, 4: file.u32, 8: file.u64 }[size] as (at: number) => number;
  found.set(
    tag,
    Array.from({ length: count }, (_, i) => read.call(file, from + i * size)),
  );
}
