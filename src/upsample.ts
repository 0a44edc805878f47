import { sizeOf } from './tensor.js';

/** Where one output coordinate lies between two input coordinates: a + t (b − a). */
interface Taps {
  readonly low: Int32Array;
  readonly high: Int32Array;
  readonly t: Float64Array;
}

/**
 * Linear interpolation of every axis (bilinear, trilinear), half-pixel centres, no corner alignment, edges clamped:
 * `torch.nn.functional.interpolate(mode=…linear, align_corners=False)`, also when it makes an axis shorter (no
 * antialiasing). Written as a + t (b − a), so that a constant map stays exactly constant.
 *
 * The function that is returned owns its buffers: each call overwrites the result of the one before.
 *
 * @param tapsOf where the places of an axis that changes lie; default: half-pixel centres
 */
export function linearUpsampler(
  from: readonly number[],
  to: readonly number[],
  tapsOf: (from: number, to: number) => Taps = linearTaps,
): (map: Float64Array) => Float64Array {
  const steps = stepsOf(from, to, to, tapsOf);
  return (map) => steps.reduce((source, step) => step(source, 0), map);
}

/** A large map that is read block by block, in order: the blocks share an array, and the map is nowhere as a whole. */
export interface Blocks {
  /** Blocks, along the first axis. */
  readonly count: number;
  /** Numbers of each. */
  readonly length: number;
  at(index: number): Float64Array;
}

/**
 * The same, or a window of it of this `size`, which begins at `offsets` (default 0), read along the first axis: for maps that are
 * gone through once, such as masks. A map of one axis is one block.
 */
export function linearBlocks(
  from: readonly number[],
  to: readonly number[],
  size = to,
): (map: Float64Array, offsets?: readonly number[]) => Blocks {
  const steps = stepsOf(from, to, size);
  if (from.length === 1) {
    return (map, offsets) => {
      const block = steps.reduce((source, step) => step(source, offsets?.[0] ?? 0), map);
      return { count: 1, length: size[0], at: () => block };
    };
  }
  const first = linearTaps(from[0], to[0]);
  const length = sizeOf(size.slice(1));
  const block = new Float64Array(length);
  const others = steps.slice(0, from.length - 1);
  return (map, offsets) => {
    const rows = others.reduce((source, step, i) => step(source, offsets?.[from.length - 1 - i] ?? 0), map);
    const start = offsets?.[0] ?? 0;
    return {
      count: size[0],
      length,
      at: (index) => {
        const { low, high, t } = first;
        const [a, b] = [low[start + index] * length, high[start + index] * length];
        blend(rows, a, b, t[start + index], block, 0, length);
        return block;
      },
    };
  };
}

/** One step an axis, the last axis first: it is the only one that gathers, and there is least to gather from. */
function stepsOf(
  from: readonly number[],
  to: readonly number[],
  size: readonly number[],
  tapsOf = linearTaps,
): ((source: Float64Array, offset: number) => Float64Array)[] {
  const steps: ((source: Float64Array, offset: number) => Float64Array)[] = [];
  let inner = 1;
  for (let axis = from.length - 1; axis >= 0; axis--) {
    const outer = sizeOf(from.slice(0, axis));
    const [own, input, length] = [inner, from[axis], size[axis]];
    if (input === to[axis] && length === input) steps.push((source) => source);
    else {
      const taps = tapsOf(input, to[axis]);
      const output = new Float64Array(outer * length * inner);
      const stretch = own === 1 ? stretchRows : blendRows;
      steps.push((source, offset) => {
        stretch(source, output, { outer, inner: own, input, offset, length }, taps);
        return output;
      });
    }
    inner *= length;
  }
  return steps;
}

/** Above this many values a result is not kept for the next map. */
const mostRemembered = 1 << 18;

/** `linearUpsampler` that keeps the last one it made: the maps of a run mostly have the same dims. */
export function rememberedUpsampler(): typeof linearUpsampler {
  let last: { key: string; upsample: ReturnType<typeof linearUpsampler> } | undefined;
  return (from, to) => {
    const key = `${from} ${to}`;
    if (last?.key === key) return last.upsample;
    const upsample = linearUpsampler(from, to);
    last = sizeOf(to) <= mostRemembered ? { key, upsample } : undefined;
    return upsample;
  };
}

/** Half-pixel centres: input coordinate (i + ½) · from / to − ½, clamped to the edges. */
export function linearTaps(from: number, to: number): Taps {
  const low = new Int32Array(to);
  const high = new Int32Array(to);
  const t = new Float64Array(to);
  for (let i = 0; i < to; i++) {
    const x = Math.max(0, ((i + 0.5) * from) / to - 0.5);
    low[i] = Math.min(Math.floor(x), from - 1);
    high[i] = Math.min(low[i] + 1, from - 1);
    t[i] = x - low[i];
  }
  return { low, high, t };
}

/** Aligned corners: input coordinate i · (from − 1) / (to − 1). */
export function alignedTaps(from: number, to: number): Taps {
  const places = Float64Array.from({ length: to }, (_, i) => (to > 1 ? (i * (from - 1)) / (to - 1) : 0));
  const low = Int32Array.from(places, Math.floor);
  return {
    low,
    high: low.map((place) => Math.min(place + 1, from - 1)),
    t: places.map((place, i) => place - low[i]),
  };
}

interface Step {
  readonly outer: number;
  readonly inner: number;
  readonly input: number;
  /** Where the taps begin that are used, and how many they are. */
  readonly offset: number;
  readonly length: number;
}

function stretchRows(
  source: Float64Array,
  output: Float64Array,
  { outer, input, offset, length }: Step,
  { low, high, t }: Taps,
): void {
  for (let row = 0; row < outer; row++) {
    const from = row * input;
    const at = row * length;
    for (let i = 0; i < length; i++) {
      const a = source[from + low[offset + i]];
      output[at + i] = a + t[offset + i] * (source[from + high[offset + i]] - a);
    }
  }
}

function blendRows(
  source: Float64Array,
  output: Float64Array,
  { outer, inner, input, offset, length }: Step,
  { low, high, t }: Taps,
): void {
  for (let row = 0; row < outer; row++)
    for (let i = 0; i < length; i++) {
      const from = (row * input + low[offset + i]) * inner;
      const next = (row * input + high[offset + i]) * inner;
      blend(source, from, next, t[offset + i], output, (row * length + i) * inner, inner);
    }
}

/** a + t (b − a) of two runs of numbers. */
function blend(
  source: Float64Array,
  a: number,
  b: number,
  t: number,
  output: Float64Array,
  at: number,
  length: number,
): void {
  for (let x = 0; x < length; x++) {
    const own = source[a + x];
    output[at + x] = own + t * (source[b + x] - own);
  }
}
