import { createReadStream } from 'node:fs';
import { open, rename, stat, truncate } from 'node:fs/promises';
import { readInto } from '../../files.js';

/** A part of a file. */
export interface Piece {
  readonly start: number;
  /** Behind its last byte. */
  readonly end: number;
}

export interface Line {
  /** Where it begins in the file. */
  readonly start: number;
  /** Without its line feed, which the last line may lack. */
  readonly bytes: Buffer;
  readonly hasLineFeed: boolean;
}

const lineFeed = 0x0a;

/** The lines of a file; none where there is no such file. */
export async function* readLines(path: string): AsyncGenerator<Line> {
  let start = 0;
  let parts: Buffer[] = []; // of the line whose end is not read yet
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 18 }) as AsyncIterable<Buffer>) {
      let from = 0;
      for (let to; (to = chunk.indexOf(lineFeed, from)) >= 0; from = to + 1) {
        const bytes = Buffer.concat([...parts, chunk.subarray(from, to)]);
        yield { start, bytes, hasLineFeed: true };
        start += bytes.length + 1;
        parts = [];
      }
      if (from < chunk.length) parts.push(chunk.subarray(from));
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  if (parts.length > 0) yield { start, bytes: Buffer.concat(parts), hasLineFeed: false };
}

/**
 * Leaves these parts of a file, in this order, and nothing else. Where they are its beginning the rest is cut off; else the
 * file is written anew, by way of `partial`, so that it is the old one or the new one whenever the process ends.
 *
 * @returns the file's length
 */
export async function keepPieces(path: string, pieces: Iterable<Piece>, partial: string): Promise<number> {
  let length = 0;
  let isBeginning = true;
  for (const { start, end } of pieces) {
    isBeginning &&= start === length;
    length += end - start;
  }
  const size = (await stat(path).catch(() => undefined))?.size ?? 0;
  if (!isBeginning) await copyPieces(path, pieces, partial);
  else if (length < size) await truncate(path, length);
  return length;
}

async function copyPieces(path: string, pieces: Iterable<Piece>, partial: string): Promise<void> {
  const from = await open(path);
  try {
    const to = await open(partial, 'w');
    try {
      for (const { start, end } of pieces) {
        const bytes = Buffer.alloc(end - start);
        await readInto(from, bytes, start);
        await to.writeFile(bytes);
      }
      await to.sync();
    } finally {
      await to.close();
    }
  } finally {
    await from.close();
  }
  await rename(partial, path);
}
