/**
 * Resizing as the training frameworks do it, since networks notice the difference. Both kinds compute only
 * a window of the resized picture, the part that the centre crop keeps; its numbers are those that cropping
 * the whole would give. Pure functions over typed arrays: pixels are rows of `width · channels` values.
 */

/** The resized picture's dims and the part of it that is computed; the window lies within. Whole numbers. */
export interface ResizePlan {
  readonly width: number;
  readonly height: number;
  readonly window: {
    readonly x: number;
    readonly y: number;
    readonly width: number;
    readonly height: number;
  };
}

/**
 * `torch.nn.functional.interpolate(x.float(), mode='bilinear', align_corners=False, antialias=False)`:
 * half-pixel centres, two taps an axis however strong the reduction, edges clamped, the result left unrounded.
 * Coordinates are float32, rounded once as by torch's fused multiply-add; the four products are summed in
 * float64, then rounded to float32: within two units in the last place of torch.
 * @returns [window.height, window.width, channels], in 0…255.
 */
export function resizeTorchBilinear(
  source: Uint8Array,
  width: number,
  height: number,
  channels: number,
  plan: ResizePlan,
  out = new Float32Array(plan.window.width * plan.window.height * channels),
): Float32Array {
  const { window } = plan;
  const across = linearTaps(width, plan.width, window.x, window.width, channels);
  const down = linearTaps(height, plan.height, window.y, window.height, width * channels);
  for (let y = 0, o = 0; y < window.height; y++) {
    const [top, bottom, lower] = [down.first[y], down.second[y], down.weight[y]];
    const upper = 1 - lower;
    for (let x = 0; x < window.width; x++) {
      const [left, right, later] = [across.first[x], across.second[x], across.weight[x]];
      const earlier = 1 - later;
      for (let c = 0; c < channels; c++, o++) {
        out[o] =
          upper * (earlier * source[top + left + c] + later * source[top + right + c]) +
          lower * (earlier * source[bottom + left + c] + later * source[bottom + right + c]);
      }
    }
  }
  return out;
}

/** Offsets of the two samples on either side of each output position, and the weight of the second. */
function linearTaps(from: number, to: number, start: number, count: number, stride: number) {
  const first = new Int32Array(count);
  const second = new Int32Array(count);
  const weight = new Float64Array(count);
  const scale = Math.fround(from / to);
  for (let i = 0; i < count; i++) {
    const position = Math.max(0, Math.fround(scale * (start + i + 0.5) - 0.5));
    const index = Math.min(Math.floor(position), from - 1);
    first[i] = index * stride;
    second[i] = Math.min(index + 1, from - 1) * stride;
    weight[i] = Math.min(Math.max(Math.fround(position - index), 0), 1);
  }
  return { first, second, weight };
}

/** Pillow's filters: reach in source pixels at scale 1, and weight at a distance. */
const filters = {
  bilinear: { reach: 1, weight: triangle },
  bicubic: { reach: 2, weight: cubic },
} as const;

function triangle(distance: number): number {
  const x = Math.abs(distance);
  return x < 1 ? 1 - x : 0;
}

