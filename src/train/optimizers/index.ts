import { Adam } from './adam.js';
import { AdamW } from './adamw.js';
import type { DecayOptions, Optimizer } from './optimizer.js';
import { Sgd, type SgdOptions } from './sgd.js';

/** Every optimizer, by the name that users type; each takes of the options what it knows. */
export const optimizers = {
  sgd: (options: SgdOptions) => new Sgd(options),
  adam: ({ weightDecay, decayed }: DecayOptions) => new Adam({ weightDecay, decayed }),
  adamw: ({ weightDecay, decayed }: DecayOptions) => new AdamW({ weightDecay, decayed }),
} as const satisfies Record<string, (options: SgdOptions) => Optimizer>;

export type OptimizerName = keyof typeof optimizers;
export const optimizerNames = Object.keys(optimizers) as OptimizerName[];
