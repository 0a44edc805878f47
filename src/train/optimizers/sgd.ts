import { type DecayOptions, decayOf, type Optimizer, type OptimizerState, Slots } from './optimizer.js';

export interface SgdOptions extends DecayOptions {
  /** μ; default 0.9. */
  readonly momentum?: number;
  /** Default true. */
  readonly nesterov?: boolean;
}

/**
 * Stochastic gradient descent with momentum (Sutskever et al., ICML 2013), in the form that PyTorch has: d = g + λw,
 * v = μv + d, w −= η (d + μv) with Nesterov's momentum and w −= η v without.
 */
export class Sgd implements Optimizer {
  readonly #momentum: number;
  readonly #nesterov: boolean;
  readonly #decay: (weight: string) => number;
  readonly #slots = new Slots();
  #steps = 0;

  constructor({ momentum = 0.9, nesterov = true, ...decay }: SgdOptions = {}) {
    this.#momentum = momentum;
    this.#nesterov = nesterov && momentum > 0;
    this.#decay = decayOf(decay);
  }

  update(
    weights: ReadonlyMap<string, Float32Array>,
    gradients: ReadonlyMap<string, Float32Array>,
    learningRate: number,
  ): void {
    this.#steps++;
    const momentum = this.#momentum;
    for (const [name, gradient] of gradients) {
      const weight = weights.get(name) as Float32Array;
      const velocity = this.#slots.of('momentum', name, weight.length);
      const decay = this.#decay(name);
      for (let i = 0; i < weight.length; i++) {
        const d = gradient[i] + decay * weight[i];
        const v = momentum * velocity[i] + d;
        velocity[i] = v;
        weight[i] -= learningRate * (this.#nesterov ? d + momentum * v : v);
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
