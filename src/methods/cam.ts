import { channelMethod, sumNodes } from './common/method.js';

/**
 * CAM, Zhou et al., arXiv 1512.04150, Eq. 2: w_k = W[c, k], the classifier's weight. Only where global average pooling and one
 * linear layer lie between the explained layer and the scores. There g_k = W[c, k] / (h·w) at every position, which is how the
 * weight is found.
 */
export const cam = channelMethod({
  name: 'cam',
  kind: 'channel',
  source: 'arXiv 1512.04150, Eq. 2',
  formula: 'w_k = W[c, k]',
  needs: ['activations', 'gradients'],
  hasTarget: true,
  options: {},
  weight: ({ gradients, gradientAt, positions }) => gradients[gradientAt] * positions,
  nodes: (b, layer) => sumNodes(b, layer.gradient, layer),
  refuses: ({ isPooled, isLinear }) =>
    isPooled && isLinear
      ? undefined
      : 'Method "cam" needs global average pooling and one linear layer between the explained layer and the scores; this model has more. Use grad-cam++ or another layer.',
});
