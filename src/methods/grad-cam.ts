import { channelMethod } from './common/method.js';

/**
 * Grad-CAM, Selvaraju et al., arXiv 1610.02391, Eq. 1 and 2: w_k = mean_ij g_ij, map relu(Σ_k w_k A_k). As the paper has it.
 */
export const gradCam = channelMethod({
  name: 'grad-cam',
  kind: 'channel',
  source: 'arXiv 1610.02391, Eq. 1',
  formula: 'w_k = mean g',
  needs: ['activations', 'gradients'],
  hasTarget: true,
  options: {},
  weight: ({ gradients, gradientAt, gradientStep, positions }) => {
    if (gradientStep === 0) return gradients[gradientAt];
    let sum = 0;
    for (let p = gradientAt; p < gradientAt + positions; p++) sum += gradients[p];
    return sum / positions;
  },
  nodes: (b, { gradient, axes }) => b.reduceMean(gradient, axes),
});
