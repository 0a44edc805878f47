import { ratio } from '../common/method.js';
import { ofChannels, type Peer, peerMethod, relu, sumsOf, together, weighted } from './peer.js';

/**
 * The code of the authors of Grad-CAM++ (github.com/adityac94/Grad_CAM_plus_plus, 4a9faf6, misc/utils.py), for pictures.
 *
 * `grad-cam++`: α = g² / (2g² + g³ ΣA), a denominator of 0 replaced by 1, is divided in each channel by its sum over the positions
 * with positive gradient, which the paper does not do; relu; divided by the maximum; enlarged as scikit-image's resize did then (order 1,
 * half-pixel centres, zeros beyond the edges, so that maps fade there; clipped to the map's range).
 *
 * Where we differ: a map that is zero everywhere stays so, where the code divides by its maximum and gives NaN; the factor e^S, which
 * cancels, is left out.
 */
export const authors: Peer = {
  modifiers: [],
  axes: [2],
  methods: {
    'grad-cam++': peerMethod(async ({ layer, gradients, size }) => {
      const maps = sumsOf(layer, weighted(layer, ofChannels(layer, await gradients(), normalizedWeight))).map(
        relu,
      );
      const scaled = maps.map((map) => {
        const most = map.reduce((a, b) => Math.max(a, b), 0);
        return map.map((value) => ratio(value, most));
      });
      return {
        raw: together(maps),
        maps: together(scaled.map((map) => fading(map, layer.dims, size))),
      };
    }),
  },
};

function normalizedWeight(A: Float32Array, gradients: Float32Array): number {
  const sum = A.reduce((total, value) => total + value, 0);
  let [weight, alphas] = [0, 0];
  for (const g of gradients) {
    if (g <= 0) continue;
    const alpha = (g * g) / (2 * g * g + g * g * g * sum || 1);
    weight += alpha * g;
    alphas += alpha;
  }
  return weight / (alphas || 1);
}

/** Linear, with zeros around the map. */
function fading(map: Float64Array, [h, w]: readonly number[], [H, W]: readonly number[]): Float64Array {
  const at = (y: number, x: number) => (y < 0 || x < 0 || y >= h || x >= w ? 0 : map[y * w + x]);
  const [least, most] = map.reduce(([a, b], value) => [Math.min(a, value), Math.max(b, value)], [1, 0]);
  return Float64Array.from({ length: H * W }, (_, i) => {
    const y = ((Math.floor(i / W) + 0.5) * h) / H - 0.5;
    const x = (((i % W) + 0.5) * w) / W - 0.5;
    const [top, left] = [Math.floor(y), Math.floor(x)];
    const row = (line: number) => at(line, left) + (x - left) * (at(line, left + 1) - at(line, left));
    const value = row(top) + (y - top) * (row(top + 1) - row(top));
    return Math.min(most, Math.max(least, value));
  });
}
