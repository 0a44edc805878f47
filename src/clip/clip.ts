import type { ImageSource } from '../image/decode.js';
import type { ClipLayout, FrameSampling } from '../image/frame-sampling.js';
import type { Pixels, Rectangle } from '../image/pixels.js';
import type { Preprocessing } from '../image/preprocess.js';

/** How a clip becomes the network's input. */
export interface ClipPreprocessing {
  readonly layout: ClipLayout;
  /** Of each frame; its `layout` says only whether channels come first. */
  readonly frame: Preprocessing;
  readonly sampling: FrameSampling & { readonly count: number };
}

/** A frame whose bytes are read when it is wanted. */
export interface LateFrame {
  readonly name: string;
  readonly bytes: () => Promise<Uint8Array>;
}

/** Frames that are files, bytes or pixels of their own. */
export interface FrameList<Frame = ImageSource> {
  readonly frames: readonly Frame[];
  /** Frames a second. */
  readonly rate?: number;
}

/** What a clip is read from: the path or the bytes of a video or an animation, the path of a folder of frames, or frames. */
export type ClipInput = string | Uint8Array | FrameList<ImageSource | LateFrame>;

/** What is opened of a clip: its frames come one after the other, and none is kept. */
export interface FrameStream {
  readonly width: number;
  readonly height: number;
  /** Frames a second; undefined where nothing tells. */
  readonly rate?: number;
  /** How many frames there should be. Files can be wrong about it: what comes is what counts. */
  readonly count: number;
  /** The file that holds the sound, where there may be some. */
  readonly sound?: string;
  /**
   * Every frame in its turn: its pixels where they are wanted, else undefined. Ending the loop early frees what it holds.
   *
   * @param isWanted asked once for each frame, in order
   * @throws Unreadable
   */
  readonly read: (
    isWanted: (index: number) => boolean,
    reading?: Reading,
  ) => AsyncIterable<Pixels | undefined>;
}

/** What is known before of how frames are used, and may save work. */
export interface Reading {
  /** Which frames are wanted. */
  readonly pattern?: FramePattern;
  /** Frames are looked at in this part only, of whole pixels, and no longer than until the next one comes. */
  readonly part?: Rectangle;
}

/** Frames of a video, numbered from 0: those of some runs, which begin anew every `period` frames where there is one. */
export interface FramePattern {
  readonly runs: readonly { readonly start: number; readonly interval: number; readonly count: number }[];
  readonly period?: number;
}

/** A kind of file that holds clips: one file of sources/, and one line of its index.ts. */
export interface ClipSource {
  /** In lower case, with the dot: files that a folder is searched for. Pictures' extensions are no clips' in folders of pictures. */
  readonly extensions: readonly string[];
  /** @param head the first bytes of the file as Latin-1 */
  readonly recognizes: (head: string) => boolean;
  /**
   * @param options `rate`: frames a second that are asked for; `name`: what the file is called in messages; `maxPixels`: a frame of
   *   more is refused
   * @throws Unreadable
   */
  readonly open: (
    file: string | Uint8Array,
    options: { readonly rate?: number; readonly name?: string; readonly maxPixels?: number },
  ) => Promise<FrameStream>;
}

/** Which of an input's frames one clip holds. */
export interface ClipFrames {
  /** The clip's number in its video, from 0; absent where there is only one. */
  readonly number?: number;
  /** The first of its frames in the video, at the rate it was read at, from 0. */
  readonly start: number;
  /** From one frame to the next. */
  readonly interval: number;
  /** How many there are: fewer than the network takes where the video ended, whose last frame then fills the input. */
  readonly count: number;
  /** How many frames of the video these stand for, from `start` on: each for those up to the next one, as far as the video goes. */
  readonly span: number;
  /** Frames a second that the video was read at; undefined where nothing tells. */
  readonly rate?: number;
  /** How many crops of its frames the scores and the map are the mean of; absent where it is one. */
  readonly crops?: number;
}
