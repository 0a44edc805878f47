import { GradcamppError, messageOf } from '../errors.js';

/** What is used of sharp, told here: it is optional, and the package is built and used without its types too. */
interface Sharp {
  (pixels: Uint8Array | Uint8ClampedArray, options: { raw: RawInfo }): SharpPicture;
  (
    file: Uint8Array,
    options: { failOn?: 'error'; ignoreIcc?: boolean; limitInputPixels: number | false },
  ): SharpPicture;
}

interface RawInfo {
  width: number;
  height: number;
  channels: 1 | 2 | 3 | 4;
}

interface SharpPicture {
  rotate(): SharpPicture;
  toColourspace(space: 'srgb'): SharpPicture;
  raw(): SharpPicture;
  jpeg(options: { quality: number }): SharpPicture;
  webp(options: { quality: number }): SharpPicture;
  metadata(): Promise<{ width?: number; height?: number }>;
  toBuffer(): Promise<Buffer>;
  toBuffer(options: { resolveWithObject: true }): Promise<{ data: Buffer; info: RawInfo }>;
}

/** sharp, or the sentence that says how to get it. `need` begins it: what it is wanted for. */
export async function requireSharp(load: (() => Promise<unknown>) | undefined, need: string): Promise<Sharp> {
  try {
    // As a string, so that the compiler does not look for it; bundlers still see the name.
    const loaded = (await (load ? load() : import('sharp' as string))) as { default?: Sharp };
    return loaded.default ?? (loaded as Sharp);
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException | undefined)?.code?.endsWith('MODULE_NOT_FOUND');
    const state = missing ? 'which is not installed' : `which does not load (${messageOf(cause)})`;
    throw new GradcamppError(
      'INVALID_IMAGE',
      `${need} with the optional package sharp, ${state}: npm install sharp`,
      { cause },
    );
  }
}
