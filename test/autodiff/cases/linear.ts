import { type Case, real, type Variant, weight } from '../case.js';

const wide: readonly Variant[] = ['batch', 'all', 'unknown'];
const float = (value: number) => ({ float: value });

/** Pairs of dims that MatMul takes: matrices, batches, broadcast batches, vectors. */
const products: readonly (readonly [a: readonly number[], b: readonly number[]])[] = [
  [
    [3, 4],
    [4, 2],
  ],
  [
    [2, 3, 4],
    [2, 4, 2],
  ],
  [
    [2, 3, 4],
    [4, 2],
  ],
  [
    [3, 4],
    [2, 4, 2],
  ],
  [
    [2, 1, 3, 4],
    [3, 4, 2],
  ],
  [
    [1, 3, 4],
    [2, 4, 2],
  ],
  [
    [2, 2, 3, 4],
    [1, 1, 4, 2],
  ],
  [[4], [4]],
  [[4], [4, 2]],
  [[3, 4], [4]],
  [[2, 3, 4], [4]],
  [[4], [2, 4, 3]],
  [
    [1, 1],
    [1, 3],
  ],
];

const equations: readonly (readonly [equation: string, ...dims: (readonly number[])[]])[] = [
  ['ab,bc->ac', [2, 3], [3, 4]],
  ['ab,bc', [2, 3], [3, 4]],
  ['bij,bjk->bik', [2, 3, 4], [2, 4, 2]],
  ['bhid,bhjd->bhij', [2, 2, 3, 4], [2, 2, 5, 4]],
  ['...ij,jk->...ik', [2, 2, 3, 4], [4, 2]],
  ['...ij,...jk->...ik', [2, 3, 4], [1, 4, 2]],
  ['...ab,...bc', [2, 3, 4], [2, 4, 2]],
  ['ij->ji', [3, 4]],
  ['ij->i', [3, 4]],
  ['ij->', [3, 4]],
  ['ii->i', [3, 3]],
  ['ii', [3, 3]],
  ['bii->b', [2, 3, 3]],
  ['biji->bj', [2, 3, 2, 3]],
  ['i,j->ij', [3], [4]],
  ['ij,ij->', [3, 4], [3, 4]],
  ['ij,jk->i', [3, 4], [4, 2]],
  ['a,b,ab->', [2], [3], [2, 3]],
  ['ab,bc,cd->ad', [2, 3], [3, 2], [2, 2]],
  [' i j , k j -> i k ', [2, 3], [4, 3]],
];

const label = (dims: readonly number[]) => `[${dims.join(', ')}]`;

export const linear: readonly Case[] = [
  ...products.map(([a, b]): Case => {
    const name = `${label(a)} × ${label(b)}`;
    return { op: 'MatMul', name, inputs: [real(a), real(b)], dynamic: wide, opsets: [9, 18, 26] };
  }),
  {
    op: 'MatMul',
    name: 'stored weights',
    inputs: [real([2, 3, 4]), weight([4, 2], { constant: true })],
    order: 3,
  },
  ...[0, 1].flatMap((transA) =>
    [0, 1].map((transB): Case => {
      const inputs = [real(transA ? [4, 3] : [3, 4]), real(transB ? [2, 4] : [4, 2]), real([2])];
      const attributes = { transA, transB, alpha: float(0.7), beta: float(1.3) };
      return { op: 'Gemm', name: `flags ${transA} ${transB}`, inputs, attributes, dynamic: wide };
    }),
  ),
  ...[[3, 2], [1, 2], [3, 1], [1], []].map((dims): Case => {
    const inputs = [real([3, 4]), real([4, 2]), real(dims)];
    return {
      op: 'Gemm',
      name: `C ${label(dims)}`,
      inputs,
      opsets: dims.length === 2 ? [7, 18, 26] : undefined,
      dynamic: wide,
    };
  }),
  { op: 'Gemm', name: 'no C', inputs: [real([3, 4]), real([4, 2])], opsets: [11, 18, 26], order: 3 },
  {
    op: 'Gemm',
    name: 'stored weights',
    inputs: [real([3, 4]), weight([2, 4], { constant: true }), weight([2], { constant: true })],
    attributes: { transB: 1 },
    order: 3,
  },
  ...equations.map(([equation, ...dims]): Case => {
    const inputs = dims.map((item) => real(item));
    return { op: 'Einsum', name: equation, inputs, attributes: { equation }, dynamic: ['batch', 'all'] };
  }),
  ...[1, 2, 3, 4].map((order): Case => {
    return {
      op: 'Det',
      name: `order ${order}`,
      type: 'float',
      inputs: [real([2, order, order])],
      dynamic: ['batch'],
    };
  }),
  { op: 'Det', name: 'one matrix', type: 'float', inputs: [real([3, 3])], dynamic: [], order: 3 },
  {
    op: 'Det',
    name: 'singular',
    type: 'float',
    inputs: [real([2, 2], { values: [1, 2, 2, 4] })],
    dynamic: [],
    byHand: [[4, -2, -2, 1]],
  },
];
