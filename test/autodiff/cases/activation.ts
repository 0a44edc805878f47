import { type Case, flags, real, type Variant, weight } from '../case.js';

const wide: readonly Variant[] = ['batch', 'all', 'unknown'];
const float = (value: number) => ({ float: value });
const kinks = (values: readonly number[]) => [real([values.length], { values })];

/** Activations that are smooth, or whose kinks the spread values avoid: [name, settings, double kernel]. */
const plain: readonly (readonly [
  op: string,
  attributes: Record<string, { float: number }>,
  'float' | 'double',
])[] = [
  ['Celu', {}, 'float'],
  ['Celu', { alpha: float(0.6) }, 'float'],
  ['Elu', {}, 'double'],
  ['Elu', { alpha: float(0.6) }, 'double'],
  ['Elu', { alpha: float(-0.6) }, 'double'],
  ['HardSigmoid', {}, 'double'],
  ['HardSigmoid', { alpha: float(0.4), beta: float(0.6) }, 'double'],
  ['LeakyRelu', {}, 'float'],
  ['LeakyRelu', { alpha: float(0.3) }, 'float'],
  ['LeakyRelu', { alpha: float(-0.3) }, 'float'],
  ['Mish', {}, 'float'],
  ['Relu', {}, 'double'],
  ['Selu', {}, 'double'],
  ['Selu', { alpha: float(1.2), gamma: float(0.9) }, 'double'],
  ['Shrink', {}, 'double'],
  ['Shrink', { lambd: float(0.7), bias: float(0.2) }, 'double'],
  ['Sigmoid', {}, 'double'],
  ['Softplus', {}, 'double'],
  ['Softsign', {}, 'double'],
  ['ThresholdedRelu', {}, 'double'],
  ['ThresholdedRelu', { alpha: float(-0.7) }, 'double'],
];

const bounds = [
  real([], { values: [-0.7], constant: true, wrt: false }),
  real([], { values: [1.11], constant: true, wrt: false }),
];

