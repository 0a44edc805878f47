import { type Case, real, weight, whole } from '../case.js';

const step = 0.25; // linear
const k = (...kernel_shape: number[]) => ({ kernel_shape });

/** Largest of 0, 1, 2 in overlapping windows, with ties everywhere: the first in row-major order wins. */
const tied = [1, 1, 0, 1, /**/ 1, 0, 1, 1, /**/ 0, 0, 2, 2, /**/ 0, 0, 2, 2];

const maxima: readonly Case[] = [
  {
    op: 'MaxPool',
    name: '2 x 2, stride 2',
    inputs: [real([2, 3, 6, 4])],
    attributes: { ...k(2, 2), strides: [2, 2] },
  },
  {
    op: 'MaxPool',
    name: '2 x 2, stride 2, remainder',
    inputs: [real([2, 3, 7, 5])],
    attributes: { ...k(2, 2), strides: [2, 2] },
  },
  {
    op: 'MaxPool',
    name: '3 x 3, stride 2',
    inputs: [real([2, 3, 7, 9])],
    attributes: { ...k(3, 3), strides: [2, 2] },
  },
  {
    op: 'MaxPool',
    name: '3 x 3, stride 2, padded, as ResNets have it',
    inputs: [real([2, 2, 8, 7])],
    attributes: { ...k(3, 3), strides: [2, 2], pads: [1, 1, 1, 1] },
  },
  {
    op: 'MaxPool',
    name: '3 x 3, stride 2, ceil mode',
    inputs: [real([2, 2, 8, 6])],
    attributes: { ...k(3, 3), strides: [2, 2], ceil_mode: 1 },
  },
  {
    op: 'MaxPool',
    name: 'ceil mode, a last window that would begin in the padding',
    inputs: [real([2, 2, 7, 6])],
    attributes: { ...k(2, 2), strides: [2, 2], pads: [1, 1, 1, 1], ceil_mode: 1 },
  },
  {
    op: 'MaxPool',
    name: 'ceil mode, strides beyond the picture',
    inputs: [real([1, 2, 3, 7])],
    attributes: { ...k(1, 3), strides: [3, 4], pads: [0, 1, 0, 2], ceil_mode: 1 },
  },
  {
    op: 'MaxPool',
    name: '3 x 3, stride 1, padded',
    inputs: [real([1, 2, 5, 6])],
    attributes: { ...k(3, 3), pads: [1, 1, 1, 1] },
  },
  {
    op: 'MaxPool',
    name: 'uneven everything',
    inputs: [real([2, 2, 9, 8])],
    attributes: { ...k(3, 2), strides: [2, 3], pads: [1, 0, 2, 1], dilations: [2, 1] },
  },
  {
    op: 'MaxPool',
    name: 'dilated beside stride 1',
    inputs: [real([1, 2, 8, 8])],
    attributes: { ...k(2, 3), dilations: [3, 2], pads: [1, 2, 1, 2] },
  },
  {
    op: 'MaxPool',
    name: 'gaps between windows',
    inputs: [real([1, 2, 8, 9])],
    attributes: { ...k(2, 2), strides: [3, 4] },
  },
  {
    op: 'MaxPool',
    name: '1-D',
    inputs: [real([2, 3, 9])],
    attributes: { ...k(3), strides: [2], pads: [1, 1] },
  },
  {
    op: 'MaxPool',
    name: '3-D',
    inputs: [real([1, 2, 4, 6, 5])],
    attributes: { ...k(2, 3, 2), strides: [2, 2, 1] },
  },
  {
    op: 'MaxPool',
    name: 'SAME_UPPER',
    inputs: [real([1, 2, 7, 6])],
    attributes: { ...k(3, 3), strides: [2, 2], auto_pad: 'SAME_UPPER' },
    dynamic: ['batch'],
  },
  {
    op: 'MaxPool',
    name: 'SAME_LOWER',
    inputs: [real([1, 2, 7, 6])],
    attributes: { ...k(2, 2), strides: [2, 2], auto_pad: 'SAME_LOWER' },
    dynamic: ['batch'],
  },
  {
    op: 'MaxPool',
    name: 'with its indices, in column order',
    inputs: [real([2, 2, 5, 6])],
    attributes: { ...k(2, 2), storage_order: 1 },
    outputs: 2,
  },
  {
    op: 'MaxPool',
    name: 'ties, overlapping',
    inputs: [real([1, 1, 4, 4], { values: tied })],
    attributes: k(2, 2),
    byHand: [[1, 1, 0, 1, 1, 0, 0, 0, 1, 0, 4, 0, 0, 0, 0, 0]],
  },
  {
    op: 'MaxPool',
    name: 'ties, side by side',
    inputs: [real([1, 1, 4, 4], { values: tied })],
    attributes: { ...k(2, 2), strides: [2, 2] },
    byHand: [[1, 0, 0, 1, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0]],
  },
  {
    op: 'MaxPool',
    name: 'ties, padded',
    inputs: [real([1, 1, 3, 3], { values: [-1, -1, -1, -1, -1, -1, -1, -1, -1] })],
    attributes: { ...k(3, 3), strides: [2, 2], pads: [1, 1, 1, 1] },
    byHand: [[1, 1, 0, 1, 1, 0, 0, 0, 0]],
  },
];

