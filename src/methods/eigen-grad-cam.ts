import type { Builder, Name } from '../graph/builder.js';
import { sizeOf } from '../tensor.js';
import { firstProjection, picturesOf } from './eigen-cam.js';
import { firstProjectionNodes } from './common/eigen-nodes.js';
import { type LayerNodes, layerMethod } from './common/method.js';

/**
 * Eigen-Grad-CAM, of pytorch-grad-cam, without a paper: Eigen-CAM of g ⊙ A instead of A, so that it depends on the target.
 *
 * Where we differ: X is not centred (pytorch-grad-cam subtracts each channel's mean), and the sign, which its linear algebra
 * leaves open, is that of the sum it stands for: the inner product of the map with Σ_k g_k ⊙ A_k is not negative.
 */
export const eigenGradCam = layerMethod({
  name: 'eigen-grad-cam',
  kind: 'layer',
  isSum: false,
  source: 'pytorch-grad-cam',
  formula: 'g ⊙ A projected on its first principal component, ⟨map, Σ_k g_k ⊙ A_k⟩ ≥ 0',
  needs: ['activations', 'gradients'],
  hasTarget: true,
  options: {},
  map: async ({ images, layer, gradients }) => {
    const { activations, channels, dims } = layer;
    const slopes = await gradients();
    const weighted = activations.map((value, i) => value * slopes[i]);
    const positions = sizeOf(dims);
    const map = new Float32Array(images * positions);
    for (const [n, picture] of picturesOf(layer, weighted).entries())
      map.set(firstPrincipalMap(picture, channels), n * positions);
    return { by: 'map', map, dims, relu: true };
  },
  nodes: (b, layer) => firstPrincipalNodes(b, b.mul(layer.activations, layer.gradient), layer),
});

/** The first principal map of weighted channels [K, P], which their sum gives its sign. */
export function firstPrincipalMap(weighted: Float32Array, channels: number): Float64Array {
  const projection = firstProjection(weighted, channels);
  const positions = projection.length;
  const sum = new Float64Array(positions);
  for (let i = 0; i < weighted.length; i++) sum[i % positions] += weighted[i];
  const product = projection.reduce((total, value, p) => total + value * sum[p], 0);
  return product < 0 ? projection.map((value) => -value) : projection;
}

/** The same as nodes, [N, 1, …spatial] of [N, K, …spatial]. */
export function firstPrincipalNodes(
  b: Builder,
  weighted: Name,
  { channels, positions }: Pick<LayerNodes, 'channels' | 'positions'>,
): Name {
  return firstProjectionNodes(b, weighted, { channels, positions }, (X) => b.reduceSum(X, [1]));
}
