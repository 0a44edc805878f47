import { regions } from '../image/regions.js';
import { sizeOf } from '../tensor.js';
import type { ExplanationMap, FrameFacts } from './explanation.js';

/** What is said of a map beside its values: where it is high, and of a map [T, H, W] what each frame has of it. */
export function factsOfMap(
  { data, dims, empty }: Pick<ExplanationMap, 'data' | 'dims' | 'empty'>,
  threshold: number,
): Pick<ExplanationMap, 'bounds' | 'frames'> {
  return {
    bounds: dims.length === 2 && !empty ? regions(data, dims, { threshold }) : [],
    ...(dims.length === 3 ? { frames: framesOf(data, dims, threshold) } : {}),
  };
}

function framesOf(data: Float32Array, [count, ...dims]: readonly number[], threshold: number): FrameFacts[] {
  const size = sizeOf(dims);
  const frames = Array.from({ length: count }, (_, t) => data.slice(t * size, (t + 1) * size));
  const sums = frames.map(sumOf);
  const peaks = frames.map(peakOf);
  const [total, peak] = [sums.reduce((sum, own) => sum + own, 0), Math.max(...peaks)];
  return frames.map((frame, t) => {
    const share = (threshold * peak) / peaks[t]; // of the frame's own maximum
    return {
      energy: total > 0 ? sums[t] / total : 0,
      bounds: share <= 1 ? regions(frame, dims, { threshold: share }) : [],
    };
  });
}

function sumOf(values: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i];
  return sum;
}

function peakOf(values: Float32Array): number {
  let peak = 0;
  for (let i = 0; i < values.length; i++) if (values[i] > peak) peak = values[i];
  return peak;
}
