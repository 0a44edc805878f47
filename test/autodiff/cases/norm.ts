import { type Case, real, weight } from '../case.js';

const float = (value: number) => ({ float: value });
const epsilon = float(1e-3);
const stored = { constant: true } as const;
const unwanted = { constant: true, wrt: false } as const;
const variance = { low: 0.4, high: 2 };

/** Scale, bias, mean and variance of [2, 3, ...], stored or fed. */
const statistics = (options: object) => [
  weight([3], options),
  weight([3], options),
  weight([3], options),
  weight([3], { ...variance, ...options }),
];

export const norm: readonly Case[] = [
  {
    op: 'BatchNormalization',
    name: 'stored',
    inputs: [real([2, 3, 4]), ...statistics(unwanted)],
    type: 'float',
    attributes: { epsilon },
  },
  {
    op: 'BatchNormalization',
    name: 'stored, wanted',
    inputs: [real([2, 3, 2, 2]), ...statistics(stored)],
    attributes: { epsilon },
  },
  {
    op: 'BatchNormalization',
    name: 'fed',
    inputs: [real([2, 3, 4]), ...statistics({})],
    dynamic: ['batch', 'space', 'all', 'unknown'],
  },
  { op: 'BatchNormalization', name: 'a matrix', inputs: [real([4, 3]), ...statistics({})] },
  {
    op: 'BatchNormalization',
    name: 'older operator sets',
    type: 'float',
    inputs: [real([2, 3, 4]), ...statistics({})],
    opsets: [7, 9, 14],
  },
  {
    op: 'BatchNormalization',
    name: 'training',
    inputs: [real([3, 3, 4]), ...statistics({})],
    attributes: { training_mode: 1, epsilon },
    seeded: [0],
    outputs: 3,
  },
  {
    op: 'BatchNormalization',
    name: 'training, running statistics too',
    inputs: [real([3, 3, 4]), ...statistics({})],
    attributes: { training_mode: 1, epsilon, momentum: float(0.7) },
    outputs: 3,
  },
  {
    op: 'BatchNormalization',
    name: 'training, running variance alone',
    inputs: [real([3, 3, 4]), ...statistics({})],
    attributes: { training_mode: 1 },
    outputs: 3,
    seeded: [2],
  },
  ...[
    [2, 3, 4],
    [2, 3, 3, 2],
    [1, 3, 2, 2, 2],
  ].map((dims): Case => {
    const inputs = [real(dims), weight([3]), weight([3])];
    return {
      op: 'InstanceNormalization',
      name: `rank ${dims.length}`,
      type: 'float',
      inputs,
      attributes: { epsilon },
    };
  }),
  {
    op: 'LayerNormalization',
    name: 'last axis',
    inputs: [real([2, 3, 4]), weight([4]), weight([4])],
    attributes: { epsilon },
    dynamic: ['batch', 'all', 'unknown'],
  },
  {
    op: 'LayerNormalization',
    name: 'axis 1',
    inputs: [real([2, 3, 4]), weight([3, 4]), weight([3, 4])],
    attributes: { axis: 1, epsilon },
  },
  {
    op: 'LayerNormalization',
    name: 'no bias',
    inputs: [real([2, 3, 4]), weight([4])],
    attributes: { epsilon },
  },
  {
    op: 'LayerNormalization',
    name: 'scale and bias broadcast',
    inputs: [real([2, 3, 4]), weight([1]), weight([3, 1])],
    attributes: { axis: 1, epsilon },
  },
  {
    op: 'LayerNormalization',
    name: 'mean and deviation too',
    type: 'float',
    inputs: [real([2, 3, 4]), weight([4]), weight([4])],
    attributes: { epsilon },
    outputs: 3,
  },
  {
    op: 'LayerNormalization',
    name: 'mean and deviation alone',
    type: 'float',
    inputs: [real([2, 3, 4]), weight([4]), weight([4])],
    attributes: { epsilon },
    outputs: 3,
    seeded: [1, 2],
  },
  ...[2, 4].map((channels): Case => {
    const name = channels === 2 ? 'a scale a group' : 'a scale a channel';
    const inputs = [real([2, 4, 3, 2]), weight([channels]), weight([channels])];
    const attributes = { num_groups: 2, epsilon };
    return {
      op: 'GroupNormalization',
      name,
      type: 'float',
      inputs,
      attributes,
      opsets: channels === 2 ? [18] : [21, 26],
    };
  }),
  {
    op: 'GroupNormalization',
    name: 'one group',
    type: 'float',
    inputs: [real([2, 4, 3]), weight([4]), weight([4])],
    attributes: { num_groups: 1, epsilon },
    opsets: [21, 26],
  },
  {
    op: 'RMSNormalization',
    name: 'last axis',
    inputs: [real([2, 3, 4]), weight([4])],
    attributes: { epsilon },
    dynamic: ['batch', 'all', 'unknown'],
  },
  {
    op: 'RMSNormalization',
    name: 'axis 1',
    inputs: [real([2, 3, 4]), weight([3, 4])],
    attributes: { axis: 1, epsilon },
  },
  {
    op: 'LpNormalization',
    name: 'L2',
    inputs: [real([2, 3, 4])],
    attributes: { axis: 1 },
    order: 3,
    dynamic: ['batch', 'all', 'unknown'],
  },
  { op: 'LpNormalization', name: 'L1', inputs: [real([2, 3, 4])], attributes: { p: 1 } },
  {
    op: 'LpNormalization',
    name: 'a row of zeros',
    inputs: [real([2, 2], { values: [0, 0, 3, 4] })],
    byHand: [[0, 0, 0.032, -0.024]],
  },
  { op: 'MeanVarianceNormalization', name: 'default axes', type: 'float', inputs: [real([2, 3, 3, 2])] },
  {
    op: 'MeanVarianceNormalization',
    name: 'axes 2 and 3',
    type: 'float',
    inputs: [real([2, 3, 3, 2])],
    attributes: { axes: [2, 3] },
  },
  ...[1, 3, 5].map((size): Case => {
    const attributes = { size, alpha: float(0.4), beta: float(0.6), bias: float(1.5) };
    return {
      op: 'LRN',
      name: `size ${size}`,
      type: 'float',
      inputs: [real([2, 5, 3, 2])],
      attributes,
      dynamic: ['batch', 'space'],
    };
  }),
];
