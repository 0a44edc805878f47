import { positionMethod } from './common/method.js';

/** LayerCAM, Jiang et al., IEEE TIP 2021, Eq. 5 and 6: relu(Σ_k relu(g_k) ⊙ A_k). As the paper has it. */
export const layerCam = positionMethod({
  name: 'layer-cam',
  kind: 'position',
  source: 'Jiang et al., LayerCAM, IEEE TIP 2021, Eq. 5',
  formula: 'w_k = relu(g_k) at every position',
  needs: ['activations', 'gradients'],
  hasTarget: true,
  options: {},
  weight: (gradient) => (gradient > 0 ? gradient : 0),
  nodes: (b, { gradient }) => b.op('Relu', [gradient]),
});
