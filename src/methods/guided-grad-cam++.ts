import { gradCamPlusPlus } from './grad-cam++.js';
import { inputMethod } from './common/method.js';

/**
 * Guided Grad-CAM++, arXiv 1710.11063, Sec. 3.3: guided backpropagation times the upsampled map of Grad-CAM++, which takes
 * the same options.
 */
export const guidedGradCamPlusPlus = inputMethod({
  name: 'guided-grad-cam++',
  kind: 'input',
  source: 'arXiv 1710.11063, Sec. 3.3',
  formula: 'guided backpropagation ⊙ map of grad-cam++',
  needs: ['activations', 'gradients', 'guided gradients'],
  alsoNeeds: gradCamPlusPlus.alsoNeeds,
  hasTarget: true,
  options: gradCamPlusPlus.options,
  whyEmpty: gradCamPlusPlus.whyEmpty,
  times: 'grad-cam++',
  channels: 'sum of magnitudes',
  scaled: 'maximum',
  nodes: (_, { gradient }) => gradient,
  attribute: async (evidence) => ({ values: await evidence.guidedGradients() }),
});
