import { release, uninitialized } from '../memory.js';
import type { Pixels } from '../image/pixels.js';

/**
 * Pictures of 8-bit RGB that follow each other in a stream (Netpbm's P6: `P6 width height 255`, a line end, the bytes), as ffmpeg
 * writes them: each says its own size.
 *
 * @param stream pieces, which are freed once they are read
 * @param isWanted whether a picture's pixels are kept; else undefined stands in its place
 */
export async function* picturesIn(
  stream: AsyncIterable<Buffer>,
  isWanted: (index: number) => boolean,
): AsyncGenerator<Pixels | undefined> {
  let header = '';
  let picture: { readonly width: number; readonly height: number; readonly data?: Uint8Array } | undefined;
  let [at, size, index] = [0, 0, 0];
  let read: Buffer[] = [];
  for await (const piece of stream) {
    for (let from = 0; from < piece.length; ) {
      if (!picture) {
        header += String.fromCharCode(piece[from++]);
        const [, width, height] = /^P6\s(\d+)\s(\d+)\s255\s$/.exec(header) ?? [];
        if (width === undefined) {
          if (header.length > longestHeader)
            throw new RangeError(`no picture begins with ${JSON.stringify(header)}`);
          continue;
        }
        size = Number(width) * Number(height) * 3;
        const data = isWanted(index) ? new Uint8Array(uninitialized(size)) : undefined;
        picture = { width: Number(width), height: Number(height), data };
        at = 0;
      }
      const part = Math.min(piece.length - from, size - at);
      picture.data?.set(piece.subarray(from, from + part), at);
      from += part;
      at += part;
      if (at < size) continue;
      const { data, ...rest } = picture;
      yield data && { ...rest, data, channels: 3 };
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
