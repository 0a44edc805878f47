import type { Pixels } from '../pixels.js';

/**
 * A kind of picture file: one file of this folder and one line of index.ts. Decoders are told by a file's first bytes; its
 * extension only says which files of a folder are tried.
 */
export interface Decoder {
  /** What the format is called in messages. */
  readonly format: string;
  /** In lower case, with the dot. */
  readonly extensions: readonly string[];
  /** @param head the first bytes of the file as Latin-1 */
  readonly recognizes: (head: string) => boolean;
  /**
   * The picture, upright, on white. Of several frames or pages the first.
   *
   * @param maxPixels pictures of more are refused before memory is taken for them
   * @throws Unreadable
   */
  readonly decode: (bytes: Uint8Array, maxPixels: number) => Promise<Pixels>;
}

/** Why a file cannot be read, in words that follow `cannot be read as a picture: `. */
export class Unreadable extends Error {}

/** What every format's cut-off files are called. */
export const endsTooEarly = 'the file ends too early';

/** The most pixels that a side of a picture may have: what JPEG can hold. */
const longestSide = 65_535;

/** Refuses pictures that are too large to be decoded. */
export function checkSize({ width, height }: { width: number; height: number }, maxPixels: number): void {
  const found = `it has ${width} × ${height} pixels`;
  if (width * height > maxPixels)
    throw new Unreadable(`${found}, and the limit maxPixels is ${maxPixels}; make it smaller first`);
  if (Math.max(width, height) > longestSide)
    throw new Unreadable(`${found}, and a side has at most ${longestSide}; make it smaller first`);
}
