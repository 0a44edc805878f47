import type { Explanation } from '../explain/explanation.js';
import { release } from '../memory.js';

/**
 * The frames of a video's clips that are done with. Clips share frames where their windows overlap, or where a frame stands for
 * several at a higher rate; so a frame is freed once a clip begins behind it, as clips come in the order of their first frames.
 */
export class HeldFrames {
  /** The last place in the video that each was seen at. */
  #places = new Map<ArrayBufferView, number>();

  /** Takes over the frames of the clip that was drawn last, and frees those that no later clip can have. */
  add({ frames = [], image: { clip } }: Pick<Explanation, 'frames' | 'image'>): void {
    const { start = 0, interval = 1 } = clip ?? {};
    for (const [t, { data }] of frames.entries()) {
      const place = start + t * interval;
      this.#places.set(data, Math.max(place, this.#places.get(data) ?? 0));
    }
    this.#releaseBefore(start);
  }

  /** Frees all that are left, once there are no more clips. */
  release(): void {
    this.#releaseBefore(Infinity);
  }

  #releaseBefore(start: number): void {
    const passed = [...this.#places].flatMap(([data, place]) => (place < start ? [data] : []));
    for (const data of passed) this.#places.delete(data);
    release(passed);
  }
}
