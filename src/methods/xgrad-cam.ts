import { channelMethod, ratioNodes, sumNodes, sumOfActivations } from './common/method.js';

/**
 * XGrad-CAM, Fu et al., arXiv 2008.02312, Eq. 8: w_k = Σ_ij (A_ij g_ij) / Σ_ij A_ij. Beyond the paper: 0 where Σ A is exactly 0.
 */
export const xGradCam = channelMethod({
  name: 'xgrad-cam',
  kind: 'channel',
  source: 'arXiv 2008.02312, Eq. 8',
  formula: 'w_k = Σ A g / Σ A, 0 where Σ A is 0',
  needs: ['activations', 'gradients'],
  hasTarget: true,
  options: {},
  weight: (plane) => {
    const { activations, at, gradients, gradientAt, gradientStep, positions } = plane;
    const total = sumOfActivations(plane);
    if (total === 0) return 0;
    if (gradientStep === 0) return gradients[gradientAt];
    let product = 0;
    for (let p = 0; p < positions; p++) product += activations[at + p] * gradients[gradientAt + p];
    return product / total;
  },
  nodes: (b, layer) => {
    const product = sumNodes(b, b.mul(layer.activations, layer.gradient), layer);
    return ratioNodes(b, product, b.reduceSum(layer.activations, layer.axes));
  },
});
