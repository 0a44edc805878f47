import type { MapMethod } from './backend.js';

/** What a method needs beside the activations, and whether it weighs whole channels or single positions. */
export interface MethodRow {
  /** `channel`: relu(Σ_k w_k A_k) with one weight a channel; `position`: relu(Σ_k w_k ⊙ A_k) with one a position. */
  readonly weighs: 'channel' | 'position';
  readonly needs: 'gradients' | 'weights';
  /** Whether `form`, `alphaNormalization` and `gradientRelu` change the answer. */
  readonly hasForms: boolean;
  readonly formula: string;
  readonly source: string;
}

/** The methods of the map stage. Sums run over the positions i, j of one channel unless they name k. */
export const methods: { readonly [M in MapMethod]: MethodRow } = {
  'grad-cam++': {
    weighs: 'channel',
    needs: 'gradients',
    hasForms: true,
    formula: 'w_k = Σ α relu(∂Y/∂A), α = Y″ / (2Y″ + Y‴ ΣA)',
    source: 'arXiv 1710.11063, Eq. 10, 11, 19',
  },
  'grad-cam': {
    weighs: 'channel',
    needs: 'gradients',
    hasForms: false,
    formula: 'w_k = mean g',
    source: 'arXiv 1610.02391, Eq. 1',
  },
  cam: {
    weighs: 'channel',
    needs: 'weights',
    hasForms: false,
    formula: 'w_k = W[c, k]',
    source: 'arXiv 1512.04150, Eq. 2',
  },
  'xgrad-cam': {
    weighs: 'channel',
    needs: 'gradients',
    hasForms: false,
    formula: 'w_k = Σ A g / Σ A, 0 where Σ A is 0',
    source: 'arXiv 2008.02312, Eq. 8',
  },
  'hires-cam': {
    weighs: 'position',
    needs: 'gradients',
    hasForms: false,
    formula: 'w_k = g_k',
    source: 'arXiv 2011.08891, Eq. 4',
  },
  'layer-cam': {
    weighs: 'position',
    needs: 'gradients',
    hasForms: false,
    formula: 'w_k = relu(g_k)',
    source: 'Jiang et al., LayerCAM, IEEE TIP 2021, Eq. 5',
  },
};
