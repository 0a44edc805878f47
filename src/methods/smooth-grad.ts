import { addTimes } from './common/arrays.js';
import { inputMethod } from './common/method.js';
import { noisyPictures } from './common/noise.js';
import { samples, seed, sigma } from './common/sampling-options.js';

/**
 * SmoothGrad, Smilkov et al., arXiv 1706.03825, Sec. 3: the mean of ∂S/∂x over n pictures x + σ (max x − min x) ε; the map is the
 * magnitude summed over the channels (the paper leaves the reduction open).
 */
export const smoothGrad = inputMethod({
  name: 'smooth-grad',
  kind: 'input',
  source: 'arXiv 1706.03825',
  formula: 'mean of ∂S/∂x over noisy pictures',
  needs: ['input gradients'],
  hasTarget: true,
  options: { samples, sigma, seed },
  channels: 'sum of magnitudes',
  scaled: 'min-max',
  attribute: async (evidence, noise) => {
    const sum = new Float64Array(evidence.input.length);
    evidence.expect(noise.samples);
    for (const noisy of noisyPictures(evidence, noise))
      addTimes(sum, 1 / noise.samples, await evidence.inputGradients(noisy));
    return { values: new Float32Array(sum) };
  },
});
