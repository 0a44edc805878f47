import { sizeOf } from '../tensor.js';
import { isConstant } from './common/arrays.js';
import { channels, chosenChannels, limitFacts } from './common/channel-limit.js';
import { picturesOf } from './eigen-cam.js';
import type { MaskChange } from './common/evidence.js';
import { layerMethod } from './common/method.js';

/**
 * Score-CAM, Wang et al., arXiv 1910.01279, Eq. 6 to 10 and Alg. 1: M_k = A_k, enlarged linearly to the picture and min–max normalised (a constant
 * channel gives 0), w = softmax over k of S(x ⊙ M_k), map relu(Σ_k w_k A_k). One forward pass a channel, and one for all that are
 * constant.
 *
 * The score of the baseline, which the paper subtracts, is the same for all channels and cancels in the softmax.
 */
export const scoreCam = layerMethod({
  name: 'score-cam',
  kind: 'layer',
  isSum: true,
  source: 'arXiv 1910.01279, Alg. 1',
  formula: 'w = softmax_k S(x ⊙ norm A_k)',
  needs: ['activations', 'passes'],
  hasTarget: true,
  options: { channels },
  map: async (evidence, { channels: most }) => {
    const { images, layer, size } = evidence;
    const positions = sizeOf(layer.dims);
    const masks: MaskChange[] = [];
    const scores = new Float64Array(images * layer.channels).fill(Number.NEGATIVE_INFINITY);
    for (const [n, picture] of picturesOf(layer, layer.activations).entries()) {
      const own = scores.subarray(n * layer.channels, (n + 1) * layer.channels);
      const constant: number[] = [];
      const cellsOf = (k: number) => picture.subarray(k * positions, (k + 1) * positions);
      const mask = (k: number, take: MaskChange['take']): MaskChange => ({
        of: n,
        mask: () => ({ cells: cellsOf(k) }),
        take,
      });
      for (const k of chosenChannels(picture, layer, most)) {
        if (isConstant(cellsOf(k))) constant.push(k);
        else
          masks.push(
            mask(k, (score) => {
              own[k] = score;
            }),
          );
      }
      if (constant.length > 0)
        masks.push(
          mask(constant[0], (score) => {
            for (const k of constant) own[k] = score;
          }),
        );
    }
    const { dims: from } = layer;
    const pixels = size.slice(-from.length);
    await evidence.maskedPass(masks, { from, to: pixels, size: pixels, isNormalized: true });
    const weights = new Float32Array(scores.length);
    for (let at = 0; at < scores.length; at += layer.channels)
      weights.set(softmax(scores.subarray(at, at + layer.channels)), at);
    return { by: 'channel', weights, facts: limitFacts(layer, most, images) };
  },
});

/** Where every score is −∞, which stands for none, zeros. */
export function softmax(scores: Float64Array): Float64Array {
  const most = scores.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  if (most === Number.NEGATIVE_INFINITY) return new Float64Array(scores.length);
  const powers = scores.map((score) => Math.exp(score - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}
