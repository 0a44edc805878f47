/** Where channels (C), frames (T), rows and columns lie in the input of a network that takes clips. */
export const clipLayouts = ['NCTHW', 'NTCHW', 'NTHWC'] as const;
export type ClipLayout = (typeof clipLayouts)[number];

/** Which frames of a video make a clip, and how many clips there are of it; docs/clips.md. */
export interface FrameSampling {
  /** Frames in a clip. Default: T of the network's input, or 16 where it is not fixed. */
  readonly count?: number;
  /** From one frame of a clip to its next, in frames. Default: 1 with `stride`, else as many as spread the clips over the video. */
  readonly interval?: number;
  /** Frames a second that a video is read at; default: its own. */
  readonly rate?: number;
  /** Clips of a video, spread evenly over it. Default 1. */
  readonly clips?: number;
  /** A window that slides over the whole video: from the first frame of a clip to that of the next, in frames. */
  readonly stride?: number;
  /**
   * 3: the first, the middle and the last part of each frame along its longer edge, instead of the middle alone; scores are the mean
   * of theirs, and their maps are put back into the frame as one. Default 1.
   */
  readonly crops?: number;
}

/** Every key of a `FrameSampling`, and the largest value of each; all but `rate` are whole numbers from 1, `crops` is 1 or 3. */
export const samplingLimits: Readonly<Record<keyof FrameSampling, number>> = {
  count: 4096,
  interval: 1_000_000,
  rate: 1000,
  clips: 100_000,
  stride: 1_000_000,
  crops: 3,
};
