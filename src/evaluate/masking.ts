import { gaussian } from './gaussian.js';

/** How a preprocessed picture lies in memory: `channels` values at each of `positions` places. */
export interface PictureLayout {
  readonly channels: number;
  /** Size of the map: H · W, or T · H · W for a video. */
  readonly positions: number;
  /**
   * Positions of one channel that lie one behind the other before those of the next: all of NCHW and NCTHW, H · W of NTCHW, 1 of
   * NHWC and NTHWC.
   */
  readonly run: number;
}

/** Where the value of a position in a channel lies. */
export function offsetOf({ channels, run }: PictureLayout, position: number, channel: number): number {
  const within = position % run;
  return (position - within) * channels + channel * run + within;
}

/** The position that a value is of. */
export function positionOf({ channels, run }: PictureLayout, offset: number): number {
  return Math.floor(offset / (run * channels)) * run + (offset % run);
}

/** From a position to the next within a run, or a plane where channels come last. */
export function stepOf({ channels, run }: PictureLayout): number {
  return run === 1 ? channels : 1;
}

/**
 * What replaces a masked pixel:
 * `zero`: 0 in the preprocessed tensor, so E = L ⊙ I as in the paper; with the usual mean/std it is the data set's mean colour.
 * `black`: a black pixel before preprocessing, so the mask multiplies pixels (at the network's input size, after
 *   resizing and cropping, before range, mean and std).
 * `mean`: the picture's own mean colour.
 * `blur`: the picture under a Gaussian of σ = 5 cut to 11 taps, as wide as that of the insertion metric's authors; edges clamped.
 */
export const baselines = ['zero', 'black', 'mean', 'blur'] as const;
export type Baseline = (typeof baselines)[number];

/**
 * The picture that stands where pixels were removed, as large as the tensor.
 *
 * @param black preprocessed value of a black pixel, one a channel
 * @param size the map's dims, innermost last; blur needs at least two of them and runs over the last two
 */
export function baselineTensor(
  baseline: Baseline,
  tensor: Float32Array,
  layout: PictureLayout,
  black: readonly number[],
  size: readonly number[],
): Float32Array {
  const result = new Float32Array(tensor.length);
  if (baseline === 'zero') return result;
  if (baseline === 'blur') return blur(tensor, layout, size, result);
  for (let c = 0; c < layout.channels; c++) {
    let value = black[c];
    if (baseline === 'mean') {
      let sum = 0;
      eachRun(layout, c, (_, from, to) => {
        for (let i = from; i < to; i++) sum += tensor[i];
      });
      value = sum / layout.positions;
    }
    eachRun(layout, c, (_, from, to) => result.fill(value, from, to));
  }
  return result;
}

/** E = L ⊙ I + (1 − L) ⊙ B, written to `out`; the paper's E = L ⊙ I where B is zero. */
export function maskByMap(
  tensor: Float32Array,
  map: Float32Array,
  baseline: Float32Array,
  layout: PictureLayout,
  out: Float32Array,
): void {
  for (let c = 0; c < layout.channels; c++)
    eachRun(layout, c, (first, from, to) => {
      for (let p = first, i = from; i < to; p++, i++)
        out[i] = map[p] * tensor[i] + (1 - map[p]) * baseline[i];
    });
}

/** The positions ranked below `count` from `first`, all others from `rest`, written to `out`. */
export function mergeByRank(
  ranks: Uint32Array,
  count: number,
  first: Float32Array,
  rest: Float32Array,
  layout: PictureLayout,
  out: Float32Array,
): void {
  // Selecting bits instead of branching: where a map is rough, a branch would be mispredicted at every other pixel.
  const [a, b, result] = [bitsOf(first), bitsOf(rest), bitsOf(out)];
  const { channels, positions, run } = layout;
  for (let first = 0; first < positions; first += run)
    for (let p = first, start = first * channels; p < first + run; p++, start++) {
      const chosen = (ranks[p] - count) >> 31;
      for (let c = 0, i = start; c < channels; c++, i += run) result[i] = (a[i] & chosen) | (b[i] & ~chosen);
    }
}

function bitsOf(data: Float32Array): Int32Array {
  return new Int32Array(data.buffer, data.byteOffset, data.length);
}

/** The runs of a channel: the first position of each, and where its values begin and end. */
function eachRun(
  { channels, positions, run }: PictureLayout,
  channel: number,
  visit: (first: number, from: number, to: number) => void,
): void {
  for (let first = 0, from = channel * run; first < positions; first += run, from += run * channels)
    visit(first, from, from + run);
}

const blurTaps = gaussian(11, 5);

function blur(
  tensor: Float32Array,
  layout: PictureLayout,
  size: readonly number[],
  out: Float32Array,
): Float32Array {
  const width = size[size.length - 1];
  const height = size[size.length - 2] ?? 1;
  const frames = layout.positions / (width * height);
  const rows = new Float32Array(width * height);
  const step = stepOf(layout);
  for (let c = 0; c < layout.channels; c++) {
    for (let f = 0; f < frames; f++) {
      const at = offsetOf(layout, f * width * height, c);
      convolve(tensor, at, step, step * width, rows, 0, 1, width, width, height);
      convolve(rows, 0, width, 1, out, at, step * width, step, height, width);
    }
  }
  return out;
}

/** One-dimensional convolution of `lines` lines of `length` values with clamped edges. */
function convolve(
  from: Float32Array,
  fromStart: number,
  fromStep: number,
  fromLine: number,
  to: Float32Array,
  toStart: number,
  toStep: number,
  toLine: number,
  length: number,
  lines: number,
): void {
  const reach = (blurTaps.length - 1) / 2;
  for (let line = 0; line < lines; line++) {
    const source = fromStart + line * fromLine;
    const target = toStart + line * toLine;
    for (let i = 0; i < length; i++) {
      let sum = 0;
      for (let t = -reach; t <= reach; t++) {
        const j = Math.min(Math.max(i + t, 0), length - 1);
        sum += blurTaps[t + reach] * from[source + j * fromStep];
      }
      to[target + i * toStep] = sum;
    }
  }
}
