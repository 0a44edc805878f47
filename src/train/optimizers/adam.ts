import { type DecayOptions, decayOf, type Optimizer, type OptimizerState, Slots } from './optimizer.js';

export interface AdamOptions extends DecayOptions {
  /** Decay of the running mean of the gradient; default 0.9. */
  readonly beta1?: number;
  /** Decay of the running mean of the squared gradient; default 0.999. */
  readonly beta2?: number;
  /** Added to the root of the second mean; default 1e-8. */
  readonly epsilon?: number;
}

/**
 * Adam (Kingma and Ba, arXiv 1412.6980, algorithm 1, with bias correction). Weight decay λ is added to the gradient as λw, which
 * the running means then scale; AdamW is the other way.
 */
export class Adam implements Optimizer {
  readonly #beta1: number;
  readonly #beta2: number;
  readonly #epsilon: number;
  readonly #decay: (weight: string) => number;
  readonly #isDecoupled: boolean;
  readonly #slots = new Slots();
  #steps = 0;

  constructor(
    { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, ...decay }: AdamOptions = {},
    isDecoupled = false,
  ) {
    this.#beta1 = beta1;
    this.#beta2 = beta2;
    this.#epsilon = epsilon;
    this.#decay = decayOf(decay);
    this.#isDecoupled = isDecoupled;
  }

  update(
    weights: ReadonlyMap<string, Float32Array>,
    gradients: ReadonlyMap<string, Float32Array>,
    learningRate: number,
  ): void {
    this.#steps++;
    const [beta1, beta2, epsilon] = [this.#beta1, this.#beta2, this.#epsilon];
    const correction1 = 1 - beta1 ** this.#steps;
    const correction2 = 1 - beta2 ** this.#steps;
    for (const [name, gradient] of gradients) {
      const weight = weights.get(name) as Float32Array;
      const mean = this.#slots.of('mean', name, weight.length);
      const square = this.#slots.of('square', name, weight.length);
      const decay = this.#decay(name);
      const kept = this.#isDecoupled ? 1 - learningRate * decay : 1;
      const added = this.#isDecoupled ? 0 : decay;
      for (let i = 0; i < weight.length; i++) {
        const g = gradient[i] + added * weight[i];
        mean[i] = beta1 * mean[i] + (1 - beta1) * g;
        square[i] = beta2 * square[i] + (1 - beta2) * g * g;
        const root = Math.sqrt(square[i] / correction2) + epsilon;
        weight[i] = kept * weight[i] - (learningRate * mean[i]) / correction1 / root;
      }
    }
  }

  state(): OptimizerState {
    return { steps: this.#steps, slots: this.#slots.all };
  }

  restore({ steps, slots }: OptimizerState): void {
    this.#steps = steps;
    this.#slots.restore(slots);
  }
}
