import { type Case, flags, real, whole } from '../case.js';

const fed = { constant: false, fixed: true } as const;
const int = (value: number) => whole([value], []);

const reductions = ['add', 'mul', 'max', 'min'] as const;

export const indexing: readonly Case[] = [
  {
    op: 'Gather',
    name: 'distinct constants',
    inputs: [real([4, 5]), whole([3, 0, 1])],
    attributes: { axis: 1 },
  },
  {
    op: 'Gather',
    name: 'a run of constants',
    inputs: [real([4, 5]), whole([1, 2])],
    attributes: { axis: 0 },
  },
  { op: 'Gather', name: 'one place', inputs: [real([2, 4, 3]), int(-1)], attributes: { axis: 1 } },
  {
    op: 'Gather',
    name: 'repeated constants, a matrix of them',
    inputs: [real([4, 5]), whole([3, 0, 3, -1], [2, 2])],
    attributes: { axis: 1 },
  },
  {
    op: 'Gather',
    name: 'fed',
    inputs: [real([4, 2, 3]), whole([3, 0, 3, -2, 1, 1], [2, 3], { constant: false })],
  },
  { op: 'Gather', name: 'fed, one place', inputs: [real([4, 3]), whole([2], [], fed)] },
  {
    op: 'GatherElements',
    name: 'repeated',
    inputs: [real([3, 4]), whole([0, 2, 1, 0, -1, 2], [2, 3])],
    attributes: { axis: 0 },
  },
  {
    op: 'GatherElements',
    name: 'fed, last axis',
    inputs: [real([2, 4]), whole([0, 2, -1, 0, 0, 3], [2, 3], fed)],
    attributes: { axis: -1 },
  },
  { op: 'GatherND', name: 'rows', inputs: [real([3, 2, 4]), whole([0, 1, 2, -1, 0, 1], [3, 2])] },
  {
    op: 'GatherND',
    name: 'elements',
    inputs: [real([3, 2]), whole([0, 1, 2, 0, 0, 1], [3, 2], { constant: false, fixed: true })],
  },
  { op: 'GatherND', name: 'whole leading axis', inputs: [real([3, 2, 2]), whole([2, 2, 0], [3, 1])] },
  {
    op: 'GatherND',
    name: 'batch of one axis',
    inputs: [real([2, 3, 2, 2]), whole([0, 2, 1, 1, 0, -1], [2, 3, 1])],
    attributes: { batch_dims: 1 },
  },
  {
    op: 'GatherND',
    name: 'batch of two axes',
    inputs: [real([2, 2, 3, 2]), whole([0, 2, 1, 1], [2, 2, 1], fed)],
    attributes: { batch_dims: 2 },
  },
  {
    op: 'ScatterElements',
    name: 'put',
    inputs: [real([3, 4]), whole([0, 2, 1, 1, -3, 2], [2, 3]), real([2, 3])],
    attributes: { axis: 0 },
  },
  {
    op: 'ScatterElements',
    name: 'put, last axis, fed',
    inputs: [real([2, 4]), whole([0, 2, 1, 3], [2, 2], fed), real([2, 2], { fixed: true })],
    attributes: { axis: -1 },
  },
  ...reductions.flatMap((reduction): Case[] => [
    {
      op: 'ScatterElements',
      name: reduction,
      inputs: [real([3, 4]), whole([0, 2, 1, 0, -1, 1], [2, 3]), real([2, 3])],
      attributes: { axis: 0, reduction },
    },
    {
      op: 'ScatterElements',
      name: `${reduction}, several onto one place, fed`,
      inputs: [real([2, 4]), whole([0, 0, 0, 2, 2, 3], [2, 3], fed), real([2, 3], { fixed: true })],
      attributes: { axis: 1, reduction },
    },
    {
      op: 'ScatterND',
      name: reduction,
      inputs: [real([3, 2, 4]), whole([0, 1, 2, -1, 0, 1], [3, 2]), real([3, 4])],
      attributes: { reduction },
    },
  ]),
  {
    op: 'ScatterElements',
    name: 'mul with zeros',
    inputs: [
      real([4], { values: [0, 2, 3, 5] }),
      whole([0, 1, 1, 2, 2]),
      real([5], { values: [7, 0, 4, 0, 0] }),
    ],
    attributes: { reduction: 'mul' },
    byHand: [
      [7, 0, 0, 1],
      [0, 8, 0, 0, 0],
    ],
  },
  {
    op: 'ScatterElements',
    name: 'max, tied',
    inputs: [real([2], { values: [3, 1] }), whole([0, 0, 1]), real([3], { values: [3, 2, 1] })],
    attributes: { reduction: 'max' },
    byHand: [
      [0.5, 0.5],
      [0.5, 0, 0.5],
    ],
  },
  {
    op: 'ScatterND',
    name: 'put',
    inputs: [real([3, 2, 4]), whole([0, 1, 2, -1, 0, 0], [3, 2]), real([3, 4])],
  },
  {
    op: 'ScatterND',
    name: 'put elements, fed',
    inputs: [real([3, 2]), whole([0, 1, 2, 0], [2, 2], fed), real([2], { fixed: true })],
  },
  { op: 'TopK', name: 'largest', inputs: [real([3, 5]), whole([2])], outputs: 2, seeded: [0] },
  {
    op: 'TopK',
    name: 'smallest, first axis, unsorted',
    inputs: [real([5, 3]), whole([3])],
    attributes: { axis: 0, largest: 0, sorted: 0 },
    outputs: 2,
    seeded: [0],
  },
  {
    op: 'Compress',
    name: 'an axis',
    inputs: [real([3, 4, 2]), flags([0, 1, 0, 1])],
    attributes: { axis: 1 },
  },
  { op: 'Compress', name: 'flat, fed, short', inputs: [real([3, 2]), flags([0, 1, 1, 0], [4], fed)] },
  {
    op: 'OneHot',
    type: 'float',
    name: 'last axis',
    inputs: [whole([0, 2, -1], [3], fed), int(4), real([2])],
  },
  {
    op: 'OneHot',
    type: 'float',
    name: 'first axis',
    inputs: [whole([0, 2, 1, 1], [2, 2]), int(3), real([2])],
    attributes: { axis: 0 },
  },
  {
    op: 'Range',
    name: 'start and step',
    inputs: [
      real([], { values: [0.5] }),
      real([], { values: [3.2], wrt: false }),
      real([], { values: [0.75] }),
    ],
    dynamic: [],
  },
  {
    op: 'TensorScatter',
    name: 'a cache of keys',
    type: 'float',
    opsets: [24, 26],
    inputs: [real([2, 2, 5, 3]), real([2, 2, 2, 3]), whole([1, 3], [2], { constant: false })],
  },
  {
    op: 'TensorScatter',
    name: 'circular, from the start',
    type: 'float',
    opsets: [24, 26],
    inputs: [real([2, 4, 3]), real([2, 3, 3]), whole([3, 2])],
    attributes: { mode: 'circular', axis: 1 },
  },
  {
    op: 'Scatter',
    name: 'put',
    opsets: [9],
    inputs: [real([3, 4]), whole([0, 2, 1, 1, -3, 2], [2, 3]), real([2, 3])],
    attributes: { axis: 0 },
  },
];
