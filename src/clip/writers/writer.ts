import type { Pixels } from '../../image/pixels.js';

/** What frames are written with. */
export interface Timing {
  /** Frames a second. */
  readonly rate: number;
  /** The part of a video whose sound belongs to the frames, in seconds. */
  readonly sound?: { readonly file: string; readonly start: number; readonly duration: number };
}

/** A kind of file that moving pictures are written as: one file of this folder, and one line of its index.ts. */
export interface ClipWriter {
  readonly format: string;
  /** With the dot. */
  readonly ending: string;
  /** Whether it is ffmpeg that writes it. */
  readonly needsFfmpeg: boolean;
  /** @throws GradcamppError OUTPUT */
  readonly write: (frames: readonly Pixels[], timing: Timing) => Promise<Uint8Array>;
}
