import { sizeOf } from '../tensor.js';
import { layerMethod, ratio } from './common/method.js';
import { noisyPictures } from './common/noise.js';
import { samples, seed, sigma } from './common/sampling-options.js';

/**
 * Smooth Grad-CAM++, Omeiza et al., arXiv 1908.01224: Grad-CAM++ with the derivatives averaged over noisy pictures.
 * D₁, D₂, D₃ = means of g, g², g³ over n pictures x + σ (max x − min x) ε; α = D₂ / (2 D₂ + D₃ Σ_ab A_ab), w_k = Σ_ij α relu(D₁), map
 * relu(Σ_k w_k A_k), A of the picture without noise.
 *
 * Where we differ: the paper adds noise of a fixed deviation; here it is relative to the picture's range, as in SmoothGrad. As in
 * Grad-CAM++, e^S is left out and α is 0 where its denominator is.
 */
export const smoothGradCamPlusPlus = layerMethod({
  name: 'smooth-grad-cam++',
  kind: 'layer',
  isSum: true,
  source: 'arXiv 1908.01224',
  formula: 'w_k = Σ α relu(D₁), α = D₂ / (2 D₂ + D₃ ΣA), D = means over noisy pictures',
  needs: ['activations', 'gradients'],
  hasTarget: true,
  options: { samples, sigma, seed },
  map: async (evidence, noise) => {
    const { layer } = evidence;
    const size = layer.activations.length;
    const [first, second, third] = [new Float64Array(size), new Float64Array(size), new Float64Array(size)];
    evidence.expect(noise.samples);
    for (const noisy of noisyPictures(evidence, noise)) {
      const gradients = await evidence.gradients(noisy);
      for (let i = 0; i < size; i++) {
        const g = gradients[i];
        first[i] += g / noise.samples;
        second[i] += g ** 2 / noise.samples;
        third[i] += g ** 3 / noise.samples;
      }
    }
    const positions = sizeOf(layer.dims);
    return {
      by: 'channel',
      weights: smoothWeights({ activations: layer.activations, first, second, third, positions }),
    };
  },
});

/** A and the mean derivatives, [N, K, …layer] each with so many positions a channel. */
export interface Derivatives {
  readonly activations: Float32Array;
  readonly first: Float64Array;
  readonly second: Float64Array;
  readonly third: Float64Array;
  readonly positions: number;
}

/** w, [N, K]. */
export function smoothWeights({ activations, first, second, third, positions }: Derivatives): Float32Array {
  return Float32Array.from({ length: activations.length / positions }, (_, plane) => {
    const at = plane * positions;
    const total = activations.subarray(at, at + positions).reduce((sum, value) => sum + value, 0);
    let weight = 0;
    for (let i = at; i < at + positions; i++)
      if (first[i] > 0) weight += ratio(second[i], 2 * second[i] + third[i] * total) * first[i];
    return weight;
  });
}
