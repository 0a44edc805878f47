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
 * @param size of a window of the result; each call says where it begins, by default at 0. Nothing else is computed
 * @param tapsOf where the places of an axis that changes lie; default: half-pixel centres
 */
export function linearUpsampler(
  from: readonly number[],
  to: readonly number[],
  size = to,
  tapsOf: (from: number, to: number) => Taps = linearTaps,
): (map: Float64Array, offsets?: readonly number[]) => Float64Array {
  // The last axis first: it is the only one that gathers, and there is least to gather from.
  const steps: {
    axis: number;
    outer: number;
    inner: number;
    taps: Taps;
    input: number;
    output: Float64Array;
  }[] = [];
  let inner = 1;
  for (let axis = from.length - 1; axis >= 0; axis--) {
    let outer = 1;
    for (let i = 0; i < axis; i++) outer *= from[i];
    if (from[axis] !== to[axis] || size[axis] !== to[axis])
      steps.push({
        axis,
        outer,
        inner,
        taps: tapsOf(from[axis], to[axis]),
        input: from[axis],
        output: new Float64Array(outer * size[axis] * inner),
      });
    inner *= size[axis];
  }
  return (map, offsets) => {
    let source = map;
    for (const { axis, outer, inner, taps, input, output } of steps) {
      const own = offsets || size !== to ? windowOf(taps, offsets?.[axis] ?? 0, size[axis]) : taps;
      if (inner === 1) stretchRows(source, output, outer, input, own);
      else blendRows(source, output, outer, inner, input, own);
      source = output;
    }
    return source;
  };
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

function windowOf({ low, high, t }: Taps, from: number, length: number): Taps {
  const end = from + length;
  return { low: low.subarray(from, end), high: high.subarray(from, end), t: t.subarray(from, end) };
}

function stretchRows(
  source: Float64Array,
  output: Float64Array,
  rows: number,
  input: number,
  taps: Taps,
): void {
  const { low, high, t } = taps;
  const length = t.length;
  for (let row = 0; row < rows; row++) {
    const from = row * input;
    const at = row * length;
    for (let i = 0; i < length; i++) {
      const a = source[from + low[i]];
      output[at + i] = a + t[i] * (source[from + high[i]] - a);
    }
  }
}

function blendRows(
  source: Float64Array,
  output: Float64Array,
  outer: number,
  inner: number,
  input: number,
  taps: Taps,
): void {
  const { low, high, t } = taps;
  for (let block = 0; block < outer; block++) {
    for (let i = 0; i < t.length; i++) {
      const from = (block * input + low[i]) * inner;
      const next = (block * input + high[i]) * inner;
      const at = (block * t.length + i) * inner;
      const weight = t[i];
      for (let x = 0; x < inner; x++) {
        const a = source[from + x];
        output[at + x] = a + weight * (source[next + x] - a);
      }
    }
  }
}