export const activation: readonly Case[] = [
  ...plain.map(([op, attributes, type]): Case => {
    const name =
      Object.entries(attributes)
        .map(([key, value]) => `${key} ${value.float}`)
        .join(', ') || 'defaults';
    return { op, name, type, inputs: [real([2, 3, 4])], attributes, dynamic: wide, order: 3 };
  }),
  {
    op: 'HardSwish',
    name: 'all three parts',
    inputs: [real([2, 3, 4], { low: -5, high: 5 })],
    dynamic: wide,
  },
  { op: 'Gelu', name: 'exact', type: 'float', inputs: [real([2, 3, 4])], dynamic: wide, order: 3 },
  {
    op: 'Gelu',
    name: 'tanh',
    type: 'float',
    inputs: [real([2, 3, 4])],
    attributes: { approximate: 'tanh' },
    dynamic: wide,
    order: 3,
  },
  ...[1, 0.7].map((alpha): Case => {
    const meaning = [
      { op: 'Mul', inputs: ['x0', 'x1'], outputs: ['scaled'] },
      { op: 'Sigmoid', inputs: ['scaled'], outputs: ['gate'] },
      { op: 'Mul', inputs: ['x0', 'gate'], outputs: ['y0'] },
    ];
    const nodes = [{ op: 'Swish', inputs: ['x0'], outputs: ['y0'], attributes: { alpha: float(alpha) } }];
    const inputs = [real([2, 3, 4]), real([], { values: [alpha], constant: true, wrt: false })];
    return { op: 'Swish', name: `alpha ${alpha}`, type: 'float', inputs, nodes, meaning, order: 3 };
  }),
  { op: 'Relu', name: 'kink', inputs: kinks([-1, 0, 2]), byHand: [[0, 0, 1]] },
  {
    op: 'Relu',
    name: 'below a root, whose slope is infinite at 0',
    nodes: [
      { op: 'Relu', inputs: ['x0'], outputs: ['kept'] },
      { op: 'Sqrt', inputs: ['kept'], outputs: ['y0'] },
    ],
    inputs: kinks([-1, 0, 4]),
    byHand: [[0, 0, 0.25]],
  },
  {
    op: 'LeakyRelu',
    name: 'kink',
    type: 'float',
    inputs: kinks([-1, 0, 2]),
    attributes: { alpha: float(0.25) },
    byHand: [[0.25, 0.25, 1]],
  },
  { op: 'Elu', name: 'kink', inputs: kinks([0, 2]), attributes: { alpha: float(0.5) }, byHand: [[0.5, 1]] },
  {
    op: 'HardSigmoid',
    name: 'kinks',
    inputs: kinks([-3, -2, 0, 2, 3]),
    attributes: { alpha: float(0.25) },
    byHand: [[0, 0, 0.25, 0, 0]],
  },
  { op: 'HardSwish', name: 'kinks', inputs: kinks([-4, -3, 0, 3, 4]), byHand: [[0, -0.5, 0.5, 1.5, 1]] },
  { op: 'Shrink', name: 'kinks', inputs: kinks([-1, -0.5, 0, 0.5, 1]), byHand: [[1, 0, 0, 0, 1]] },
  { op: 'ThresholdedRelu', name: 'kink', inputs: kinks([0, 1, 2]), byHand: [[0, 0, 1]] },
  {
    op: 'PRelu',
    name: 'a slope a channel',
    type: 'float',
    inputs: [real([2, 3, 4]), weight([3, 1], { low: 0.1, high: 0.5 })],
    opsets: [7, 18, 26],
  },
  {
    op: 'PRelu',
    name: 'a stored slope',
    inputs: [real([2, 3, 4]), weight([1], { values: [-0.2], constant: true })],
  },
  { op: 'PRelu', name: 'slopes of any dims', inputs: [real([2, 3, 4]), real([2, 3, 4])], dynamic: wide },
  {
    op: 'PRelu',
    name: 'kink',
    inputs: [real([3], { values: [-1, 0, 2] }), weight([1], { values: [0.25] })],
    byHand: [[0.25, 0.25, 1], [-1]],
  },
  { op: 'Clip', name: 'both bounds', inputs: [real([2, 3, 4]), ...bounds], dynamic: wide },
  {
    op: 'Clip',
    name: 'attributes',
    type: 'float',
    inputs: [real([2, 3, 4])],
    attributes: { min: float(-0.7), max: float(1.11) },
    opsets: [7, 10],
  },
  {
    op: 'Clip',
    name: 'lower attribute',
    type: 'float',
    inputs: [real([2, 3, 4])],
    attributes: { min: float(-0.7) },
    opsets: [7],
  },
  { op: 'Clip', name: 'lower bound', inputs: [real([2, 3, 4]), bounds[0]] },
  { op: 'Clip', name: 'upper bound', inputs: [real([2, 3, 4]), undefined, bounds[1]] },
  { op: 'Clip', name: 'no bound', inputs: [real([2, 3, 4])] },
  {
    op: 'Clip',
    name: 'bounds wanted',
    inputs: [real([2, 3, 4]), weight([], { values: [-0.7] }), weight([], { values: [1.11] })],
  },
  { op: 'Clip', name: 'lower bound wanted', inputs: [real([2, 3]), weight([], { values: [-0.7] })] },
  {
    op: 'Clip',
    name: 'upper bound wanted',
    inputs: [real([2, 3]), undefined, weight([], { values: [0.77] })],
  },
  {
    op: 'Clip',
    name: 'at the bounds',
    inputs: [
      real([5], { values: [-2, -1, 0, 1, 2] }),
      weight([], { values: [-1] }),
      weight([], { values: [1] }),
    ],
    byHand: [[0, 0, 1, 0, 0], [2], [2]],
  },
  {
    op: 'Dropout',
    name: 'inference',
    type: 'float',
    inputs: [real([2, 3])],
    attributes: { ratio: float(0.4) },
    opsets: [7, 10],
  },
  {
    op: 'Dropout',
    name: 'inference by input',
    inputs: [real([2, 3]), real([], { values: [0.4], constant: true, wrt: false }), flags([0], [])],
  },
  {
    op: 'Dropout',
    name: 'training that drops nothing',
    inputs: [real([2, 3]), real([], { values: [0], constant: true, wrt: false }), flags([1], [])],
  },
  {
    op: 'Dropout',
    name: 'training told when it runs',
    inputs: [
      real([2, 3]),
      real([], { values: [0], wrt: false, fixed: true }),
      flags([1], [], { constant: false, fixed: true }),
    ],
  },
  ...['Softmax', 'LogSoftmax'].flatMap((op): Case[] => [
    { op, name: 'last axis', inputs: [real([2, 3, 4])], dynamic: wide, order: 3 },
    { op, name: 'axis 1', inputs: [real([2, 3, 4])], attributes: { axis: 1 }, dynamic: wide },
    { op, name: 'axes counted as one', inputs: [real([2, 3, 4])], opsets: [7, 12] },
    {
      op,
      name: 'axes counted as one, from the first',
      inputs: [real([2, 3])],
      attributes: { axis: 0 },
      opsets: [11],
    },
    {
      op,
      name: 'last axis before operator set 13',
      inputs: [real([2, 3, 4])],
      attributes: { axis: 2 },
      opsets: [9],
    },
    { op, name: 'large values', inputs: [real([1, 4], { values: [900, -900, 899, 899.5] })] },
  ]),
  { op: 'Hardmax', name: 'axis 1', type: 'float', inputs: [real([2, 3, 4])], attributes: { axis: 1 } },
  { op: 'ArgMax', name: 'axis 1', inputs: [real([2, 3, 4])], attributes: { axis: 1 } },
  { op: 'ArgMin', name: 'axis 2', inputs: [real([2, 3, 4])], attributes: { axis: 2, keepdims: 0 } },
];
