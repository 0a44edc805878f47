import { int64Constant } from '../../onnx/constant.js';
import type { Name } from '../../graph/builder.js';
import type { Pass, Rule } from '../rule.js';
import { unbroadcast } from '../unbroadcast.js';

/** Y = α·A′B′ + β·C. The transposes go into the flags of the new Gemm. */
export const gemm: Rule = (pass) => {
  const { b, dY, x } = pass;
  const alpha = { float: pass.float('alpha', 1) };
  const [transA, transB] = [pass.int('transA', 0), pass.int('transB', 0)];
  const times = (first: Name, second: Name, flagA: number, flagB: number) =>
    b.op('Gemm', [first, second], { alpha, transA: flagA, transB: flagB });
  const dA = transA ? times(x[1], dY, transB, 1) : times(dY, x[1], 0, transB ? 0 : 1);
  const dB = transB ? times(dY, x[0], 1, transA) : times(x[0], dY, transA ? 0 : 1, 0);
  if (!pass.has(2) || !pass.needs(2)) return [dA, dB];
  return [dA, dB, unbroadcast(pass, b.scale(dY, pass.float('beta', 1)), x[2])];
};

/** Y = AB over the last two axes, the others broadcast; vectors are matrices of one row or column. */
export const matMul: Rule = (pass) => {
  const { b, x } = pass;
  const [rankA, rankB] = [pass.rank(x[0]), pass.rank(x[1])];
  const A = rankA === 1 ? b.op('Unsqueeze', [x[0], b.ints([0])]) : x[0];
  const B = rankB === 1 ? b.op('Unsqueeze', [x[1], b.ints([1])]) : x[1];
  let { dY } = pass;
  if (rankB === 1) dY = b.op('Unsqueeze', [dY, b.ints([-1])]);
  if (rankA === 1) dY = b.op('Unsqueeze', [dY, b.ints([-2])]);
  const dA = () => summedBatch(pass, b.op('MatMul', [dY, b.transposeLast(B, Math.max(rankB, 2))]), 0);
  const dB = () =>
    matrixGradient(pass, dY) ??
    summedBatch(pass, b.op('MatMul', [b.transposeLast(A, Math.max(rankA, 2)), dY]), 1);
  return [pass.needs(0) ? dA() : undefined, pass.needs(1) ? dB() : undefined];
};

/** dB of one matrix B used for a whole batch: one Gemm over all rows. */
function matrixGradient(pass: Pass, dY: Name): Name | undefined {
  const { b, x } = pass;
  if (pass.rank(x[1]) !== 2 || pass.rank(x[0]) < 3) return undefined;
  const [rows, columns] = pass.dims(x[1]);
  if (typeof rows !== 'number' || typeof columns !== 'number') return undefined;
  return b.op('Gemm', [b.reshape(x[0], [-1, rows]), b.reshape(dY, [-1, columns])], { transA: 1 });
}

/** Sums a gradient, whose matrices are those of the operand, over the batch axes along which that was repeated. */
function summedBatch(pass: Pass, dX: Name, operand: 0 | 1): Name {
  const { x, y } = pass;
  const input = x[operand];
  const [rankA, rankB] = [pass.rank(x[0]), pass.rank(x[1])];
  const matrices = (rankA === 1 ? 0 : 1) + (rankB === 1 ? 0 : 1);
  const batch = pass.dims(y[0]).slice(0, pass.rank(y[0]) - matrices);
  const own = pass.dims(input);
  // A vector stood as a row (A) or a column (B).
  const added = own.length > 1 ? undefined : pass.b.ints([operand === 0 ? -2 : -1]);
  const matrix = added ? pass.b.op('Squeeze', [dX, added]) : dX;
  return unbroadcast(pass, matrix, input, [...batch, ...own.slice(-2)]);
}

/**
 * dX = dY · the matrix of cofactors, (−1)^(i+j) · det(X without row i and column j): exact for singular matrices
 * too, and made of determinants, so that it can be differentiated again. The order M is fixed, and small in practice.
 */
export const det: Rule = (pass) => {
  const { b, dY, x } = pass;
  const rank = pass.rank(x[0]);
  const [order] = pass.sizes(x[0], rank - 1);
  const outer = b.op('Unsqueeze', [dY, b.ints([-2, -1])]);
  if (order === 1) return [outer];
  const others = Array.from({ length: order }, (_, skipped) =>
    Array.from({ length: order - 1 }, (_, i) => (i < skipped ? i : i + 1)),
  );
  const places = b.constant(int64Constant(others.flat(), [order, order - 1]));
  const rows = b.op('Gather', [x[0], places], { axis: rank - 2 });
  const minors = b.op('Gather', [rows, places], { axis: rank });
  const lead = Array.from({ length: rank - 2 }, (_, i) => i);
  const [i, row, j, column] = [rank - 2, rank - 1, rank, rank + 1];
  const determinants = b.op('Det', [b.transpose(minors, [...lead, i, j, row, column])]);
  const signs = others.flatMap((_, m) => others.map((_, n) => ((m + n) % 2 ? -1 : 1)));
  return [b.mul(outer, b.mul(determinants, b.floats(signs, [order, order])))];
};
