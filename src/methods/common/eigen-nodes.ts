import type { Builder, Name } from '../../graph/builder.js';
import { ratioNodes } from './method.js';

/** Of the power iteration: the matrix to the power 2^20. */
const squarings = 20;

/** Of the largest value: what rounding leaves where the projection is 0. */
const rounding = 1e-12;

/**
 * X v₁ as nodes, [N, 1, …spatial], of X = planesᵀ [P, K] of each picture; its sign is that of its inner product with `reference`
 * [N, 1, P] (not negative). Its length is another than that of X v₁, which maps in 0…1 do not show.
 *
 * Power iteration in float64 on X Xᵀ or Xᵀ X, whichever is smaller: the matrix is squared 20 times, divided by its largest value
 * each time, which leaves the second component (σ₂/σ₁)^(2^21) of the first: less than 10⁻⁵ where σ₂ < (1 − 10⁻⁵) σ₁. Where the two
 * are nearer than that the map is a mixture of theirs. (Rounding of the activations, 10⁻⁷, moves it by as much over 1 − σ₂/σ₁
 * however it is computed.) Its row of the largest value on the diagonal is the vector; it is orthogonal to no first component.
 */
export function firstProjectionNodes(
  b: Builder,
  planes: Name,
  { channels, positions }: { readonly channels: number; readonly positions: number | Name },
  reference: (matrix: Name) => Name,
): Name {
  const narrow = b.reshape(planes, [0, channels, -1]);
  const map = b.wide(() => {
    const wide = b.asFloat(narrow);
    const X = ratioNodes(b, wide, b.op('ReduceMax', [b.op('Abs', [wide]), b.ints([1, 2])]));
    const Xt = b.transpose(X, [0, 2, 1]);
    const isByPosition = typeof positions === 'number' && positions < channels;
    let M = isByPosition ? b.op('MatMul', [Xt, X]) : b.op('MatMul', [X, Xt]);
    for (let i = 0; i < squarings; i++) {
      const square = i === 0 ? M : b.op('MatMul', [M, M]);
      M = ratioNodes(b, square, b.op('ReduceMax', [square, b.ints([1, 2])]));
    }
    const vector = strongestRow(b, b.op('MatMul', [M, M]));
    const projection = isByPosition ? vector : b.op('MatMul', [vector, X]);
    const size = b.op('Abs', [projection]);
    const least = b.scale(b.op('ReduceMax', [size, b.ints([2])]), rounding);
    const clean = b.where(b.op('Greater', [size, least]), projection, b.zero());
    const product = b.reduceSum(b.mul(clean, reference(X)), [1, 2]);
    return b.where(b.op('Less', [product, b.zero()]), b.neg(clean), clean);
  });
  const shape = b.op('Shape', [planes], { start: 2 });
  return b.op('Reshape', [b.asFloat(map), b.op('Concat', [b.ints([0, 1]), shape], { axis: 0 })]);
}

/** Of a positive semidefinite matrix [N, n, n] the row with the largest value, which is on the diagonal, [N, 1, n]. */
function strongestRow(b: Builder, M: Name): Name {
  const index = b.op('ArgMax', [b.op('ReduceMax', [M, b.ints([2])])], { axis: 1 });
  const ends = [b.op('Shape', [M], { start: 0, end: 1 }), b.ints([1]), b.op('Shape', [M], { start: 2 })];
  return b.op('GatherElements', [M, b.op('Expand', [index, b.op('Concat', ends, { axis: 0 })])], { axis: 1 });
}
