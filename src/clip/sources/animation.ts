import { decodeImage } from '../../image/decode.js';
import { Unreadable } from '../../image/decoders/decoder.js';
import { type Pixels, toRgb } from '../../image/pixels.js';
import { loadSharp } from '../../image/sharp.js';
import { contentOf } from '../content.js';
import type { ClipSource, FrameStream } from '../clip.js';

/** Pixels that are decoded at once: the frames of an animation are changes of those before, which sharp goes through each time. */
const together = 30_000_000;

/** What browsers take for a delay of 0. */
const shortest = 100;

/** GIF and WebP animations, by sharp. */
export const animation: ClipSource = {
  extensions: ['.gif', '.webp'],
  recognizes: (head) => /^GIF8[79]a/.test(head) || (head.startsWith('RIFF') && head.startsWith('WEBP', 8)),
  open: async (file, { rate: asked, name, maxPixels }) => {
    const bytes = await contentOf(file);
    const { width, height, frames: count = 1 } = await decodeImage(bytes, { name, maxPixels }); // also says whether it is cut off
    if (count === 1) throw new Unreadable('it holds one picture, and a clip has several frames');
    const sharp = await loadSharp();
    const { delay = [] } = await sharp(bytes, { pages: -1, limitInputPixels: false }).metadata();
    const delays = Array.from({ length: count }, (_, i) => delay[i] || shortest);
    const frames = { width, height, count, read: framesOf(bytes, { width, height, count }) };
    return atRate(frames, delays, asked ?? ownRate(delays));
  },
};

/** Whether a WebP file, by its first bytes as Latin-1, has several frames (RFC 9649, section 2.7: the flag A of VP8X). */
export function isAnimatedWebP(head: string): boolean {
  return head.startsWith('WEBPVP8X', 8) && (head.charCodeAt(20) & 2) !== 0;
}

function framesOf(
  bytes: Uint8Array,
  { width, height, count }: { readonly width: number; readonly height: number; readonly count: number },
): FrameStream['read'] {
  return async function* (isWanted) {
    const sharp = await loadSharp();
    const step = Math.max(1, Math.floor(together / (width * height)));
    for (let page = 0; page < count; page += step) {
      const pages = Math.min(step, count - page);
      const wanted = Array.from({ length: pages }, (_, i) => isWanted(page + i));
      if (!wanted.includes(true)) {
        yield* wanted.map(() => undefined);
        continue;
      }
      const { data, info } = await sharp(bytes, {
        page,
        pages,
        failOn: 'error',
        ignoreIcc: true,
        limitInputPixels: false,
      })
        .toColourspace('srgb')
        .raw()
        .toBuffer({ resolveWithObject: true })
        .catch((cause) => {
          throw new Unreadable('its data are damaged', { cause });
        });
      const channels = info.channels as Pixels['channels'];
      const size = width * height * channels;
      for (let i = 0; i < pages; i++)
        yield wanted[i]
          ? toRgb({ data: data.slice(i * size, (i + 1) * size), width, height, channels })
          : undefined;
    }
  };
}

/**
 * Frames a second. Writers join frames that are alike into one that is shown longer: where all delays are about multiples of the
 * shortest that is one frame, else the mean is.
 */
function ownRate(delays: readonly number[]): number {
  const least = Math.min(...delays);
  const counts = delays.map((delay) => Math.round(delay / least));
  const isMultiple = delays.every((delay, i) => Math.abs(delay / least - counts[i]) < 0.1);
  const total = delays.reduce((sum, delay) => sum + delay, 0);
  return (1000 * (isMultiple ? counts.reduce((sum, own) => sum + own, 0) : delays.length)) / total;
}

/** An animation at a rate: each of its frames as often as it is what is shown. */
function atRate(
  { read, ...rest }: Omit<FrameStream, 'rate'>,
  delays: readonly number[],
  rate: number,
): FrameStream {
  const total = delays.reduce((sum, delay) => sum + delay, 0);
  const times: number[] = [];
  let end = 0;
  for (const [source, delay] of delays.entries()) {
    end += delay;
    while ((1000 * (times.length + 0.5)) / rate < end && times.length < Math.round((total * rate) / 1000))
      times.push(source);
  }
  if (times.length === 0) times.push(0);
  return {
    ...rest,
    rate,
    count: times.length,
    read: async function* (isWanted) {
      const wanted: boolean[] = [];
      const isNeeded = (source: number) => {
        const from = wanted.length;
        while (times[wanted.length] === source) wanted.push(isWanted(wanted.length));
        return wanted.includes(true, from);
      };
      let [source, next] = [0, 0];
      for await (const frame of read(isNeeded)) {
        for (; times[next] === source; next++) yield wanted[next] ? frame : undefined;
        source++;
      }
    },
  };
}
