import { float } from '../../../src/graph/attributes.js';
import { type Case, real, whole } from '../case.js';

const stored = { constant: true, wrt: false } as const;
const scales = (...values: number[]) => real([values.length], { values, ...stored });
const absent = undefined;

const coordinates = [
  'half_pixel',
  'pytorch_half_pixel',
  'align_corners',
  'asymmetric',
  'half_pixel_symmetric',
] as const;
const roundings = ['round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil'] as const;

const modes: readonly Case[] = coordinates.flatMap((coordinate_transformation_mode): Case[] => {
  const opsets = coordinate_transformation_mode === 'half_pixel_symmetric' ? [19, 26] : [18, 26];
  const base = { op: 'Resize', opsets } as const;
  const how = { coordinate_transformation_mode };
  return [
    ...roundings.map(
      (nearest_mode): Case => ({
        ...base,
        name: `nearest, ${coordinate_transformation_mode}, ${nearest_mode}`,
        inputs: [real([1, 2, 4, 5]), absent, scales(1, 1, 1.7, 0.6)],
        attributes: { ...how, nearest_mode },
      }),
    ),
    ...roundings.map(
      (nearest_mode): Case => ({
        ...base,
        name: `nearest, whole scales, ${coordinate_transformation_mode}, ${nearest_mode}`,
        inputs: [real([2, 1, 3, 4]), absent, scales(1, 1, 3, 2)],
        attributes: { ...how, nearest_mode },
      }),
    ),
    {
      ...base,
      name: `linear, ${coordinate_transformation_mode}`,
      inputs: [real([1, 2, 4, 5]), absent, scales(1, 1, 1.7, 0.6)],
      attributes: { ...how, mode: 'linear' },
    },
    {
      ...base,
      name: `linear to sizes, ${coordinate_transformation_mode}`,
      inputs: [real([2, 2, 4, 5]), absent, absent, whole([2, 2, 8, 3])],
      attributes: { ...how, mode: 'linear' },
    },
    {
      ...base,
      name: `cubic, ${coordinate_transformation_mode}`,
      inputs: [real([1, 2, 4, 5]), absent, scales(1, 1, 2, 0.6)],
      attributes: { ...how, mode: 'cubic', cubic_coeff_a: float(-0.5) },
    },
    {
      ...base,
      name: `cubic without outside, ${coordinate_transformation_mode}`,
      inputs: [real([1, 2, 4, 5]), absent, scales(1, 1, 1.5, 1.2)],
      attributes: { ...how, mode: 'cubic', exclude_outside: 1 },
    },
  ];
});

export const resize: readonly Case[] = [
  ...modes,
  ...(['linear', 'cubic'] as const).map(
    (mode): Case => ({
      op: 'Resize',
      name: `${mode}, antialias`,
      inputs: [real([1, 2, 7, 6]), absent, absent, whole([1, 2, 3, 4])],
      attributes: { mode, antialias: 1 },
    }),
  ),
  ...(['nearest', 'linear', 'cubic'] as const).map(
    (mode): Case => ({
      op: 'Resize',
      name: `${mode}, cut out`,
      inputs: [real([1, 2, 5, 6]), scales(0, 0, 0.2, -0.1, 1, 1, 0.9, 1.2), absent, whole([1, 2, 4, 7])],
      attributes: {
        mode,
        coordinate_transformation_mode: 'tf_crop_and_resize',
        extrapolation_value: float(3),
      },
      dynamic: ['batch'],
    }),
  ),
  {
    op: 'Resize',
    name: 'given axes',
    inputs: [real([1, 2, 4, 5]), absent, absent, whole([3, 6])],
    attributes: { axes: [3, 2], mode: 'linear' },
  },
  ...(['not_larger', 'not_smaller'] as const).flatMap((keep_aspect_ratio_policy): Case[] =>
    [
      [7, 6],
      [3, 9],
    ].map(
      (sizes): Case => ({
        op: 'Resize',
        name: `linear, ${keep_aspect_ratio_policy} than ${sizes.join(' x ')}`,
        inputs: [real([1, 2, 4, 5]), absent, absent, whole(sizes)],
        attributes: { axes: [2, 3], mode: 'linear', keep_aspect_ratio_policy },
        dynamic: ['batch'],
      }),
    ),
  ),
  {
    op: 'Resize',
    name: '1-D, linear',
    inputs: [real([2, 2, 5]), absent, scales(1, 1, 2)],
    attributes: { mode: 'linear' },
  },
  {
    op: 'Resize',
    name: '3-D, linear',
    inputs: [real([1, 2, 3, 2, 4]), absent, scales(1, 1, 2, 1.5, 0.5)],
    attributes: { mode: 'linear' },
  },
  {
    op: 'Resize',
    name: '3-D, nearest',
    inputs: [real([1, 2, 3, 2, 4]), absent, scales(1, 1, 2, 3, 2)],
    attributes: { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' },
  },
  {
    op: 'Resize',
    name: 'nearest over a leading axis',
    inputs: [real([2, 3, 4]), absent, scales(1, 2, 1)],
    attributes: { mode: 'nearest' },
  },
  {
    op: 'Resize',
    name: 'fed scales',
    inputs: [real([1, 2, 4, 5]), absent, real([4], { values: [1, 1, 2, 1.5], wrt: false, fixed: true })],
    attributes: { mode: 'linear' },
  },
  { op: 'Upsample', name: 'nearest', opsets: [9], inputs: [real([1, 2, 3, 2]), scales(1, 1, 2, 3)] },
  {
    op: 'Upsample',
    name: 'linear, uneven',
    opsets: [9],
    inputs: [real([1, 2, 3, 4]), scales(1, 1, 1.5, 2)],
    attributes: { mode: 'linear' },
  },
  {
    op: 'Upsample',
    name: 'scales as attribute',
    opsets: [7],
    inputs: [real([1, 2, 3, 4])],
    attributes: { scales: float([1, 1, 2, 1.5]) },
  },
  {
    op: 'Resize',
    name: 'opset 10',
    opsets: [10],
    inputs: [real([1, 2, 3, 4]), scales(1, 1, 1.5, 2)],
    attributes: { mode: 'linear' },
  },
].map((item): Case => ({ type: 'float', step: 0.25, ...item })); // linear
