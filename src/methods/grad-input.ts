import { inputMethod } from './common/method.js';

/**
 * Gradient times input, Shrikumar et al., arXiv 1605.01713, Sec. 2: x ⊙ ∂S/∂x, signed; the map is the magnitude summed over the
 * channels. The input is the preprocessed picture, so what equals the mean of the preprocessing counts nothing.
 */
export const gradInput = inputMethod({
  name: 'grad-input',
  kind: 'input',
  source: 'arXiv 1605.01713',
  formula: 'x ⊙ ∂S/∂x',
  needs: ['input gradients'],
  hasTarget: true,
  options: {},
  channels: 'sum of magnitudes',
  scaled: 'min-max',
  nodes: (b, { image, gradient }) => b.mul(image, gradient),
  attribute: async ({ input, inputGradients }) => {
    const gradients = await inputGradients();
    return { values: gradients.map((gradient, i) => gradient * input[i]) };
  },
});
