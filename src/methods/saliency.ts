import { inputMethod } from './common/method.js';

/**
 * Saliency, Simonyan et al., arXiv 1312.6034, Eq. 4 and Sec. 3.1: w = ∂S/∂x; the map is the largest magnitude over the channels. As
 * the paper has it.
 */
export const saliency = inputMethod({
  name: 'saliency',
  kind: 'input',
  source: 'arXiv 1312.6034, Eq. 4',
  formula: '∂S/∂x, the largest magnitude over the channels',
  needs: ['input gradients'],
  hasTarget: true,
  options: {},
  channels: 'largest magnitude',
  scaled: 'min-max',
  nodes: (_, { gradient }) => gradient,
  attribute: async (evidence) => ({ values: await evidence.inputGradients() }),
});
