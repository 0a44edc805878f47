import type { Builder, Name } from '../../graph/builder.js';

export interface CrossEntropyOptions {
  /** ε of label smoothing (Szegedy et al., arXiv 1512.00567, section 7): (1 − ε) y + ε / M. Default 0. */
  readonly smoothing?: number;
  /** A weight for each class, dims [M], of the smoothing's share too; the mean stays one over pictures. Default: all 1. */
  readonly classWeights?: Name;
}

/**
 * Mean over pictures of −Σ w·y·log softmax(s).
 *
 * @param scores [N, M], before the softmax
 * @param labels [N, M], each row sums to 1
 */
export function crossEntropy(
  b: Builder,
  scores: Name,
  labels: Name,
  { smoothing = 0, classWeights }: CrossEntropyOptions = {},
): Name {
  const plain = b.op('LogSoftmax', [scores], { axis: 1 });
  const logs = classWeights === undefined ? plain : b.mul(plain, classWeights);
  const own = b.reduceSum(b.mul(labels, logs), [1], 0);
  const all = () => b.reduceMean(logs, [1], 0);
  const each = smoothing === 0 ? own : b.add(b.scale(own, 1 - smoothing), b.scale(all(), smoothing));
  return b.neg(b.op('ReduceMean', [each], { keepdims: 0 }));
}
