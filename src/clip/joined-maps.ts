import { sizeOf } from '../tensor.js';
import type { ClipFrames } from './clip.js';

/** A map of a clip, [T, H, W]. */
interface ClipMap {
  readonly data: Float32Array;
  readonly dims: readonly number[];
}

/** What several clips say of one frame. */
interface Frame {
  readonly sum: Float64Array;
  count: number;
}

/**
 * The maps of clips that follow each other in a video as one over its frames: where clips overlap the mean of theirs, NaN where none
 * is. A frame stands for those up to the next one of its clip, as far as the video goes. Frames are given once no later clip can hold them, and no others held.
 */
export class JoinedMaps {
  /** [H, W] */
  size: readonly number[] = [];
  /** The first frame that is not given yet, and those from there on. */
  #next = 0;
  #frames: (Frame | undefined)[] = [];

  /**
   * Clips come in the order of their first frames; what one is filled up with behind the video's end is left out.
   *
   * @returns the frames that are complete, in order
   */
  add({ start, interval, count, span }: ClipFrames, { data, dims }: ClipMap): Float32Array[] {
    const complete = this.#giveBefore(start);
    this.size = dims.slice(1);
    const length = sizeOf(this.size);
    for (let t = 0; t < count; t++) {
      const own = data.subarray(t * length, (t + 1) * length);
      const end = start + Math.min((t + 1) * interval, span);
      for (let place = start + t * interval; place < end; place++) {
        const frame = (this.#frames[place - this.#next] ??= { sum: new Float64Array(length), count: 0 });
        for (let i = 0; i < length; i++) frame.sum[i] += own[i];
        frame.count++;
      }
    }
    return complete;
  }

  /** The rest, once there are no more clips. */
  finish(): Float32Array[] {
    return this.#giveBefore(this.#next + this.#frames.length);
  }

  #giveBefore(place: number): Float32Array[] {
    const length = sizeOf(this.size);
    const given: Float32Array[] = [];
    for (; this.#next < place; this.#next++) {
      const frame = this.#frames.shift();
      given.push(
        frame
          ? Float32Array.from(frame.sum, (value) => value / frame.count)
          : new Float32Array(length).fill(Number.NaN),
      );
    }
    return given;
  }
}
