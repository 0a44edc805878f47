import { GradcamppError } from '../../errors.js';
import type { SettingsOf, Stage } from '../../options.js';
import type { ChannelMethod, Moments, PositionMethod } from './method.js';

/** A layer with P positions a channel. */
export interface Weighted {
  /** [N, K, …layer]. */
  readonly activations: Float32Array;
  /** [N, K] where the gradient is the same at every position, else [N, K, …layer]; moments likewise. */
  readonly gradients: Float32Array;
  readonly positions: number;
  readonly moments?: Moments;
}

/**
 * The weight of every channel, [N, K], where the gradient is one number a channel, as it is behind global average pooling:
 * then every method that follows from the gradient is a sum of channels weighted by channel.
 */
export function pooledWeights(
  method: ChannelMethod | PositionMethod,
  { activations, gradients, positions, moments }: Weighted,
  settings: SettingsOf<Stage>,
): Float32Array {
  const weights = new Float32Array(gradients.length);
  for (let plane = 0; plane < weights.length; plane++) {
    const gradient = gradients[plane];
    if (gradient === 0 && !moments) continue;
    if (!Number.isFinite(gradient))
      throw new GradcamppError(
        'RUNTIME',
        `The gradient must hold finite numbers; received ${gradient} at index ${plane} of ${gradients.length}.`,
      );
    weights[plane] =
      method.kind === 'position'
        ? method.weight(gradient)
        : method.weight(
            {
              activations,
              at: plane * positions,
              positions,
              gradients,
              gradientAt: plane,
              gradientStep: 0,
              moments,
            },
            settings,
          );
  }
  return weights;
}

/** The weight of every channel, [N, K], from gradients at every position: for methods that no backend knows. */
export function channelWeights(
  method: ChannelMethod,
  { activations, gradients, positions, moments }: Weighted,
  settings: SettingsOf<Stage>,
): Float32Array {
  return Float32Array.from({ length: gradients.length / positions }, (_, plane) => {
    const at = plane * positions;
    return method.weight(
      { activations, at, positions, gradients, gradientAt: at, gradientStep: 1, moments },
      settings,
    );
  });
}
