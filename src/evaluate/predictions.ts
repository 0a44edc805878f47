import type { Subject } from './subject.js';

/**
 * Probabilities of one class on pictures that `fills` write, `batch` of them in a forward pass. Only variants of one
 * picture ever share a pass, so no number depends on which other pictures are evaluated or in which order.
 */
export async function predictFilled(
  subject: Subject,
  fills: readonly ((out: Float32Array) => void)[],
  target: number,
  batch: number,
): Promise<number[]> {
  const length = subject.layout.channels * subject.layout.positions;
  const classes = subject.classes.length;
  const tensors = new Float32Array(Math.min(batch, fills.length) * length);
  const values: number[] = [];
  for (let start = 0; start < fills.length; start += batch) {
    const count = Math.min(batch, fills.length - start);
    for (let i = 0; i < count; i++) fills[start + i](tensors.subarray(i * length, (i + 1) * length));
    const probabilities = await subject.predict(tensors.subarray(0, count * length), count);
    for (let i = 0; i < count; i++) values.push(probabilities[i * classes + target]);
  }
  return values;
}
