import { sizeOf } from '../tensor.js';
import { channels, chosenChannels, limitFacts } from './common/channel-limit.js';
import { picturesOf } from './eigen-cam.js';
import type { Change } from './common/evidence.js';
import { layerMethod } from './common/method.js';

/**
 * Ablation-CAM, Desai and Ramaswamy, WACV 2020: w_k = S − S(A with channel k set to 0), map relu(Σ_k w_k A_k). Only
 * the network behind the layer is run, once a channel that is not 0 everywhere; where it is affine (pooling and a linear layer,
 * say), so that S(A) − S(B) = ⟨g, A − B⟩, w_k = Σ_ij g_k A_k without any pass.
 *
 * Where we differ: the paper divides by S, which only scales the map where S > 0 and turns it over where S < 0: left out.
 */
export const ablationCam = layerMethod({
  name: 'ablation-cam',
  kind: 'layer',
  isSum: true,
  source: 'Desai and Ramaswamy, WACV 2020',
  formula: 'w_k = S − S(A without channel k)',
  needs: ['activations', 'head passes'],
  hasTarget: true,
  options: { channels },
  map: async (evidence, { channels: most }) => {
    const { images, layer } = evidence;
    const positions = sizeOf(layer.dims);
    const weights = new Float32Array(images * layer.channels);
    const slopes = await evidence.constantGradient();
    const changes: Change[] = [];
    for (const [n, picture] of picturesOf(layer, layer.activations).entries()) {
      let full = 0; // by the same session: its rounding cancels
      if (!slopes)
        changes.push({
          of: n,
          fill: (out) => out.set(picture),
          take: (value) => {
            full = value;
          },
        });
      for (const k of chosenChannels(picture, layer, most)) {
        const at = n * layer.channels + k;
        const [from, to] = [k * positions, (k + 1) * positions];
        if (picture.subarray(from, to).every((value) => value === 0)) continue; // without it all is as before
        if (slopes) weights[at] = product(slopes.subarray(at * positions), picture.subarray(from, to));
        else
          changes.push({
            of: n,
            fill: (out) => {
              out.set(picture);
              out.fill(0, from, to);
            },
            take: (value) => {
              weights[at] = full - value;
            },
          });
      }
    }
    await evidence.headPass(changes);
    return { by: 'channel', weights, facts: limitFacts(layer, most, images) };
  },
});

/** ⟨a, b⟩ over the length of b. */
function product(a: Float32Array, b: Float32Array): number {
  return b.reduce((sum, value, i) => sum + a[i] * value, 0);
}
