import { type Case, real, whole } from '../case.js';

const fed = { constant: false, fixed: true } as const;
const last = 2 ** 62;

const slices: readonly [string, readonly number[], Record<string, readonly number[]>][] = [
  ['step 1', [4, 5, 3], { starts: [1, 0], ends: [3, 4] }],
  ['negative bounds', [4, 5, 3], { starts: [-3, -2], ends: [-1, 100], axes: [0, 1] }],
  [
    'step 2 over both spatial axes',
    [2, 3, 6, 7],
    { starts: [0, 0], ends: [last, last], axes: [2, 3], steps: [2, 2] },
  ],
  ['step 3 from the second', [2, 8, 3, 2], { starts: [1], ends: [last], axes: [1], steps: [3] }],
  [
    'steps over axes that lie apart',
    [5, 3, 6, 2],
    { starts: [1, 0], ends: [5, 6], axes: [0, 2], steps: [2, 4] },
  ],
  ['reversed', [4, 5], { starts: [-1], ends: [-last], axes: [1], steps: [-1] }],
  ['reversed by steps of 2', [3, 7, 2], { starts: [-2, 2], ends: [-last, 0], axes: [1, 0], steps: [-2, -1] }],
  ['a single one', [4, 5], { starts: [2], ends: [3], axes: [-1] }],
  ['nothing left out', [4, 5], { starts: [0], ends: [last], axes: [0] }],
];

const pads: readonly [string, readonly number[], readonly number[]][] = [
  ['both ends', [2, 3, 4], [1, 0, 2, 0, 1, 1]],
  ['negative', [3, 4, 5], [0, -1, 1, -1, 0, -2]],
];

