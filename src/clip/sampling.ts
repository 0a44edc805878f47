import type { FrameSampling } from '../image/frame-sampling.js';
import type { FramePattern } from './clip.js';

/** Where the clips of a video begin, and how far apart their frames are. */
export interface SamplingPlan {
  readonly count: number;
  readonly interval: number;
  /** The first frame of clip `n`; undefined where there is none. */
  readonly startOf: (n: number) => number | undefined;
  /** Whether a clip may be followed by another, whose number its name then says. */
  readonly isMany: boolean;
  /** The frames that the clips hold, all together. */
  readonly frames: FramePattern;
}

/**
 * With `stride` a window over the whole video; else `clips` clips, each in the middle of its equal part of the video, with frames
 * as far apart as the part allows where no `interval` is asked for.
 *
 * @param total frames of the video
 */
export function planSampling(
  { count, interval, clips = 1, stride }: FrameSampling & { readonly count: number },
  total: number,
): SamplingPlan {
  if (stride !== undefined) return windows({ count, interval: interval ?? 1, stride });
  const step = interval ?? Math.max(1, Math.floor(total / (count * clips)));
  const span = (count - 1) * step + 1;
  const startOf = (n: number) => {
    const middle = ((n + 0.5) * total) / clips;
    return n < clips ? Math.max(0, Math.min(Math.round(middle - span / 2), total - span)) : undefined;
  };
  const runs = Array.from({ length: clips }, (_, n) => ({
    start: startOf(n) as number,
    interval: step,
    count,
  }));
  return { count, interval: step, startOf, isMany: clips > 1, frames: { runs } };
}

function windows({
  count,
  interval,
  stride,
}: {
  count: number;
  interval: number;
  stride: number;
}): SamplingPlan {
  const frames = { runs: [{ start: 0, interval, count }], period: stride };
  return { count, interval, startOf: (n) => n * stride, isMany: true, frames };
}
