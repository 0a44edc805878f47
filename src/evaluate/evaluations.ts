import { ablation } from './ablation/ablation.js';
import type { AnyEvaluation } from './definition.js';
import { faithfulness } from './faithfulness/faithfulness.js';
import { generalization } from './generalization/generalization.js';
import { grid } from './grid/grid.js';
import { localization } from './localization/localization.js';
import { sanity } from './sanity/sanity.js';
import { tubes } from './tubes/tubes.js';

/** Every evaluation, in the order of the help. */
export const evaluations = {
  faithfulness,
  localization,
  tubes,
  grid,
  sanity,
  ablation,
  generalization,
} as const satisfies Readonly<Record<string, AnyEvaluation>>;

export type EvaluationName = keyof typeof evaluations;
