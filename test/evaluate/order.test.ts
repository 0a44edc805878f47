import { describe, expect, it } from 'vitest';
import { ranksOf, saliencyOrder } from '../../src/evaluate/saliency-order.js';
import { random } from '../../src/random-stream.js';

const map = (...values: number[]): Float32Array => Float32Array.from(values);

describe('saliency order', () => {
  it('is descending, ties in row-major order without a control', () => {
    expect([...saliencyOrder(map(0.2, 0.9, 0, 0.9, 0.2))]).toEqual([1, 3, 0, 4, 2]);
  });

  it('lets another order decide ties, so that an empty map is ranked as the control is', () => {
    const control = map(0.3, 0.1, 0.9, 0.5);
    expect(saliencyOrder(map(0, 0, 0, 0), saliencyOrder(control))).toEqual(saliencyOrder(control));
    expect([...saliencyOrder(map(0, 1, 1, 0), saliencyOrder(control))]).toEqual([2, 1, 3, 0]);
  });

  it('equals a stable sort with a comparator on 10,000 floats of all signs and sizes', () => {
    const stream = random('order');
    const values = Float32Array.from({ length: 10_000 }, () =>
      Math.fround((stream.below(50) - 25) * 10 ** (stream.below(30) - 15)),
    );
    const expected = [...values.keys()].sort((i, j) => values[j] - values[i]);
    expect([...saliencyOrder(values)]).toEqual(expected);
    const ranks = ranksOf(saliencyOrder(values));
    expect(expected.every((position, rank) => ranks[position] === rank)).toBe(true);
  });

  it('does not tell -0 from 0', () => {
    expect([...saliencyOrder(map(0, -0, 0))]).toEqual([0, 1, 2]);
  });
});