export const shape: readonly Case[] = [
  { op: 'Reshape', name: 'by a constant', inputs: [real([2, 3, 4]), whole([4, 6])] },
  { op: 'Reshape', name: '0 and -1', inputs: [real([2, 3, 4]), whole([0, -1, 2])] },
  { op: 'Reshape', name: 'by a fed target', inputs: [real([2, 3, 4]), whole([4, 6], [2], fed)] },
  { op: 'Flatten', name: 'axis 1', inputs: [real([2, 3, 4])] },
  { op: 'Flatten', name: 'axis 0', inputs: [real([2, 3, 4])], attributes: { axis: 0 } },
  { op: 'Flatten', name: 'axis -1', inputs: [real([2, 3, 4])], attributes: { axis: -1 } },
  { op: 'Squeeze', name: 'given axes', inputs: [real([2, 1, 3, 1]), whole([1, -1])] },
  { op: 'Squeeze', name: 'all ones', inputs: [real([1, 2, 1])], dynamic: [] },
  { op: 'Unsqueeze', name: 'two axes', inputs: [real([2, 3]), whole([0, -1])] },
  { op: 'Transpose', name: 'three axes', inputs: [real([2, 3, 4])], attributes: { perm: [2, 0, 1] } },
  { op: 'Transpose', name: 'reversed by default', inputs: [real([2, 3, 4])] },
  { op: 'Cast', name: 'to float and back', inputs: [real([2, 3])], attributes: { to: 1 }, type: 'float' },
  {
    op: 'CastLike',
    name: 'another float',
    inputs: [real([2, 3]), real([1], { constant: true, wrt: false })],
  },
  {
    op: 'Cast',
    name: 'through double',
    type: 'float',
    inputs: [real([2, 3])],
    nodes: [
      { op: 'Cast', inputs: ['x0'], outputs: ['wide'], attributes: { to: 11 } },
      { op: 'Mul', inputs: ['wide', 'wide'], outputs: ['square'] },
      { op: 'Cast', inputs: ['square'], outputs: ['y0'], attributes: { to: 1 } },
    ],
  },
  { op: 'Expand', name: 'new and repeated axes', inputs: [real([3, 1, 2]), whole([2, 3, 4, 2])] },
  { op: 'Expand', name: 'to fed dims', inputs: [real([3, 1]), whole([3, 4], [2], fed)] },
  {
    op: 'Concat',
    name: 'three parts',
    inputs: [real([2, 3]), real([2, 1]), real([2, 4])],
    attributes: { axis: 1 },
  },
  { op: 'Concat', name: 'negative axis', inputs: [real([2, 3]), real([2, 4])], attributes: { axis: -1 } },
  {
    op: 'Concat',
    name: 'one part wanted',
    inputs: [real([2, 3], { wrt: false }), real([2, 4]), real([2, 1], { wrt: false })],
    attributes: { axis: 1 },
  },
  {
    op: 'Concat',
    name: 'one part twice',
    inputs: [real([2, 3])],
    nodes: [{ op: 'Concat', inputs: ['x0', 'x0'], outputs: ['y0'], attributes: { axis: 0 } }],
  },
  {
    op: 'Split',
    name: 'uneven parts',
    inputs: [real([3, 7]), whole([2, 4, 1])],
    attributes: { axis: 1 },
    outputs: 3,
  },
  {
    op: 'Split',
    name: 'parts that nobody uses',
    inputs: [real([3, 7]), whole([1, 2, 1, 2, 1])],
    attributes: { axis: 1 },
    outputs: 5,
    seeded: [1, 3],
  },
  {
    op: 'Split',
    name: 'first part alone',
    inputs: [real([3, 7]), whole([2, 4, 1])],
    attributes: { axis: 1 },
    outputs: 3,
    seeded: [0],
  },
  {
    op: 'Split',
    name: 'equal parts, the last smaller',
    inputs: [real([5, 2])],
    attributes: { num_outputs: 3 },
    outputs: 3,
    seeded: [0, 2],
  },
  {
    op: 'Split',
    name: 'fed sizes',
    inputs: [real([3, 7]), whole([2, 4, 1], [3], fed)],
    attributes: { axis: 1 },
    outputs: 3,
    seeded: [1],
  },
  ...slices.map(
    ([name, dims, { starts, ends, axes, steps }]): Case => ({
      op: 'Slice',
      name,
      inputs: [real(dims), whole(starts), whole(ends), axes && whole(axes), steps && whole(steps)],
    }),
  ),
  ...slices.slice(0, 7).map(
    ([name, dims, { starts, ends, axes, steps }]): Case => ({
      op: 'Slice',
      name: `${name}, in float32 by convolution`,
      type: 'float',
      inputs: [real(dims), whole(starts), whole(ends), axes && whole(axes), steps && whole(steps)],
    }),
  ),
  {
    op: 'Slice',
    name: 'fed bounds',
    inputs: [real([4, 5]), whole([-3], [1], fed), whole([-1], [1], fed), whole([1]), whole([1])],
  },
  {
    op: 'Slice',
    name: 'fed bounds, step -2',
    inputs: [real([4, 6]), whole([-2], [1], fed), whole([0], [1], fed), whole([1]), whole([-2])],
  },
  { op: 'Tile', name: 'three axes', inputs: [real([2, 1, 3]), whole([1, 4, 2])] },
  { op: 'Tile', name: 'fed repeats', inputs: [real([2, 3]), whole([2, 3], [2], fed)] },
  { op: 'Tile', name: 'once', inputs: [real([2, 3]), whole([1, 1])] },
  { op: 'Trilu', name: 'upper', inputs: [real([2, 4, 3])] },
  { op: 'Trilu', name: 'lower, shifted', inputs: [real([4, 5]), whole([-1], [])], attributes: { upper: 0 } },
  {
    op: 'ReverseSequence',
    name: 'time first',
    inputs: [real([4, 3, 2]), whole([1, 4, 2])],
  },
  {
    op: 'ReverseSequence',
    name: 'batch first',
    inputs: [real([3, 4, 2]), whole([1, 4, 2], [3], { constant: false })],
    attributes: { batch_axis: 0, time_axis: 1 },
  },
  ...pads.map(
    ([name, dims, sizes]): Case => ({ op: 'Pad', name, inputs: [real(dims), whole(sizes), real([])] }),
  ),
  {
    op: 'Pad',
    name: 'given axes',
    inputs: [real([2, 3, 4]), whole([1, 0, 0, 2]), undefined, whole([-1, 0])],
  },
  { op: 'Pad', name: 'fed pads', inputs: [real([2, 3]), whole([1, 0, -1, 2], [4], fed), real([])] },
  ...(['reflect', 'edge', 'wrap'] as const).flatMap((mode): Case[] => [
    {
      op: 'Pad',
      name: mode,
      inputs: [real([2, 4, 5]), whole([0, 3, 1, 0, 1, 2])],
      attributes: { mode },
      opsets: mode === 'wrap' ? [19] : [18, 26],
    },
    {
      op: 'Pad',
      name: `${mode}, given axes, fed pads`,
      inputs: [real([2, 3, 4]), whole([2, 1, 1, 0], [4], fed), undefined, whole([1, -1])],
      attributes: { mode },
      opsets: mode === 'wrap' ? [19] : [18, 26],
    },
  ]),
  {
    op: 'CenterCropPad',
    name: 'both, odd and even',
    type: 'float',
    inputs: [real([5, 4, 3]), whole([2, 7, 3])],
  },
  {
    op: 'CenterCropPad',
    name: 'given axes',
    type: 'float',
    inputs: [real([2, 5, 6]), whole([8, 3])],
    attributes: { axes: [1, -1] },
  },
  ...(['DCR', 'CRD'] as const).map(
    (mode): Case => ({
      op: 'DepthToSpace',
      name: mode,
      inputs: [real([2, 12, 2, 3])],
      attributes: { blocksize: 2, mode },
    }),
  ),
  { op: 'SpaceToDepth', name: 'blocks of 3', inputs: [real([2, 2, 3, 6])], attributes: { blocksize: 3 } },
];
