import type { Random } from '../../../random-stream.js';

/** RGB bytes of one picture, [H, W, 3]. */
export interface View {
  readonly data: Uint8Array;
  readonly height: number;
  readonly width: number;
}

/** A way to change a picture that leaves its class as it is. It draws as many numbers whatever the picture is. */
export interface Augmentation {
  /** As users type it. */
  readonly name: string;
  /** In one line. */
  readonly help: string;
  /** Writes the changed picture into `out`, all of it. */
  readonly apply: (from: View, random: Random, out: Uint8Array) => void;
}
