import { sizeOf } from '../tensor.js';
import { picturesOf } from './eigen-cam.js';
import { layerMethod } from './common/method.js';

/** How many standard deviations above its mean an activation is strong (the paper's K). */
const deviations = 2;

/**
 * FEM, feature-based explanation method, Fuad, Benois-Pineau et al., IPTA 2020: w_k = the share of positions where
 * A_k > mean + 2 std of the channel (std over all positions, without Bessel's correction), map relu(Σ_k w_k A_k). No target.
 *
 * Where we differ: the paper weighs the binary maps A_k > mean + 2 std themselves by the channel's mean; as in
 * pytorch-grad-cam, the share weighs A_k here.
 */
export const fem = layerMethod({
  name: 'fem',
  kind: 'layer',
  isSum: true,
  source: 'Fuad et al., FEM, IPTA 2020',
  formula: 'w_k = share of positions with A > mean + 2 std',
  needs: ['activations'],
  hasTarget: false,
  options: {},
  map: ({ layer }) => {
    const positions = sizeOf(layer.dims);
    const shares = picturesOf(layer, layer.activations).flatMap((picture) =>
      Array.from({ length: layer.channels }, (_, k) =>
        shareOfStrong(picture.subarray(k * positions, (k + 1) * positions)),
      ),
    );
    return { by: 'channel', weights: Float32Array.from(shares) };
  },
  nodes: (b, { activations, axes }) => {
    const share = b.wide(() => {
      const A = b.asFloat(activations); // in float32 a channel of equal values can exceed its own mean
      const mean = b.reduceMean(A, axes);
      const variance = b.reduceMean(b.square(b.sub(A, mean)), axes);
      const threshold = b.add(mean, b.scale(b.op('Sqrt', [variance]), deviations));
      return b.reduceMean(b.asFloat(b.op('Greater', [A, threshold])), axes);
    });
    return b.asFloat(share);
  },
});

/** The share of values above mean + 2 std. */
export function shareOfStrong(values: Float32Array): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  const threshold = mean + deviations * Math.sqrt(variance);
  return values.reduce((count, value) => count + (value > threshold ? 1 : 0), 0) / values.length;
}
