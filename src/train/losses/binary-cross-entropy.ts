import type { Builder, Name } from '../../graph/builder.js';

export interface BinaryCrossEntropyOptions {
  /** ε of label smoothing: (1 − ε) y + ε / 2. Default 0. */
  readonly smoothing?: number;
  /** How much more a class counts where it is than where it is not, dims [M]: PyTorch's `pos_weight`. Default: all 1. */
  readonly classWeights?: Name;
}

/**
 * Mean over pictures and classes of −w·y·log σ(s) − (1 − y)·log(1 − σ(s)), which is softplus(s) − y·s where all w are 1: each
 * class is there or not, by itself.
 *
 * @param scores [N, M], before the sigmoid
 * @param labels [N, M], 0…1
 */
export function binaryCrossEntropy(
  b: Builder,
  scores: Name,
  labels: Name,
  { smoothing = 0, classWeights }: BinaryCrossEntropyOptions = {},
): Name {
  const wanted = smoothing === 0 ? labels : b.add(b.scale(labels, 1 - smoothing), b.scalar(smoothing / 2));
  const plain = () => b.sub(b.op('Softplus', [scores]), b.mul(wanted, scores));
  const weighed = (weights: Name) => {
    const there = b.mul(b.mul(weights, wanted), b.op('Softplus', [b.neg(scores)]));
    return b.add(there, b.mul(b.from(1, wanted), b.op('Softplus', [scores])));
  };
  const each = classWeights === undefined ? plain() : weighed(classWeights);
  return b.op('ReduceMean', [each], { keepdims: 0 });
}
