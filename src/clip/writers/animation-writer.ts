import type { Sharp } from 'sharp';
import { uninitialized } from '../../memory.js';
import { loadSharp } from '../../image/sharp.js';
import type { ClipWriter } from './writer.js';

/** A format that sharp writes: an animation that is repeated without end. It has no sound. */
export function animationWriter(
  format: string,
  encode: (frames: Sharp, options: { readonly delay: number[]; readonly loop: number }) => Sharp,
): ClipWriter {
  return {
    format,
    ending: `.${format}`,
    needsFfmpeg: false,
    write: async (frames, { rate }) => {
      const sharp = await loadSharp();
      const [{ width, height, data: first }] = frames;
      const all = new Uint8Array(uninitialized(first.length * frames.length));
      frames.forEach(({ data }, t) => all.set(data, t * first.length));
      const raw = { width, height: height * frames.length, channels: 3, pageHeight: height } as const;
      const delay = Array<number>(frames.length).fill(Math.max(10, Math.round(1000 / rate)));
      return encode(sharp(all, { raw, limitInputPixels: false }), { delay, loop: 0 }).toBuffer();
    },
  };
}
