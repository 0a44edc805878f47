import type { Builder, Name } from '../../graph/builder.js';

/**
 * Knowledge distillation, Hinton et al., arXiv 1503.02531, section 2: the mean over pictures of T² · KL(softmax(t / T) ‖
 * softmax(s / T)). The paper's cross entropy of soft targets differs from it by their entropy, which the student has no part in.
 *
 * @param scores the student's, [N, M], before the softmax
 * @param teacher the teacher's, [N, M], before the softmax
 * @param temperature T, above 0; default 4
 */
export function distillation(b: Builder, scores: Name, teacher: Name, temperature = 4): Name {
  const logs = (value: Name) => b.op('LogSoftmax', [b.scale(value, 1 / temperature)], { axis: 1 });
  const wanted = logs(teacher);
  const each = b.reduceSum(b.mul(b.op('Exp', [wanted]), b.sub(wanted, logs(scores))), [1], 0);
  return b.scale(b.op('ReduceMean', [each], { keepdims: 0 }), temperature ** 2);
}

/**
 * The same for classes that are there or not, each by itself: the mean over pictures and classes of
 * T² · KL(σ(t / T) ‖ σ(s / T)).
 */
export function binaryDistillation(b: Builder, scores: Name, teacher: Name, temperature = 4): Name {
  const [s, t] = [scores, teacher].map((value) => b.scale(value, 1 / temperature));
  const p = b.op('Sigmoid', [t]);
  const entropy = (value: Name) => b.sub(b.op('Softplus', [value]), b.mul(p, value));
  const mean = b.op('ReduceMean', [b.sub(entropy(s), entropy(t))], { keepdims: 0 });
  return b.scale(mean, temperature ** 2);
}
