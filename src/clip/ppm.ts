import { release, uninitialized } from '../memory.js';
import type { Pixels, Rectangle } from '../image/pixels.js';

/** Parts of larger pictures. */
export interface CutOut {
  readonly width: number;
  readonly height: number;
  readonly part: Rectangle;
}

/**
 * Pictures of 8-bit RGB that follow each other in a stream (Netpbm's P6: `P6 width height 255`, a line end, the bytes), as ffmpeg
 * writes them: each says its own size.
 *
 * @param stream pieces, which are freed once they are read
 * @param isWanted whether a picture's pixels are kept; else undefined stands in its place
 * @param of what the pictures are parts of: it is given in their place, black beside the part, and in the same memory each time
 */
export async function* picturesIn(
  stream: AsyncIterable<Buffer>,
  isWanted: (index: number) => boolean,
  of?: CutOut,
): AsyncGenerator<Pixels | undefined> {
  let header = '';
  let picture: Reading | undefined;
  let index = 0;
  let read: Buffer[] = [];
  const whole = of && new Uint8Array(of.width * of.height * 3);
  for await (const piece of stream) {
    for (let from = 0; from < piece.length; ) {
      if (!picture) {
        header += String.fromCharCode(piece[from++]);
        const [, width, height] = /^P6\s(\d+)\s(\d+)\s255\s$/.exec(header) ?? [];
        if (width !== undefined) {
          const size = { width: Number(width), height: Number(height) };
          picture = reading(size, isWanted(index), whole && { ...of, data: whole });
        } else if (header.length > longestHeader)
          throw new RangeError(`no picture begins with ${JSON.stringify(header)}`);
        continue;
      }
      from = readRows(picture, piece, from);
      if (picture.at < picture.size) continue;
      yield picture.pixels;
      header = '';
      picture = undefined;
      index++;
    }
    read.push(piece);
    if (read.length < together) continue;
    release(read);
    read = [];
  }
}

const longestHeader = 40;

/** Pieces that are freed at once. */
const together = 32;

/** A picture of which `at` of `size` bytes are read. */
interface Reading {
  readonly pixels: Pixels | undefined;
  /** Bytes of a row of the picture, and of what it is a part of; where the part begins there. */
  readonly row: number;
  readonly stride: number;
  readonly start: number;
  readonly size: number;
  at: number;
}

function reading(
  { width, height }: { readonly width: number; readonly height: number },
  isWanted: boolean,
  whole: (CutOut & { readonly data: Uint8Array }) | undefined,
): Reading {
  const [row, size] = [width * 3, width * height * 3];
  const plain = { row: size, stride: size, start: 0, size, at: 0 };
  if (!isWanted) return { ...plain, pixels: undefined };
  if (whole?.part.width !== width || whole.part.height !== height)
    return { ...plain, pixels: { width, height, data: new Uint8Array(uninitialized(size)), channels: 3 } };
  const { part, data } = whole;
  const stride = whole.width * 3;
  const pixels = { width: whole.width, height: whole.height, data, channels: 3 } as const;
  return { pixels, row, stride, start: part.y * stride + part.x * 3, size, at: 0 };
}

/** @returns where the piece is read up to */
function readRows(picture: Reading, piece: Buffer, from: number): number {
  const { pixels, row, stride, start, size } = picture;
  const end = Math.min(piece.length, from + size - picture.at);
  if (!pixels) {
    picture.at += end - from;
    return end;
  }
  while (from < end) {
    const column = picture.at % row;
    const length = Math.min(row - column, end - from);
    piece.copy(pixels.data, start + ((picture.at - column) / row) * stride + column, from, from + length);
    picture.at += length;
    from += length;
  }
  return end;
}