export const pool: readonly Case[] = [
  ...maxima.map((item): Case => ({ type: 'float', step: 2 ** -9, ...item })), // the gaps between values are small
  {
    op: 'MaxUnpool',
    type: 'float',
    opsets: [18, 21],
    name: 'two pictures',
    inputs: [
      real([2, 1, 2, 2]),
      whole([5, 6, 8, 11, 16, 19, 29, 31], [2, 1, 2, 2], { constant: false, fixed: true }),
    ],
    attributes: { ...k(2, 2), strides: [2, 2] },
  },
  {
    op: 'MaxUnpool',
    type: 'float',
    opsets: [18, 21],
    name: 'given output shape',
    inputs: [real([1, 1, 2, 2]), whole([5, 6, 13, 24], [1, 1, 2, 2]), whole([1, 1, 5, 5])],
    attributes: { ...k(2, 2), strides: [2, 2] },
  },
  ...([0, 1] as const).flatMap((count_include_pad): Case[] => {
    const how = count_include_pad ? 'pads counted' : 'pads not counted';
    const a = { count_include_pad };
    const averages: Case[] = [
      {
        op: 'AveragePool',
        name: `side by side, ${how}`,
        inputs: [real([2, 2, 4, 6])],
        attributes: { ...a, ...k(2, 3), strides: [2, 3] },
      },
      {
        op: 'AveragePool',
        name: `side by side with a remainder, ${how}`,
        inputs: [real([2, 2, 5, 7])],
        attributes: { ...a, ...k(2, 2), strides: [2, 2] },
      },
      {
        op: 'AveragePool',
        name: `stride 1, ${how}`,
        inputs: [real([2, 2, 5, 6])],
        attributes: { ...a, ...k(3, 2), pads: [1, 0, 1, 1] },
      },
      {
        op: 'AveragePool',
        name: `stride 1, whole, ${how}`,
        inputs: [real([2, 2, 5, 6])],
        attributes: { ...a, ...k(4, 3) },
      },
      {
        op: 'AveragePool',
        name: `overlapping, uneven, ${how}`,
        inputs: [real([2, 2, 8, 7])],
        attributes: { ...a, ...k(3, 4), strides: [2, 3], pads: [1, 2, 0, 1] },
      },
      {
        op: 'AveragePool',
        name: `ceil mode, ${how}`,
        inputs: [real([2, 2, 8, 6])],
        attributes: { ...a, ...k(3, 3), strides: [2, 2], pads: [1, 1, 1, 1], ceil_mode: 1 },
      },
      {
        op: 'AveragePool',
        name: `ceil mode, a last window that would begin in the padding, ${how}`,
        inputs: [real([2, 2, 7, 6])],
        attributes: { ...a, ...k(2, 2), strides: [2, 2], pads: [1, 1, 1, 1], ceil_mode: 1 },
      },
      {
        op: 'AveragePool',
        name: `ceil mode without pads, ${how}`,
        inputs: [real([2, 2, 7, 6])],
        attributes: { ...a, ...k(2, 2), strides: [2, 2], ceil_mode: 1 },
      },
      {
        op: 'AveragePool',
        name: `SAME_UPPER, ${how}`,
        inputs: [real([1, 2, 5, 6])],
        attributes: { ...a, ...k(3, 2), strides: [2, 2], auto_pad: 'SAME_UPPER' },
        dynamic: ['batch'],
      },
      {
        op: 'AveragePool',
        name: `dilated, ${how}`,
        opsets: [19],
        inputs: [real([1, 2, 7, 6])],
        attributes: { ...a, ...k(2, 3), dilations: [3, 2], pads: [1, 1, 1, 1] },
      },
      {
        op: 'AveragePool',
        name: `1-D, ${how}`,
        inputs: [real([2, 2, 7])],
        attributes: { ...a, ...k(3), strides: [2], pads: [1, 1] },
      },
      {
        op: 'AveragePool',
        name: `3-D, ${how}`,
        inputs: [real([1, 2, 4, 3, 4])],
        attributes: { ...a, ...k(2, 2, 3), strides: [2, 1, 1] },
      },
    ];
    return averages.map((item) => ({ type: 'float', step, ...item }));
  }),
  { op: 'GlobalAveragePool', name: '2-D', type: 'float', step, inputs: [real([2, 3, 4, 5])] },
  { op: 'GlobalAveragePool', name: '1-D', type: 'float', step, inputs: [real([2, 3, 4])] },
  { op: 'GlobalAveragePool', name: '3-D', type: 'float', step, inputs: [real([1, 2, 2, 3, 2])] },
  { op: 'GlobalMaxPool', name: '2-D', type: 'float', inputs: [real([2, 3, 3, 4])] },
  { op: 'GlobalMaxPool', name: '3-D', type: 'float', inputs: [real([2, 2, 2, 3, 2])] },
  {
    op: 'GlobalMaxPool',
    name: 'ties',
    type: 'float',
    inputs: [real([1, 2, 2, 2], { values: [0, 1, 1, 0, 0, 0, 0, 0] })],
    byHand: [[0, 1, 0, 0, 1, 0, 0, 0]],
  },
  ...[1, 2, 3].flatMap((p): Case[] => [
    {
      op: 'LpPool',
      name: `p = ${p}, overlapping, padded`,
      type: 'float',
      step: 2 ** -9,
      inputs: [real([2, 2, 6, 5])],
      attributes: { p, ...k(3, 2), strides: [2, 1], pads: [1, 0, 1, 1] },
    },
    {
      op: 'GlobalLpPool',
      name: `p = ${p}`,
      type: 'float',
      opsets: [18, 21],
      inputs: [real([2, 3, 3, 2])],
      attributes: { p },
    },
  ]),
  {
    op: 'LpPool',
    name: '1-D',
    type: 'float',
    inputs: [real([2, 2, 7])],
    attributes: { ...k(3), strides: [2] },
  },
  {
    op: 'LpPool',
    name: 'dilated, ceil mode',
    type: 'float',
    inputs: [real([2, 2, 8, 6])],
    attributes: { ...k(2, 2), strides: [2, 2], dilations: [2, 3], ceil_mode: 1 },
  },
  {
    op: 'LpPool',
    name: 'ceil mode, a last window that would begin in the padding',
    type: 'float',
    step: 2 ** -9,
    inputs: [real([2, 2, 7, 6])],
    attributes: { ...k(2, 2), strides: [2, 2], pads: [1, 1, 1, 1], ceil_mode: 1 },
  },
  {
    op: 'LpPool',
    name: 'zeros',
    type: 'float',
    inputs: [real([1, 1, 1, 4], { values: [0, 0, 3, 4] })],
    attributes: { ...k(1, 2), strides: [1, 2] },
    byHand: [[0, 0, 0.6, 0.8]],
  },
  ...(['half_pixel', 'output_half_pixel'] as const).map(
    (coordinate_transformation_mode): Case => ({
      op: 'RoiAlign',
      opsets: [16, 21],
      name: coordinate_transformation_mode,
      type: 'float',
      step,
      inputs: [
        real([2, 3, 5, 6]),
        weight([3, 4], { values: [0, 0, 4, 5, 1.5, 0.5, 4.25, 2, 2, 1, 5, 4.5], wrt: false }),
        whole([0, 1, 1], [3], { constant: false }),
      ],
      attributes: { coordinate_transformation_mode, output_height: 2, output_width: 3, sampling_ratio: 0 },
      dynamic: ['batch'],
    }),
  ),
];