/** Keys' cubic with a = −½. */
function cubic(distance: number): number {
  const a = -0.5;
  const x = Math.abs(distance);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

/** Fraction bits of Pillow's 8-bit weights: 32 − 8 for the value − 2 for overshoot. */
const bits = 22;
const half = 1 << (bits - 1);

/**
 * `PIL.Image.resize` with an antialiasing filter on 8-bit channels, bit for bit: rows first, then columns,
 * each pass in 22-bit fixed point and rounded to 8 bits; a pass whose size does not change is left out.
 * @returns [window.height, window.width, channels]
 */
export function resizePillow(
  source: Uint8Array,
  width: number,
  height: number,
  channels: number,
  plan: ResizePlan,
  filter: keyof typeof filters,
): Uint8Array {
  const { window } = plan;
  let data = source;
  let rowLength = width * channels;
  let top = window.y; // the window's place in `data`
  let left = window.x;
  const down =
    plan.height === height ? undefined : weights(height, plan.height, window.y, window.height, filter);
  const needed = down
    ? { y: down.first[0], height: lastRow(down) - down.first[0] }
    : { y: window.y, height: window.height };
  if (plan.width !== width) {
    const across = weights(width, plan.width, window.x, window.width, filter);
    data = resizeRows(data, rowLength, needed.y, needed.height, channels, across);
    rowLength = window.width * channels;
    top -= needed.y;
    left = 0;
    if (down) for (let y = 0; y < window.height; y++) down.first[y] -= needed.y;
  }
  if (down) return resizeColumns(data, rowLength, left * channels, window.width * channels, down);
  return cut(data, rowLength, top, window.height, left * channels, window.width * channels);
}

/** For each output position: the first source position, and `taps` fixed-point weights (zeros at the end). */
interface Weights {
  readonly taps: number;
  readonly count: Int32Array;
  readonly first: Int32Array;
  readonly values: Int32Array;
}

function weights(
  from: number,
  to: number,
  start: number,
  length: number,
  filter: keyof typeof filters,
): Weights {
  const { reach, weight } = filters[filter];
  const scale = from / to;
  const stretch = Math.max(scale, 1);
  const support = reach * stretch;
  const taps = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(length);
  const count = new Int32Array(length);
  const values = new Int32Array(length * taps);
  const exact = new Float64Array(taps);
  for (let i = 0; i < length; i++) {
    const center = (start + i + 0.5) * scale;
    const begin = Math.max(0, Math.trunc(center - support + 0.5));
    const end = Math.min(from, Math.trunc(center + support + 0.5));
    let sum = 0;
    for (let k = 0; k < end - begin; k++) {
      exact[k] = weight((k + begin - center + 0.5) * (1 / stretch));
      sum += exact[k];
    }
    for (let k = 0; k < end - begin; k++) {
      const value = sum === 0 ? exact[k] : exact[k] / sum;
      values[i * taps + k] = Math.trunc(value * (1 << bits) + (value < 0 ? -0.5 : 0.5));
    }
    first[i] = begin;
    count[i] = end - begin;
  }
  return { taps, count, first, values };
}

function lastRow({ first, count }: Weights): number {
  return first[first.length - 1] + count[count.length - 1];
}

/** Rounds a fixed-point sum to 0…255. */
function clip(sum: number): number {
  const value = sum >> bits;
  return value < 0 ? 0 : value > 255 ? 255 : value;
}

function resizeRows(
  source: Uint8Array,
  rowLength: number,
  top: number,
  rows: number,
  channels: number,
  { taps, count, first, values }: Weights,
): Uint8Array {
  const width = first.length;
  const out = new Uint8Array(rows * width * channels);
  for (let y = 0, o = 0; y < rows; y++) {
    const row = (top + y) * rowLength;
    for (let x = 0; x < width; x++) {
      const weightsEnd = x * taps + count[x];
      let p = row + first[x] * channels;
      if (channels === 3) {
        let [red, green, blue] = [half, half, half];
        for (let k = x * taps; k < weightsEnd; k++, p += 3) {
          const weight = values[k];
          red += Math.imul(source[p], weight);
          green += Math.imul(source[p + 1], weight);
          blue += Math.imul(source[p + 2], weight);
        }
        out[o] = clip(red);
        out[o + 1] = clip(green);
        out[o + 2] = clip(blue);
        o += 3;
      } else {
        for (let c = 0; c < channels; c++, o++) {
          let sum = half;
          for (let k = x * taps, q = p + c; k < weightsEnd; k++, q += channels)
            sum += Math.imul(source[q], values[k]);
          out[o] = clip(sum);
        }
      }
    }
  }
  return out;
}

/** Four taps at a time: one pass over a row for each four, not one for each tap. */
function resizeColumns(
  source: Uint8Array,
  rowLength: number,
  left: number,
  length: number,
  { taps, count, first, values }: Weights,
): Uint8Array {
  const out = new Uint8Array(first.length * length);
  const sums = new Int32Array(length);
  for (let y = 0, o = 0; y < first.length; y++, o += length) {
    for (let k = 0; k < count[y]; k += 4) {
      const left4 = Math.min(4, count[y] - k);
      const row = (first[y] + k) * rowLength + left;
      const at = y * taps + k;
      // Taps that are missing from the last four read the first row again, with weight 0.
      const second = left4 > 1 ? rowLength : 0;
      const third = left4 > 2 ? 2 * rowLength : 0;
      const fourth = left4 > 3 ? 3 * rowLength : 0;
      const weight0 = values[at];
      const weight1 = left4 > 1 ? values[at + 1] : 0;
      const weight2 = left4 > 2 ? values[at + 2] : 0;
      const weight3 = left4 > 3 ? values[at + 3] : 0;
      const begins = k === 0;
      const ends = k + 4 >= count[y];
      for (let i = 0, p = row; i < length; i++, p++) {
        const sum =
          (begins ? half : sums[i]) +
          Math.imul(source[p], weight0) +
          Math.imul(source[p + second], weight1) +
          Math.imul(source[p + third], weight2) +
          Math.imul(source[p + fourth], weight3);
        if (ends) out[o + i] = clip(sum);
        else sums[i] = sum;
      }
    }
  }
  return out;
}

function cut(
  source: Uint8Array,
  rowLength: number,
  top: number,
  rows: number,
  left: number,
  length: number,
): Uint8Array {
  const out = new Uint8Array(rows * length);
  for (let y = 0; y < rows; y++) {
    const at = (top + y) * rowLength + left;
    out.set(source.subarray(at, at + length), y * length);
  }
  return out;
}
