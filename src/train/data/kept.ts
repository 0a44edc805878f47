import { closeSync, openSync, readSync } from 'node:fs';
import { GradcamppError } from '../../errors.js';

/** Network inputs of pictures, made or kept. */
export interface NetworkInputs {
  /** Of one input, without N. */
  readonly dims: readonly number[];
  /**
   * Several pictures in one array, [pictures.length, …dims].
   *
   * @param views of each picture, or of all
   */
  batch(pictures: readonly number[], views: readonly number[] | number | 'original'): Float32Array;
  /** Can be called again. */
  close(): void;
}

/** What a trunk gives for pictures, in files of float32. */
export interface KeptValues {
  readonly dims: readonly number[];
  /** The file of each view, every picture in it. */
  readonly views: readonly string[];
  /** The file of pictures as they are, of some: those that students are chosen by. */
  readonly originals: string;
  readonly originalsOf: readonly number[];
}

/**
 * Inputs that were computed before. They are read out of their files when they are asked for: the system keeps these in memory
 * once, for all processes and threads that train beside each other, and as long as there is room.
 */
export class Kept implements NetworkInputs {
  readonly dims: readonly number[];
  readonly #values: KeptValues;
  readonly #rows: ReadonlyMap<number, number>;
  readonly #open = new Map<string, number>();

  constructor(values: KeptValues) {
    this.dims = values.dims;
    this.#values = values;
    this.#rows = new Map(values.originalsOf.map((picture, row) => [picture, row]));
  }

  batch(pictures: readonly number[], views: readonly number[] | number | 'original'): Float32Array {
    const length = this.dims.reduce((product, dim) => product * dim, 1);
    const out = new Float32Array(pictures.length * length);
    for (const [n, picture] of pictures.entries()) {
      const [from, row] =
        views === 'original'
          ? [this.#values.originals, this.#rows.get(picture) as number]
          : [this.#values.views[typeof views === 'object' ? views[n] : views], picture];
      this.#read(from, row * length * 4, new Uint8Array(out.buffer, n * length * 4, length * 4));
    }
    return out;
  }

  close(): void {
    for (const file of this.#open.values()) closeSync(file);
    this.#open.clear();
  }

  #read(path: string, position: number, out: Uint8Array): void {
    const file = this.#open.get(path) ?? openSync(path, 'r');
    this.#open.set(path, file);
    for (let filled = 0; filled < out.length; ) {
      const bytes = readSync(file, out, filled, out.length - filled, position + filled);
      if (bytes === 0)
        throw new GradcamppError(
          'RUNTIME',
          `"${path}" was changed while it was read: remove it, and start again with --resume.`,
        );
      filled += bytes;
    }
  }
}
