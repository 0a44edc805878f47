import type { Scores } from '../graph/scores.js';
import { release as releaseArrays } from '../memory.js';
import type { Tensor } from '../tensor.js';

/** What is kept of a forward pass: everything that the backward pass of any target needs. */
export interface Forward {
  /** S, [N, M]. */
  readonly scores: Float32Array;
  /** A of each layer, [N, K, ...]. */
  readonly activations: readonly Float32Array[];
  /** Dims of each layer, with N. */
  readonly dims: readonly (readonly number[])[];
  readonly saved: Readonly<Record<string, Tensor>>;
  /** Every output of the forward session. */
  readonly results: Readonly<Record<string, Tensor>>;
  readonly images: number;
}

/** The forward and backward sessions for one choice of layers and output. */
export interface Differentiator {
  readonly scores: Scores;
  /** M, the number of scores. */
  readonly count: number;
  readonly wrt: readonly string[];
  /** K of each of them. */
  readonly channels: readonly number[];
  /** N of the model, where it is fixed. */
  readonly batch: number | undefined;
  /** Whether the gradient is the same for every picture: the head is linear. */
  readonly isConstant: boolean;
  forward(images: Tensor<'float32'>): Promise<Forward>;
  /** ∂(seed · S)/∂A of each layer, [N, K, ...], or [N, K] where it is pooled; `seed` is [N, M]. */
  backward(forward: Forward, seed: Float32Array): Promise<Float32Array[]>;
  /** Whether a layer's gradient is the same at every position (global average pooling follows): then only [N, K]. */
  readonly isPooled: readonly boolean[];
  /** Frees the memory of a forward pass; its arrays must not be used afterwards. */
  release(forward: Forward): void;
}

/** Frees the memory of a forward pass. */
export function release({ results }: Forward): void {
  releaseArrays(Object.values(results).map(({ data }) => data));
}
