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
}

/** What a trunk gives for pictures, in memory that threads share. */
export interface KeptValues {
  readonly dims: readonly number[];
  /** Every view of every picture. */
  readonly views: readonly Float32Array[];
  /** Pictures as they are, of some: those that students are chosen by. */
  readonly originals: Float32Array;
  readonly originalsOf: readonly number[];
}

/** Inputs that were computed before. */
export class Kept implements NetworkInputs {
  readonly dims: readonly number[];
  readonly #values: KeptValues;
  readonly #rows: ReadonlyMap<number, number>;

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
      out.set(from.subarray(row * length, (row + 1) * length), n * length);
    }
    return out;
  }
}
