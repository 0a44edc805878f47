import { layerMethod } from './common/method.js';

/**
 * ShapleyCAM, Cai, arXiv 2501.06261: channels as players, their Shapley values by a Taylor expansion of second order of a utility T
 * about A. w_k = mean_ij (g − ½ H A), with g = ∂T/∂A and the Hessian–vector product H A = ∂²T/∂A² A; map relu(Σ_k w_k A_k).
 *
 * Where we differ: T = log softmax(S)_c (log sigmoid for independent classes), whose Hessian does not vanish behind a linear head;
 * the paper's ReST utility adds S_c to it. A target that is no class is differentiated as it is.
 */
export const shapleyCam = layerMethod({
  name: 'shapley-cam',
  kind: 'layer',
  isSum: true,
  source: 'arXiv 2501.06261',
  formula: 'w_k = mean (∂T/∂A − ½ ∂²T/∂A² A), T = log softmax(S)_c',
  needs: ['activations', 'second derivatives'],
  hasTarget: true,
  options: {},
  map: async ({ images, layer, secondDerivatives }) => {
    const { gradients, product } = await secondDerivatives();
    const positions = gradients.length / (images * layer.channels);
    const weights = new Float32Array(images * layer.channels);
    for (let plane = 0; plane < weights.length; plane++) {
      let sum = 0;
      for (let i = plane * positions; i < (plane + 1) * positions; i++) sum += gradients[i] - product[i] / 2;
      weights[plane] = sum / positions;
    }
    return { by: 'channel', weights };
  },
  nodes: (b, { axes, secondDerivatives }) => {
    const { gradient, product } = secondDerivatives!;
    return b.reduceMean(b.sub(gradient, b.scale(product, 1 / 2)), axes);
  },
});
