import { inputMethod } from './common/method.js';

/**
 * Guided backpropagation, Springenberg et al., arXiv 1412.6806: the gradient of the target by the input, where the backward
 * pass of every ReLU lets through positive upstream gradients at positive inputs only. The map is the magnitude summed over
 * the channels, by its maximum.
 */
export const guidedBackprop = inputMethod({
  name: 'guided-backprop',
  kind: 'input',
  source: 'arXiv 1412.6806, Fig. 1',
  formula: '∂S/∂x with relu(g) at every ReLU',
  needs: ['guided gradients'],
  hasTarget: true,
  options: {},
  channels: 'sum of magnitudes',
  scaled: 'maximum',
  nodes: (_, { gradient }) => gradient,
  attribute: async (evidence) => ({ values: await evidence.guidedGradients() }),
});
