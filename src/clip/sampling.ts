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
 * as far apart as the part allows where no `interval` is asked for. Of clips that would be the same there is one.
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
  const middleOf = (n: number) => ((n + 0.5) * total) / clips;
  const places = Array.from({ length: clips }, (_, n) =>
    Math.max(0, Math.min(Math.round(middleOf(n) - span / 2), total - span)),
  );
  const starts = [...new Set(places)]; // more clips than there are places would be the same ones again
  const runs = starts.map((start) => ({ start, interval: step, count }));
  return { count, interval: step, startOf: (n) => starts[n], isMany: clips > 1, frames: { runs } };
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
