import { sizeOf } from '../tensor.js';
import type { RandomNumbers } from './common/evidence.js';
import { layerMethod } from './common/method.js';
import { seed } from './common/sampling-options.js';

/**
 * The control of every comparison: uniform noise with the explained layer's dims, enlarged as every map is, so that it is as
 * smooth as they are and marks places without reason. It depends on the seed and the picture's name alone.
 */
export const randomMap = layerMethod({
  name: 'random',
  kind: 'layer',
  isSum: false,
  source: '–',
  formula: 'uniform noise of the layer’s dims: a control',
  needs: ['activations'],
  hasTarget: false,
  options: { seed },
  map: ({ images, layer: { dims }, random }, { seed }) => {
    const positions = sizeOf(dims);
    const map = new Float32Array(images * positions);
    for (let n = 0; n < images; n++)
      map.set(uniformNoise(random(seed, n, 'control'), positions), n * positions);
    return { by: 'map', map, dims, relu: true };
  },
});

/** Numbers in [0, 1). */
export function uniformNoise(numbers: Pick<RandomNumbers, 'uniform'>, length: number): Float64Array {
  return new Float64Array(length).map(() => numbers.uniform());
}
