import type { Form } from '../methods/grad-cam++.js';
import type { Moments } from '../methods/common/method.js';

/**
 * What backends compute in one call. `cam` is the sum of channels weighted by channel and `hires-cam` that weighted by
 * position (the gradients are the weights): every method can be computed by one of the two. The others are methods of which
 * backends know the weights; the order is that of the native addon and the shaders.
 */
export const mapMethods = ['grad-cam++', 'grad-cam', 'cam', 'xgrad-cam', 'hires-cam', 'layer-cam'] as const;
export type MapMethod = (typeof mapMethods)[number];

export interface MapSettings {
  readonly method: MapMethod;
  /** Grad-CAM++ only. */
  readonly form: Form;
  /** Grad-CAM++ only: divide α by its sum over the positions with positive gradient, per channel. */
  readonly alphaNormalization: boolean;
  /** Grad-CAM++ only: weigh by relu(∂Y/∂A) (paper Eq. 11), or by ∂Y/∂A when false (the paper's ablation). */
  readonly gradientRelu: boolean;
}

/** Whether a request holds moments: the softmax form of Grad-CAM++ alone. */
export function needsMoments({ method, form }: Pick<MapSettings, 'method' | 'form'>): boolean {
  return method === 'grad-cam++' && form === 'softmax';
}

/**
 * What a backend gets: finite, checked, complete. Arrays are row-major and must not be written.
 * `P` is the number of positions of the layer, the product of `layer`.
 */
export interface MapRequest extends MapSettings {
  /** N, pictures. */
  readonly images: number;
  /** K, channels. */
  readonly channels: number;
  /** Layer dims, 1 to 3 of them: [w], [h, w] or [t, h, w]. */
  readonly layer: readonly number[];
  /** Output dims, as many as `layer`: the network input's [W], [H, W] or [T, H, W]. */
  readonly size: readonly number[];
  /** A, [N, K, ...layer]; shared by all targets. */
  readonly activations: Float32Array;
  /** g = ∂S_c/∂A, one array [N, K, ...layer] a target; none for CAM. */
  readonly gradients: readonly Float32Array[];
  /** Softmax form only: moments of the per-class gradients under p = softmax(S), [N, K, ...layer] each; shared by all targets. */
  readonly moments?: Moments;
  /** `cam` only: the weight of every channel, one array [N, K] for each target. */
  readonly weights?: readonly Float32Array[];
}

/** One array a target, in the request's order. */
export interface MapResult {
  /**
   * relu(Σ_k w_k A_k) at layer size, [N, ...layer], without the factor e^S (or p_c). Saturates at the largest float32.
   */
  readonly raw: readonly Float32Array[];
  /**
   * Upsampled (linear, half-pixel centres) and min–max normalised, [N, ...size], in 0…1. Zeros where empty; ones where
   * the upsampled map is positive and constant (a layer of one position): every position is then its maximum.
   */
  readonly maps: readonly Float32Array[];
  /** Whether the raw map, as float32, is zero everywhere, [N] of 0 or 1. */
  readonly empty: readonly Uint8Array[];
}

export const backendNames = ['reference', 'native', 'webgpu'] as const;
export type BackendName = (typeof backendNames)[number];
/** 'auto' takes the fastest. */
export const backendChoices = ['auto', ...backendNames] as const;

/** One implementation of the map stage. All are held against the same vectors (test/map). */
export interface MapBackend {
  readonly name: BackendName;
  /**
   * Whether `compute` itself refuses activations, gradients, moments and weights that are not finite (with
   * `notFinite` of compute.ts); where false, `computeMaps` reads them all first.
   */
  readonly checksFinite: boolean;
  compute(request: MapRequest): Promise<MapResult>;
  close(): Promise<void>;
}
