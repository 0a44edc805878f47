import { type Case, real, weight } from '../case.js';

const same = { pads: [1, 1, 1, 1] };
const stored = { constant: true };

/** Linear in each operand, so that any step serves: a large one drowns the rounding of float32. */
const step = 0.25;

export const conv: readonly Case[] = [
  {
    op: 'Conv',
    name: 'stored weights',
    inputs: [real([2, 4, 5, 5]), weight([3, 4, 3, 3], stored), weight([3], { constant: true, wrt: false })],
    attributes: same,
  },
  {
    op: 'Conv',
    name: 'fed weights, stride 2',
    inputs: [real([2, 4, 5, 5]), weight([3, 4, 3, 3]), weight([3])],
    attributes: { ...same, strides: [2, 2] },
  },
  {
    op: 'Conv',
    name: 'strides that leave a remainder, even kernel, uneven pads',
    inputs: [real([2, 2, 8, 9]), weight([3, 2, 4, 2]), weight([3])],
    attributes: { pads: [1, 0, 2, 1], strides: [3, 2] },
  },
  {
    op: 'Conv',
    name: 'dilations and groups',
    inputs: [real([2, 4, 7, 8]), weight([6, 2, 3, 2], stored), weight([6])],
    attributes: { pads: [2, 1, 2, 1], dilations: [2, 3], group: 2 },
  },
  {
    op: 'Conv',
    name: 'groups with fed weights and strides',
    inputs: [real([2, 4, 7, 8]), weight([6, 2, 3, 2]), weight([6])],
    attributes: { pads: [1, 1, 0, 1], strides: [2, 1], dilations: [1, 2], group: 2 },
  },
  {
    op: 'Conv',
    name: 'depthwise',
    inputs: [real([2, 3, 6, 5]), weight([3, 1, 3, 3], stored), undefined],
    attributes: { ...same, group: 3 },
  },
  {
    op: 'Conv',
    name: 'depthwise with a multiplier and stride 2',
    inputs: [real([1, 3, 6, 5]), weight([6, 1, 3, 3])],
    attributes: { ...same, group: 3, strides: [2, 2] },
  },
  {
    op: 'Conv',
    name: '1 x 1, padded beyond its reach',
    inputs: [real([2, 3, 4, 4]), weight([2, 3, 1, 1], stored), weight([2])],
    attributes: same,
  },
  {
    op: 'Conv',
    name: '1 x 1 with stride 2',
    inputs: [real([2, 3, 5, 4]), weight([2, 3, 1, 1])],
    attributes: { strides: [2, 2] },
  },
  {
    op: 'Conv',
    name: '1-D',
    inputs: [real([2, 3, 9]), weight([4, 3, 3], stored), weight([4])],
    attributes: { pads: [2, 0], dilations: [2] },
  },
  {
    op: 'Conv',
    name: '1-D with strides',
    inputs: [real([2, 3, 9]), weight([4, 3, 3]), weight([4])],
    attributes: { pads: [1, 1], strides: [2] },
  },
  {
    op: 'Conv',
    name: '3-D',
    inputs: [real([1, 2, 4, 5, 4]), weight([3, 2, 2, 3, 2], stored), weight([3])],
    attributes: { pads: [0, 1, 1, 1, 1, 0] },
  },
  {
    op: 'Conv',
    name: '3-D with strides and groups',
    inputs: [real([2, 2, 4, 5, 4]), weight([2, 1, 2, 3, 2])],
    attributes: { strides: [2, 1, 2], group: 2 },
  },
  ...(['SAME_UPPER', 'SAME_LOWER', 'VALID'] as const).flatMap((auto_pad): Case[] => [
    {
      op: 'Conv',
      name: `${auto_pad}, stride 2`,
      inputs: [real([2, 2, 5, 6]), weight([3, 2, 4, 3])],
      attributes: { auto_pad, strides: [2, 2] },
    },
    {
      op: 'Conv',
      name: `${auto_pad}, stride 1, even kernel`,
      inputs: [real([2, 2, 5, 6]), weight([3, 2, 4, 3], stored)],
      attributes: { auto_pad },
    },
  ]),
  {
    op: 'ConvTranspose',
    name: 'stride 1',
    inputs: [real([2, 4, 4, 5]), weight([4, 3, 3, 3], stored), weight([3])],
    attributes: same,
  },
  {
    op: 'ConvTranspose',
    name: 'stride 2, output padding, uneven pads',
    inputs: [real([2, 3, 4, 5]), weight([3, 2, 3, 4]), weight([2])],
    attributes: { pads: [1, 0, 0, 2], strides: [2, 3], output_padding: [1, 2] },
  },
  {
    op: 'ConvTranspose',
    name: 'dilations and groups',
    inputs: [real([2, 4, 4, 3]), weight([4, 2, 2, 3]), weight([4])],
    attributes: { dilations: [2, 2], strides: [2, 1], group: 2, pads: [1, 1, 1, 1] },
  },
  ...(['SAME_UPPER', 'SAME_LOWER', 'NOTSET'] as const).map(
    (auto_pad): Case => ({
      op: 'ConvTranspose',
      name: `output shape, ${auto_pad}`,
      inputs: [real([1, 2, 4, 4]), weight([2, 2, 3, 4])],
      attributes: { auto_pad, strides: [2, 2], output_shape: [8, 7] },
      dynamic: ['batch'],
    }),
  ),
  ...(['SAME_UPPER', 'SAME_LOWER', 'VALID'] as const).map(
    (auto_pad): Case => ({
      op: 'ConvTranspose',
      name: auto_pad,
      inputs: [real([1, 2, 4, 4]), weight([2, 2, 3, 4])],
      attributes: { auto_pad, strides: [2, 2] },
    }),
  ),
  {
    op: 'ConvTranspose',
    name: '1-D',
    inputs: [real([2, 3, 5]), weight([3, 2, 4])],
    attributes: { strides: [2], pads: [1, 0] },
  },
  {
    op: 'ConvTranspose',
    name: '3-D',
    inputs: [real([1, 2, 3, 2, 3]), weight([2, 1, 2, 3, 2])],
    attributes: { strides: [1, 2, 2] },
  },
].map((item): Case => ({ type: 'float', step, ...item }));
