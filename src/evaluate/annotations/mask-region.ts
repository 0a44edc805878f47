import { readBytes } from '../../image/file.js';
import { decodeImage } from '../../image/decode.js';
import { loadSharp } from '../../image/sharp.js';
import { badAnnotation } from './annotation.js';
import { show } from '../../errors.js';

/** What a mask picture marks: 1 inside, 0 outside, row-major. */
export interface Mask {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** Channels of an upright picture, 0 … 1. */
interface Levels {
  readonly width: number;
  readonly height: number;
  /** The brightest of its colours, and how far they differ, at each position. */
  readonly brightness: Float32Array;
  readonly chroma: Float32Array;
  readonly alpha?: Float32Array;
}

/** Colours that differ by so much are labels. */
const coloured = 0.25;
/** Of coloured labels the darkest; less is what compression leaves on black. */
const darkest = 0.125;

/**
 * A mask from a picture file. What is bright is inside, from half of the range on. In masks that are dark throughout, such as
 * those of 0 and 1 or of numbers, and in coloured ones everything but black is. What is transparent is outside; where the
 * visible colours do not differ, transparency is the mask.
 *
 * @throws GradcamppError INVALID_IMAGE
 */
export async function readMask(path: string): Promise<Mask> {
  const { width, height, brightness, chroma, alpha } = await levelsOf(path);
  const isVisible = (p: number): boolean => !alpha || alpha[p] >= 0.5;
  let [low, peak, colour] = [Infinity, 0, 0];
  for (let p = 0; p < brightness.length; p++) {
    if (!isVisible(p)) continue;
    low = Math.min(low, brightness[p]);
    peak = Math.max(peak, brightness[p]);
    colour = Math.max(colour, chroma[p]);
  }
  const isInAlpha = low === peak && (alpha?.some((_, p) => !isVisible(p)) ?? false);
  const least = colour >= coloured ? darkest : peak < 0.5 ? Number.MIN_VALUE : 0.5;
  const data = Uint8Array.from(brightness, (value, p) =>
    isVisible(p) && (isInAlpha || value >= least) ? 1 : 0,
  );
  return { data, width, height };
}

async function levelsOf(path: string): Promise<Levels> {
  const bytes = await readBytes(path, (reason) =>
    badAnnotation(`${show(path)} cannot be read as a mask: ${reason}`),
  );
  const pixels = await decodeImage(bytes, { name: path }); // refuses what is no picture, too large or damaged
  // What only other parts of the file are wrong with has no transparency to speak of.
  return (await deepLevelsOf(bytes).catch(() => undefined)) ?? levels(pixels.data, pixels, 3, 255);
}

/** Transparency and more than 8 bits, which `decodeImage` leaves out; undefined where there is neither. */
async function deepLevelsOf(bytes: Uint8Array): Promise<Levels | undefined> {
  const sharp = await loadSharp();
  const { hasAlpha, depth } = await sharp(bytes).metadata();
  const isDeep = depth === 'ushort';
  if (!hasAlpha && !isDeep) return undefined;
  const upright = sharp(bytes).autoOrient();
  const { data, info } = await (isDeep ? upright.toColourspace('rgb16') : upright)
    .raw({ depth: 'ushort' })
    .toBuffer({ resolveWithObject: true });
  const values = new Uint16Array(data.buffer.slice(data.byteOffset, data.byteOffset + data.length));
  return levels(values, info, info.channels, isDeep ? 65_535 : 255, hasAlpha);
}

function levels(
  data: Uint8Array | Uint16Array,
  { width, height }: { readonly width: number; readonly height: number },
  channels: number,
  range: number,
  hasAlpha = false,
): Levels {
  const colours = hasAlpha ? channels - 1 : channels;
  const length = width * height;
  const [brightness, chroma] = [new Float32Array(length), new Float32Array(length)];
  const alpha = hasAlpha ? new Float32Array(length) : undefined;
  for (let p = 0; p < length; p++) {
    let [low, high] = [Infinity, 0];
    for (let c = 0; c < colours; c++) {
      const value = data[p * channels + c];
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
    brightness[p] = high / range;
    chroma[p] = (high - low) / range;
    if (alpha) alpha[p] = data[p * channels + colours] / range;
  }
  return { width, height, brightness, chroma, ...(alpha ? { alpha } : {}) };
}
