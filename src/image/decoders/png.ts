import { createInflate } from 'node:zlib';
import { endsTooEarly, Unreadable } from './decoder.js';
import { Reader } from './reader.js';
import { sharpDecoder, type Survey } from './sharp-decoder.js';

/** Bit depths that PNG allows, by colour type (PNG specification, table 11.1). */
const depths: Readonly<Record<number, readonly number[]>> = {
  0: [1, 2, 4, 8, 16], // grey
  2: [8, 16], // RGB
  3: [1, 2, 4, 8], // palette
  4: [8, 16], // grey and alpha
  6: [8, 16], // RGBA
};
const samples: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };

/** Chunks that say something about pixels; all others, which can be compressed without limit, are not given to sharp. */
const wanted = new Set(['IHDR', 'PLTE', 'tRNS', 'eXIf', 'IDAT', 'IEND']);

const mostChunks = 100_000;
const signatureLength = 8;

export const png = sharpDecoder({
  format: 'PNG',
  extensions: ['.png', '.apng'],
  recognizes: (head) => head.startsWith('\x89PNG\r\n\x1a\n'),
  survey,
  whyRefused,
});

interface Chunk {
  readonly type: string;
  /** Offsets of the chunk, of its body, and of the byte behind its checksum. */
  readonly start: number;
  readonly body: number;
  readonly end: number;
}

/** The chunks up to IEND; what follows is ignored, as other readers do. */
function* chunksOf(file: Reader): Generator<Chunk> {
  let count = 0;
  for (let at = signatureLength, type = ''; type !== 'IEND'; ) {
    if (++count > mostChunks) throw new Unreadable(`it has more than ${mostChunks} chunks`);
    const length = file.u32(at);
    type = file.text(at + 4, 4);
    const end = at + 12 + length;
    file.need(at, 12 + length);
    yield { type, start: at, body: at + 8, end };
    at = end;
  }
}

function survey(bytes: Uint8Array): Survey {
  const file = new Reader(bytes);
  const parts = [bytes.subarray(0, signatureLength)];
  let header: ReturnType<typeof headerOf> | undefined;
  let frames = 1;
  let hasPixels = false;
  for (const chunk of chunksOf(file)) {
    header ??= headerOf(file, chunk);
    if (chunk.type === 'acTL' && chunk.end - chunk.body >= 12) frames = file.u32(chunk.body);
    if (chunk.type === 'IDAT') hasPixels = true;
    if (wanted.has(chunk.type)) parts.push(bytes.subarray(chunk.start, chunk.end));
  }
  if (!hasPixels) throw new Unreadable('it holds no pixels (no IDAT chunk)');
  const { width, height } = header as NonNullable<typeof header>;
  const size = parts.reduce((sum, part) => sum + part.length, 0);
  return { width, height, frames, file: size === bytes.length ? bytes : Buffer.concat(parts, size) };
}

function headerOf(file: Reader, { type, body, end }: Chunk) {
  const damaged = new Unreadable('its PNG header is damaged');
  if (type !== 'IHDR' || end - body !== 13 + 4) throw damaged;
  const [width, height] = [file.u32(body), file.u32(body + 4)];
  const [depth, colorType, compression, filter, interlace] = file.bytes.subarray(body + 8);
  const isPossible =
    depths[colorType]?.includes(depth) && compression === 0 && filter === 0 && interlace <= 1;
  if (width === 0 || height === 0 || !isPossible) throw damaged;
  return { width, height, rowBits: width * samples[colorType] * depth };
}

/** Whether all chunks are there, and what they hold ends before the last row. */
async function whyRefused(bytes: Uint8Array): Promise<string | undefined> {
  const file = new Reader(bytes);
  const chunks = [...chunksOf(file)];
  const { height, rowBits } = headerOf(file, chunks[0]);
  let missing = Math.ceil(rowBits / 8) * height;
  const inflate = createInflate();
  inflate.on('data', (piece: Buffer) => {
    missing -= piece.length;
    if (missing <= 0) inflate.destroy();
  });
  const ended = new Promise<string | undefined>((resolve) => {
    inflate.on('close', () => resolve(undefined));
    inflate.on('end', () => resolve(missing > 0 ? endsTooEarly : undefined));
    inflate.on('error', ({ code }: NodeJS.ErrnoException) =>
      resolve(code === 'Z_BUF_ERROR' ? endsTooEarly : undefined),
    );
  });
  for (const { type, body, end } of chunks)
    if (type === 'IDAT' && !inflate.destroyed) inflate.write(bytes.subarray(body, end - 4));
  inflate.end();
  return ended;
}
