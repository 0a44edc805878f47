import type { Builder, Name } from '../../graph/builder.js';

/**
 * Mean over pictures and classes of softplus(s) − y·s, which is −y·log σ(s) − (1 − y)·log(1 − σ(s)):
 * each class is there or not, by itself.
 *
 * @param scores [N, M], before the sigmoid
 * @param labels [N, M], 0…1
 */
export function binaryCrossEntropy(b: Builder, scores: Name, labels: Name): Name {
  const each = b.sub(b.op('Softplus', [scores]), b.mul(labels, scores));
  return b.op('ReduceMean', [each], { keepdims: 0 });
}
