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
  open: async (file, { rate: asked, name }) => {
    const bytes = await contentOf(file);
    const { width, height, frames: count = 1 } = await decodeImage(bytes, { name }); // also says whether it is cut off
    if (count === 1) throw new Unreadable('it holds one picture, and a clip has several frames');
    const sharp = await loadSharp();
    const { delay = [] } = await sharp(bytes, { pages: -1, limitInputPixels: false }).metadata();
    const delays = delay.map((milliseconds) => milliseconds || shortest);
    const mean = delays.reduce((sum, own) => sum + own, 0) / Math.max(delays.length, 1);
    const own = mean > 0 ? 1000 / mean : 1000 / shortest;
    const stream = { width, height, count, rate: own, read: framesOf(bytes, { width, height, count }) };
    return asked === undefined ? stream : atRate(stream, asked);
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

/** The same animation at another rate: each of its frames as often as it is the nearest before. */
function atRate(
  { rate: own, count, read, ...rest }: FrameStream & { readonly rate: number },
  rate: number,
): FrameStream {
  const times = Array.from({ length: Math.max(1, Math.round((count / own) * rate)) }, (_, i) =>
    Math.min(count - 1, Math.floor((i * own) / rate + 1e-9)),
  );
  return {
    ...rest,
    rate,
    count: times.length,
    read: async function* (isWanted) {
      const wanted = times.map((_, i) => isWanted(i));
      const needed = new Set(times.filter((_, i) => wanted[i]));
      let [source, next] = [0, 0];
      for await (const frame of read((index) => needed.has(index))) {
        for (; times[next] === source; next++) yield wanted[next] ? frame : undefined;
        source++;
      }
    },
  };
}
