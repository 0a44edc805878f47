import { type Pixels, toRgb } from '../pixels.js';
import { loadSharp } from '../sharp.js';
import { checkSize, type Decoder, endsTooEarly, Unreadable } from './decoder.js';

/** What a file's structure says, before anything is decompressed. */
export interface Survey {
  readonly width: number;
  readonly height: number;
  /** Frames or pages, where the format can have several. Default 1. */
  readonly frames?: number;
  /** What sharp is given; default: the file as it is. */
  readonly file?: Uint8Array;
  /** Factor from the samples to 0…255, for samples that are not whole numbers. */
  readonly scale?: number;
}

export interface SharpFormat extends Omit<Decoder, 'decode'> {
  /**
   * Walks through the file's own parts, in time proportional to its length: sharp decodes what it can of a file that is cut
   * off, and its memory follows what the file declares.
   *
   * @throws Unreadable where the file ends too early, or its structure is damaged, or something in it is above a limit
   */
  readonly survey: (bytes: Uint8Array) => Survey | Promise<Survey>;
  /** What sharp says, at its strictest, of a file that lacks the data of rows, where it otherwise shows them grey. */
  readonly lacksRows?: RegExp;
  /** Why sharp refused, where more can be said than that the data are damaged. */
  readonly whyRefused?: (bytes: Uint8Array) => string | undefined | Promise<string | undefined>;
}

/** A format that sharp decodes. Its own words never reach the user: threads share them, and they speak of its libraries. */
export function sharpDecoder({ survey, lacksRows, whyRefused, ...format }: SharpFormat): Decoder {
  return {
    ...format,
    decode: async (bytes, maxPixels) => {
      const found = await survey(bytes);
      checkSize(found, maxPixels);
      const sharp = await loadSharp();
      const read = (failOn: 'warning' | 'error') => decode(sharp, found, bytes, { maxPixels, failOn });
      try {
        if (!lacksRows) return await read('error');
        return await read('warning').catch((cause) => {
          if (lacksRows.test(String(cause))) throw new Unreadable(endsTooEarly, { cause });
          return read('error'); // harmless warnings are passed over, as in Pillow
        });
      } catch (cause) {
        if (cause instanceof Unreadable) throw cause;
        throw new Unreadable((await whyRefused?.(bytes)) ?? 'its data are damaged', { cause });
      }
    },
  };
}

async function decode(
  sharp: Awaited<ReturnType<typeof loadSharp>>,
  { file, frames, scale }: Survey,
  bytes: Uint8Array,
  { maxPixels, failOn }: { maxPixels: number; failOn: 'warning' | 'error' },
): Promise<Pixels> {
  const picture = sharp(file ?? bytes, { failOn, ignoreIcc: true, limitInputPixels: maxPixels }).autoOrient();
  if (scale) picture.linear(scale, 0);
  const { data, info } = await picture.toColourspace('srgb').raw().toBuffer({ resolveWithObject: true });
  const { width, height, channels } = info;
  // sharp's own flatten takes white for 255 of 65,535 in pictures of 16 bits.
  const pixels = toRgb({ data, width, height, channels: channels as Pixels['channels'] });
  return frames && frames > 1 ? { ...pixels, frames } : pixels;
}
