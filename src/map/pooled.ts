import { GradcamppError } from '../errors.js';
import type { MapMethod, MapSettings } from './backend.js';
import { planeSum } from './plane.js';

/** Activations [N, K, ...layer] with P positions a channel, and gradients that are the same at all of them, [N, K]. */
export interface Pooled {
  readonly activations: Float32Array;
  readonly gradient: Float32Array;
  readonly positions: number;
}

/**
 * Behind global average pooling a gradient is one number a channel. Then every method is a weighted sum of channels,
 * the weights follow without a pass over the gradients, and the map is that of `cam` with these weights. That does not
 * hold for the softmax form, normalised α, and gradients of both signs.
 */
export function hasPooledWeights({ method, form, alphaNormalization, gradientRelu }: MapSettings): boolean {
  return method !== 'grad-cam++' || (form === 'exp' && !alphaNormalization && gradientRelu);
}

/** The weights of `cam`, [N, K], that give the method's map. */
export function pooledWeights(method: MapMethod, pooled: Pooled): Float32Array {
  const { gradient } = pooled;
  const weigh = weights[method];
  const found = new Float32Array(gradient.length);
  for (let row = 0; row < gradient.length; row++) {
    const g = gradient[row];
    if (g === 0) continue;
    if (!Number.isFinite(g))
      throw new GradcamppError(
        'RUNTIME',
        `The gradient must hold finite numbers; received ${g} at index ${row} of ${gradient.length}.`,
      );
    found[row] = weigh(g, row, pooled);
  }
  return found;
}

const weights: Readonly<Record<MapMethod, (g: number, row: number, pooled: Pooled) => number>> = {
  'grad-cam++': (g, row, pooled) => {
    if (g < 0) return 0;
    const denominator = 2 + g * sumOf(row, pooled);
    return denominator === 0 ? 0 : (pooled.positions * g) / denominator;
  },
  'grad-cam': (g) => g,
  cam: (g, _, { positions }) => g * positions,
  'xgrad-cam': (g, row, pooled) => (sumOf(row, pooled) === 0 ? 0 : g),
  'hires-cam': (g) => g,
  'layer-cam': (g) => Math.max(g, 0),
};

function sumOf(row: number, { activations, positions }: Pooled): number {
  return planeSum(activations, row * positions, positions);
}

/** The gradient at every position, [N, K, ...layer]. */
export function spread({ gradient, positions }: Pooled): Float32Array {
  const full = new Float32Array(gradient.length * positions);
  for (let row = 0; row < gradient.length; row++)
    full.fill(gradient[row], row * positions, (row + 1) * positions);
  return full;
}
