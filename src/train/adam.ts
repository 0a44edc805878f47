export interface AdamOptions {
  /** Decay of the running mean of the gradient; default 0.9. */
  readonly beta1?: number;
  /** Decay of the running mean of the squared gradient; default 0.999. */
  readonly beta2?: number;
  /** Added to the root of the second mean; default 1e-8. */
  readonly epsilon?: number;
}

interface Moments {
  readonly mean: Float32Array;
  readonly square: Float32Array;
}

/** Adam (Kingma and Ba, arXiv 1412.6980, algorithm 1, with bias correction). */
export class Adam {
  readonly #beta1: number;
  readonly #beta2: number;
  readonly #epsilon: number;
  readonly #moments = new Map<string, Moments>();
  #steps = 0;

  constructor({ beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 }: AdamOptions = {}) {
    this.#beta1 = beta1;
    this.#beta2 = beta2;
    this.#epsilon = epsilon;
  }

  /** Moves the weights, in place, against their gradients. */
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
      const { mean, square } = this.#momentsOf(name, weight.length);
      for (let i = 0; i < weight.length; i++) {
        mean[i] = beta1 * mean[i] + (1 - beta1) * gradient[i];
        square[i] = beta2 * square[i] + (1 - beta2) * gradient[i] * gradient[i];
        const root = Math.sqrt(square[i] / correction2) + epsilon;
        weight[i] -= (learningRate * mean[i]) / correction1 / root;
      }
    }
  }

  #momentsOf(name: string, length: number): Moments {
    let moments = this.#moments.get(name);
    if (!moments) {
      moments = { mean: new Float32Array(length), square: new Float32Array(length) };
      this.#moments.set(name, moments);
    }
    return moments;
  }
}
