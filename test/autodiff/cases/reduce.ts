import { type Case, real, type Variant, whole } from '../case.js';

const wide: readonly Variant[] = ['batch', 'space', 'all', 'unknown'];
const positive = { low: 0.3, high: 3 };
/** Sums of exponentials and logs want values that are not too large, or positive. */
const domains: Readonly<Record<string, { low: number; high: number }>> = {
  ReduceLogSum: positive,
  ReduceProd: { low: -1.4, high: 1.7 },
};
const names = ['L1', 'L2', 'LogSum', 'LogSumExp', 'Max', 'Mean', 'Min', 'Prod', 'Sum', 'SumSquare'];

export const reduce: readonly Case[] = [
  ...names.flatMap((what): Case[] => {
    const op = `Reduce${what}`;
    const x = real([2, 3, 4], domains[op]);
    const small = real([2, 3], domains[op]);
    return [
      { op, name: 'one axis', inputs: [x, whole([1])], dynamic: wide, order: 3 },
      {
        op,
        name: 'two axes, dropped',
        inputs: [x, whole([-1, 0])],
        attributes: { keepdims: 0 },
        dynamic: wide,
      },
      { op, name: 'all axes', inputs: [small], dynamic: wide },
      { op, name: 'all axes, dropped', inputs: [small], attributes: { keepdims: 0 }, dynamic: wide },
      { op, name: 'axes as an attribute', inputs: [x], attributes: { axes: [0, 2] }, opsets: [7, 11] },
      { op, name: 'no axes: nothing', inputs: [small, whole([])], attributes: { noop_with_empty_axes: 1 } },
      {
        op,
        name: 'axes told when it runs',
        inputs: [x, whole([0, -1], [2], { constant: false, fixed: true })],
        attributes: { keepdims: 0 },
        order: 1, // not even the rank of the sum is known then
      },
      {
        op,
        name: 'axes told when it runs, kept',
        inputs: [x, whole([1], [1], { constant: false, fixed: true })],
        order: 1,
      },
    ];
  }),
  ...['ReduceMax', 'ReduceMin'].map((op): Case => {
    const inputs = [real([2, 4], { values: [1, 3, 3, 2, 0, 0, 0, 0] }), whole([1])];
    const byHand = op === 'ReduceMax' ? [0, 0.5, 0.5, 0] : [1, 0, 0, 0];
    return { op, name: 'ties share', inputs, byHand: [[...byHand, 0.25, 0.25, 0.25, 0.25]] };
  }),
  { op: 'ReduceL1', name: 'at 0', inputs: [real([3], { values: [-2, 0, 1] })], byHand: [[-1, 0, 1]] },
  {
    op: 'ReduceL2',
    name: 'at 0',
    inputs: [real([2, 2], { values: [0, 0, 3, 4] }), whole([1])],
    byHand: [[0, 0, 0.6, 0.8]],
  },
  {
    op: 'ReduceProd',
    name: 'with zeros',
    inputs: [real([3, 4], { values: [2, 0, 3, 1.5, 0, 1, 0, 2, 0, 0, 0, 2] }), whole([1])],
    dynamic: ['batch', 'all'],
    order: 3,
  },
  { op: 'ReduceProd', name: 'one value', inputs: [real([3, 1]), whole([1])] },
  {
    op: 'ReduceLogSumExp',
    name: 'large values',
    inputs: [real([1, 3], { values: [900, 899, -900] })],
  },
];
