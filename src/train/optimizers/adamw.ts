import { Adam, type AdamOptions } from './adam.js';

/** Adam with weight decay apart from the gradient, w −= η λ w (Loshchilov and Hutter, arXiv 1711.05101, algorithm 2). */
export class AdamW extends Adam {
  /** @param options `weightDecay` is 0.01 by default */
  constructor(options: AdamOptions = {}) {
    super({ weightDecay: 0.01, ...options }, true);
  }
}
