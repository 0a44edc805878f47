/** What an optimizer remembers from step to step. */
export interface OptimizerState {
  readonly steps: number;
  /** Running means and the like, by what and weight they are: `momentum/conv1.weight`. */
  readonly slots: ReadonlyMap<string, Float32Array>;
}

/** Moves weights against their gradients. The same calls give the same bits again. */
export interface Optimizer {
  /** Moves the weights, in place. */
  update(
    weights: ReadonlyMap<string, Float32Array>,
    gradients: ReadonlyMap<string, Float32Array>,
    learningRate: number,
  ): void;
  /** What it remembers; not copied. */
  state(): OptimizerState;
  /** Goes on from there. */
  restore(state: OptimizerState): void;
}

/** What every optimizer takes. */
export interface DecayOptions {
  /** Default 0. */
  readonly weightDecay?: number;
  /** The weights that decay; default: all. */
  readonly decayed?: Iterable<string>;
}

/** An optimizer's arrays, made when they are first asked for. */
export class Slots {
  readonly #arrays = new Map<string, Float32Array>();

  get all(): ReadonlyMap<string, Float32Array> {
    return this.#arrays;
  }

  of(kind: string, weight: string, length: number): Float32Array {
    const name = `${kind}/${weight}`;
    let array = this.#arrays.get(name);
    if (!array) {
      array = new Float32Array(length);
      this.#arrays.set(name, array);
    }
    return array;
  }

  restore(slots: ReadonlyMap<string, Float32Array>): void {
    this.#arrays.clear();
    for (const [name, array] of slots) this.#arrays.set(name, array.slice());
  }
}

/** The decay of each weight. */
export function decayOf({ weightDecay = 0, decayed }: DecayOptions): (weight: string) => number {
  if (decayed === undefined) return () => weightDecay;
  const names = new Set(decayed);
  return (weight) => (names.has(weight) ? weightDecay : 0);
}
