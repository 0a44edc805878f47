import { positionMethod } from './common/method.js';

/**
 * HiResCAM, Draelos and Carin, arXiv 2011.08891, Eq. 4: relu(Σ_k g_k ⊙ A_k). The paper has no ReLU; it is applied here as in
 * every map, so that what speaks against the target does not become a maximum of its own.
 */
export const hiResCam = positionMethod({
  name: 'hires-cam',
  kind: 'position',
  source: 'arXiv 2011.08891, Eq. 4',
  formula: 'w_k = g_k at every position',
  needs: ['activations', 'gradients'],
  hasTarget: true,
  options: {},
  weight: (gradient) => gradient,
  nodes: (_, { gradient }) => gradient,
});
