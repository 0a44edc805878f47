import { kernels } from '../../image/kernels.js';
import { toGrey } from '../../image/pixels.js';
import type { Preprocessing } from '../../image/preprocess.js';
import { random } from '../../random-stream.js';
import { augmentations, geometric } from './augmentations/index.js';
import type { NetworkInputs } from './kept.js';
import { type Pictures, pixelsOf } from './pictures.js';

export interface ViewOptions {
  readonly preprocessing: Preprocessing;
  /** Names of augmentations; they are applied in their own order. */
  readonly augment: readonly string[];
  readonly seed: number;
}

/** Makes network inputs of pictures: each view is a pure function of (picture, view, seed). */
export class Views implements NetworkInputs {
  /** Dims of one input, without N. */
  readonly dims: readonly [number, number, number];
  readonly #pictures: Pictures;
  readonly #options: ViewOptions;
  readonly #used: typeof augmentations;
  readonly #buffers: [Uint8Array, Uint8Array];

  constructor(pictures: Pictures, options: ViewOptions) {
    const [height, width] = pictures.size;
    const { channels, layout } = options.preprocessing;
    const count = channels === 'gray' ? 1 : 3;
    this.dims = layout === 'NCHW' ? [count, height, width] : [height, width, count];
    this.#pictures = pictures;
    this.#options = options;
    this.#used = augmentations.filter(({ name }) => options.augment.includes(name));
    const bytes = height * width * 3;
    this.#buffers = [new Uint8Array(bytes), new Uint8Array(bytes)];
  }

  /** Numbers in one input. */
  get length(): number {
    return this.dims[0] * this.dims[1] * this.dims[2];
  }

  /** Writes a view of a picture into `out`; 'original' is the picture as it is. */
  write(picture: number, view: number | 'original', out: Float32Array): void {
    const data = view === 'original' ? this.#original(picture) : this.#augmented(picture, view);
    const { range, mean, std, channels, layout } = this.#options.preprocessing;
    const [height, width] = this.#pictures.size;
    const order = channels === 'gray' ? [0] : channels === 'BGR' ? [2, 1, 0] : [0, 1, 2];
    const values = channels === 'gray' ? toGrey({ data, width, height, channels: 3 }) : data;
    const steps = { range, mean, std, order };
    if (layout === 'NCHW') kernels().normalizeToCHW(values, steps, out);
    else kernels().normalizeToHWC(values, steps, out);
  }

  close(): void {}

  /**
   * Several pictures in one array, [pictures.length, …dims].
   *
   * @param views of each picture, or of all
   */
  batch(pictures: readonly number[], views: readonly number[] | number | 'original'): Float32Array {
    const { length } = this;
    const out = new Float32Array(pictures.length * length);
    for (const [n, picture] of pictures.entries())
      this.write(
        picture,
        typeof views === 'object' ? views[n] : views,
        out.subarray(n * length, (n + 1) * length),
      );
    return out;
  }

  /** A copy: what is computed in native code is in memory of this thread alone. */
  #original(picture: number): Uint8Array {
    const [out] = this.#buffers;
    out.set(pixelsOf(this.#pictures, picture));
    return out;
  }

  #augmented(picture: number, view: number): Uint8Array {
    if (this.#used.length === 0) return this.#original(picture);
    const numbers = random(this.#options.seed, 'view', picture, view);
    const [height, width] = this.#pictures.size;
    let data = pixelsOf(this.#pictures, picture);
    for (const [i, { apply }] of this.#used.entries()) {
      const out = this.#buffers[i % 2];
      apply({ data, height, width }, numbers, out);
      data = out;
    }
    return data;
  }
}

/** Masks are moved and mirrored as their pictures are; [1, H, W], 0…1. */
export function maskViews(masks: Pictures, { preprocessing, augment, seed }: ViewOptions): Views {
  const plain = {
    ...preprocessing,
    layout: 'NCHW',
    channels: 'gray',
    range: 1,
    mean: [0],
    std: [1],
  } as const;
  const moving = augment.filter((name) => geometric.includes(name));
  return new Views(masks, { preprocessing: plain, augment: moving, seed });
}
