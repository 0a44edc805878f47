import type { Plain } from '../../../src/graph/attributes.js';
import { sizeOf } from '../../../src/tensor.js';
import { type Case, type Input, real, weight, whole } from '../case.js';

/** Numbers from low to high that keep 0.2 away from whole and half ones, where interpolation has kinks. */
function fractions(count: number, low: number, high: number): number[] {
  const offsets = [0.27, 0.73, 0.22, 0.78];
  return Array.from({ length: count }, (_, i) => low + ((i * 7) % (high - low)) + offsets[i % 4]);
}

/** A grid whose points lie in and around a picture of these dims. */
function grid(batch: number, points: readonly number[], picture: readonly number[], aligned: boolean): Input {
  const count = batch * sizeOf(points);
  const columns = picture
    .toReversed()
    .map((size) =>
      fractions(count, -2, size + 1).map((pixel) =>
        aligned ? (2 * pixel) / (size - 1) - 1 : (2 * pixel + 1) / size - 1,
      ),
    );
  const values = Array.from({ length: count }, (_, i) =>
    columns.map((column, axis) => column[(i + axis) % count]),
  );
  return real([batch, ...points, picture.length], { values: values.flat() });
}

const grids: readonly Case[] = (['zeros', 'border', 'reflection'] as const).flatMap((padding_mode) =>
  [0, 1].flatMap((align_corners) => [
    ...(['linear', 'nearest', 'cubic'] as const).map((mode): Case => {
      const attributes = { mode, padding_mode, align_corners };
      return {
        op: 'GridSample',
        name: `2-D, ${mode}, ${padding_mode}, corners ${align_corners ? 'aligned' : 'not aligned'}`,
        opsets: [20, 26],
        inputs: [real([2, 2, 3, 4]), grid(2, [3, 2], [3, 4], align_corners === 1)],
        attributes,
      };
    }),
    ...(['linear', 'nearest'] as const).map((mode): Case => {
      const attributes = { mode, padding_mode, align_corners };
      return {
        op: 'GridSample',
        name: `3-D, ${mode}, ${padding_mode}, corners ${align_corners ? 'aligned' : 'not aligned'}`,
        opsets: [20, 26],
        inputs: [real([1, 2, 2, 3, 4]), grid(1, [2, 2, 2], [2, 3, 4], align_corners === 1)],
        attributes,
      };
    }),
  ]),
);

const kernels: Readonly<Record<string, Plain>> = { kernel_shape: [2, 2] };

export const sampling: readonly Case[] = [
  ...grids.map((item): Case => ({ type: 'float', ...item })),
  {
    op: 'GridSample',
    name: 'opset 16 names',
    type: 'float',
    opsets: [18],
    inputs: [real([1, 2, 3, 4]), grid(1, [3, 2], [3, 4], false)],
    attributes: { mode: 'bilinear', padding_mode: 'border' },
  },
  ...[0, 1].flatMap((align_corners): Case[] => [
    {
      op: 'AffineGrid',
      name: `2-D, corners ${align_corners ? 'aligned' : 'not aligned'}`,
      inputs: [real([2, 2, 3]), whole([2, 3, 4, 5])],
      attributes: { align_corners },
    },
    {
      op: 'AffineGrid',
      name: `3-D, corners ${align_corners ? 'aligned' : 'not aligned'}`,
      inputs: [real([2, 3, 4]), whole([2, 1, 2, 3, 4])],
      attributes: { align_corners },
    },
  ]),
  {
    op: 'Col2Im',
    name: '2-D, overlapping',
    type: 'float',
    step: 0.25,
    inputs: [real([2, 12, 6]), whole([4, 5]), whole([2, 3])],
    attributes: { strides: [2, 1], pads: [0, 0, 0, 0] },
  },
  {
    op: 'Col2Im',
    name: '2-D, padded, dilated',
    type: 'float',
    step: 0.25,
    inputs: [real([1, 8, 20]), whole([5, 5]), whole([2, 2])],
    attributes: { dilations: [2, 1], pads: [0, 0, 1, 1], strides: [1, 1] },
  },
  {
    op: 'DeformConv',
    type: 'float',
    opsets: [19],
    name: 'plain',
    inputs: [real([1, 2, 4, 4]), weight([3, 2, 2, 2]), real([1, 8, 3, 3], { values: fractions(72, -1, 1) })],
    attributes: kernels,
  },
  {
    op: 'DeformConv',
    type: 'float',
    opsets: [19],
    name: 'mask, bias, groups, strides, pads',
    inputs: [
      real([2, 4, 5, 4]),
      weight([2, 2, 2, 2]),
      real([2, 16, 3, 5], { values: fractions(480, -2, 2) }),
      weight([2]),
      real([2, 8, 3, 5]),
    ],
    attributes: { ...kernels, group: 2, offset_group: 2, strides: [2, 1], pads: [0, 1, 1, 1] },
  },
];
