import { DataType } from '../onnx/types.js';
import { type Extent, shapeFrom } from './extent.js';
import type { Name } from '../graph/builder.js';
import type { Pass } from './rule.js';

/** The identity matrix of a size, in the current float type. */
export function identityMatrix(pass: Pass, size: Extent): Name {
  const { b } = pass;
  const square = b.op('ConstantOfShape', [shapeFrom(pass, [size, size])]);
  return b.op('EyeLike', [square], { dtype: b.type ?? DataType.FLOAT });
}

/**
 * Multiplies one axis of a value by a matrix [new, old]: result[.., i, ..] = Σ_j matrix[i, j] · value[.., j, ..].
 * The last axis is a product from the right (one Gemm), the others from the left.
 */
export function alongAxis(pass: Pass, value: Name, matrix: Name, axis: number, rank: number): Name {
  const { b } = pass;
  if (axis === rank - 1) return b.op('MatMul', [value, b.transpose(matrix, [1, 0])]);
  if (axis === rank - 2) return b.op('MatMul', [matrix, value]);
  const swap = Array.from({ length: rank }, (_, i) => i);
  [swap[axis], swap[rank - 1]] = [rank - 1, axis];
  const product = b.op('MatMul', [b.transpose(value, swap), b.transpose(matrix, [1, 0])]);
  return b.transpose(product, swap);
}
