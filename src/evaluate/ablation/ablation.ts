import { names } from '../../options.js';
import { defineEvaluation, type Gathered } from '../definition.js';
import { faithfulness, type FaithfulnessPlan, summarizeFaithfulness } from '../faithfulness/faithfulness.js';
import type { FaithfulnessRecord } from '../faithfulness/masked-picture.js';
import { ablationVariants, variantNames } from '../variants.js';

const options = {
  ...faithfulness.options,
  /** What is compared: forms of Grad-CAM++, or methods. */
  variant: names({
    help: `of ${variantNames.join(', ')}, or methods`,
    flag: '--variant <name>',
    default: variantNames as readonly string[],
  }),
  /** Every variant is computed at each of these. */
  layers: names({
    help: 'a layer; each is compared',
    flag: '--layer <name>',
    default: [] as readonly string[],
    otherwise: 'auto',
  }),
};

/** What do the forms of Grad-CAM++, and its layer, change? */
export const ablation = defineEvaluation<typeof options, Gathered, FaithfulnessPlan, FaithfulnessRecord>({
  ...faithfulness,
  name: 'ablation',
  description: 'The same of the forms of Grad-CAM++ and of several layers, side by side.',
  asks: `the same of forms of Grad-CAM++ (${variantNames.map((name) => `\`${name}\``).join(', ')}) or methods, at one or several layers`,
  metrics: [], // those of faithfulness
  example: '--data photos/ --variant exp,softmax --layer fire9/concat,fire8/concat',
  options,
  variants: ({ variant, layers }) => ablationVariants(variant, layers),
  summarize: ([round]) => summarizeFaithfulness(round, 'Ablation'),
});
