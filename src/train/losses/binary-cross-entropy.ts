import type { Builder, Name } from '../../graph/builder.js';

export interface BinaryCrossEntropyOptions {
  /** ε of label smoothing: (1 − ε) y + ε / 2. Default 0. */
  readonly smoothing?: number;
}

/**
 * Mean over pictures and classes of softplus(s) − y·s, which is −y·log σ(s) − (1 − y)·log(1 − σ(s)):
 * each class is there or not, by itself.
 *
 * @param scores [N, M], before the sigmoid
 * @param labels [N, M], 0…1
 */
export function binaryCrossEntropy(
  b: Builder,
  scores: Name,
  labels: Name,
  { smoothing = 0 }: BinaryCrossEntropyOptions = {},
): Name {
  const wanted = smoothing === 0 ? labels : b.add(b.scale(labels, 1 - smoothing), b.scalar(smoothing / 2));
  const each = b.sub(b.op('Softplus', [scores]), b.mul(wanted, scores));
  return b.op('ReduceMean', [each], { keepdims: 0 });
}
