import { DataType } from '../../../src/onnx/types.js';
import { type Case, flags, type NodeSpec, real, type Variant, whole } from '../case.js';

const wide: readonly Variant[] = ['batch', 'all', 'unknown'];
const pair = [real([2, 3, 4]), real([2, 3, 4])];
/** Broadcast both ways, with axes that are added and axes that are repeated. */
const broadcast = [real([2, 1, 4]), real([3, 1])];
const one = real([], { values: [1], constant: true, wrt: false });
const positive = { low: 0.3, high: 3 };

/** Operators of one input that have no parameters: [name, low, high, has a double kernel]. */
const single: readonly (readonly [op: string, low: number, high: number, type: 'float' | 'double'])[] = [
  ['Abs', -2, 2, 'double'],
  ['Acos', -0.8, 0.8, 'float'],
  ['Acosh', 1.3, 3, 'float'],
  ['Asin', -0.8, 0.8, 'float'],
  ['Asinh', -2, 2, 'float'],
  ['Atan', -2, 2, 'float'],
  ['Atanh', -0.8, 0.8, 'float'],
  ['Cos', -4, 4, 'double'],
  ['Cosh', -2, 2, 'float'],
  ['Erf', -2, 2, 'float'],
  ['Exp', -2, 2, 'double'],
  ['Identity', -2, 2, 'double'],
  ['Log', 0.3, 3, 'double'],
  ['Neg', -2, 2, 'double'],
  ['Reciprocal', 0.4, 3, 'double'],
  ['Sin', -4, 4, 'double'],
  ['Sinh', -2, 2, 'float'],
  ['Sqrt', 0.3, 3, 'double'],
  ['Tan', -1.2, 1.2, 'float'],
  ['Tanh', -2, 2, 'double'],
];

/** No gradient: [name, low, high, attributes]. */
const stopped: readonly (readonly [op: string, low: number, high: number])[] = [
  ['Ceil', -2, 2],
  ['Floor', -2, 2],
  ['IsInf', -2, 2],
  ['IsNaN', -2, 2],
  ['Round', -1.9, 1.9],
  ['Sign', -2, 2],
];

const cumulative: readonly { axis: number; attributes: Record<string, number> }[] = [
  { axis: 1, attributes: { exclusive: 0 } },
  { axis: -1, attributes: { exclusive: 1 } },
  { axis: 0, attributes: { reverse: 1 } },
  { axis: 1, attributes: { exclusive: 1, reverse: 1 } },
];

export const elementwise: readonly Case[] = [
  ...single.map(([op, low, high, type]): Case => {
    return { op, name: 'a tensor', type, inputs: [real([2, 3, 4], { low, high })], dynamic: wide, order: 3 };
  }),
  ...['Add', 'Sub', 'Mul', 'Div', 'Max', 'Min', 'Sum'].flatMap((op): Case[] => [
    { op, name: 'equal dims', inputs: op === 'Div' ? [pair[0], real([2, 3, 4], positive)] : pair },
    {
      op,
      name: 'broadcast',
      inputs: op === 'Div' ? [broadcast[0], real([3, 1], positive)] : broadcast,
      dynamic: wide,
      order: 3,
    },
    {
      op,
      name: 'a stored scalar',
      inputs: [real([2, 3]), real([], { values: [0.7], constant: true })],
      opsets: [7, 18, 26].slice(['Max', 'Min', 'Sum'].includes(op) ? 1 : 0),
    },
  ]),
  // The same value twice adds two terms.
  ...['Add', 'Mul', 'Div', 'Max'].map((op): Case => {
    const nodes = [{ op, inputs: ['x0', 'x0'], outputs: ['y0'] }];
    return { op, name: 'one value twice', inputs: [real([2, 3], positive)], nodes };
  }),
  { op: 'Max', name: 'three', inputs: [...pair, real([4])], dynamic: wide },
  { op: 'Max', name: 'one', inputs: [real([2, 3])] },
  {
    op: 'Max',
    name: 'ties share',
    inputs: [real([4], { values: [1, 2, 3, -1] }), real([4], { values: [1, 0, 3, 5] })],
    byHand: [
      [0.5, 1, 0.5, 0],
      [0.5, 0, 0.5, 1],
    ],
  },
  {
    op: 'Min',
    name: 'ties share',
    inputs: [real([3], { values: [1, 2, 3] }), real([3], { values: [1, 0, 5] }), real([1], { values: [1] })],
    byHand: [[1 / 3, 0, 0], [1 / 3, 1, 0], [4 / 3]],
  },
  { op: 'Sum', name: 'three', inputs: [...pair, real([4])], dynamic: wide },
  { op: 'Sum', name: 'one', inputs: [real([2, 3])] },
  { op: 'Mean', name: 'three', type: 'float', inputs: [...pair, real([4])], dynamic: wide },
  { op: 'Mean', name: 'one', type: 'float', inputs: [real([2, 3])] },
  {
    op: 'Mod',
    name: 'fmod',
    inputs: [real([2, 3, 4]), real([2, 3, 4], { low: 0.6, high: 1.1 })],
    attributes: { fmod: 1 },
  },
  {
    op: 'Mod',
    name: 'fmod, broadcast',
    inputs: [real([2, 3, 4], { low: -3.1, high: 3.2 }), real([1], { values: [-0.777] })],
    attributes: { fmod: 1 },
    dynamic: wide,
  },
  ...[0, 1, 2, 3, 0.5, -1, -1.5].map((p): Case => {
    const inputs = [real([2, 3, 4], positive), real([], { values: [p], constant: true, wrt: false })];
    return { op: 'Pow', name: `stored exponent ${p}`, inputs, order: 3 };
  }),
  { op: 'Pow', name: 'both', inputs: [real([2, 3, 4], positive), real([3, 1])], dynamic: wide, order: 3 },
  {
    op: 'Pow',
    name: 'whole exponents',
    inputs: [real([2, 3]), whole([2, 3, 1])],
    order: 3,
  },
  {
    op: 'Pow',
    name: 'exponents stored, one of them 0',
    inputs: [real([2, 3], positive), real([3], { values: [0, 1, 2.5], constant: true, wrt: false })],
  },
  {
    op: 'Pow',
    name: 'at 0',
    inputs: [real([4], { values: [0, 0, 0, 2] }), real([4], { values: [0, 1, 2, 0] })],
    byHand: [
      [0, 1, 0, 0],
      [0, 0, 0, Math.LN2],
    ],
  },
  { op: 'Abs', name: 'kink', inputs: [real([3], { values: [-2, 0, 3] })], byHand: [[-1, 0, 1]] },
  {
    op: 'Where',
    name: 'broadcast',
    inputs: [flags([1, 0, 1], [3, 1]), real([2, 1, 4]), real([3, 4])],
    dynamic: wide,
  },
  {
    op: 'Where',
    name: 'infinite where it is not taken',
    nodes: [
      { op: 'Log', inputs: ['x0'], outputs: ['log'] },
      { op: 'Where', inputs: ['x1', 'log', 'x0'], outputs: ['y0'] },
    ],
    inputs: [real([3], { values: [2, 4, -1] }), flags([1, 1, 0])],
    byHand: [[0.5, 0.25, 1]],
  },
  ...cumulative.flatMap(({ axis, attributes }): Case[] => {
    const inputs = [real([2, 5, 3]), whole([axis], [])];
    const name = `axis ${axis} ${Object.entries(attributes).flat().join(' ')}`;
    return [
      { op: 'CumSum', name, inputs, attributes, opsets: [11, 18, 26], dynamic: wide },
      { op: 'CumProd', name, inputs, attributes, dynamic: axis === 1 ? ['batch', 'space'] : [] },
    ];
  }),
  {
    op: 'CumProd',
    name: 'with zeros',
    inputs: [real([2, 5], { values: [1.5, 0, 2, -1, 3, 2, 0, 0.5, 0, -2] }), whole([1], [])],
    dynamic: ['batch'],
    order: 3,
  },
  // No gradient, on purpose.
  ...stopped.map(
    ([op, low, high]): Case => ({ op, name: 'a tensor', inputs: [real([2, 3, 4], { low, high })] }),
  ),
  ...['Equal', 'Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual'].map(
    (op): Case => ({ op, name: 'two tensors', inputs: pair }),
  ),
  ...['RandomNormalLike', 'RandomUniformLike'].map((op): Case => {
    // So little spread that 1 is added to nothing: differences are those of the dims.
    const little = { float: 1e-30 };
    const attributes: NodeSpec['attributes'] =
      op === 'RandomNormalLike' ? { scale: little } : { high: little };
    const nodes = [
      { op, inputs: ['x0'], outputs: ['random'], attributes },
      { op: 'Add', inputs: ['random', 'x1'], outputs: ['one'] },
      { op: 'Mul', inputs: ['x0', 'one'], outputs: ['y0'] },
    ];
    return {
      op,
      name: 'of no spread',
      type: 'float',
      inputs: [real([2, 3]), one],
      nodes,
      order: 1,
      opsets: [18],
    };
  }),
  {
    op: 'Bernoulli',
    name: 'certain',
    inputs: [real([4], { values: [0, 1, 1, 0] })],
    type: 'float',
    opsets: [18],
    byHand: [[0, 0, 0, 0]],
  },
  {
    op: 'Multinomial',
    name: 'one class far ahead',
    type: 'float',
    inputs: [real([2, 3], { values: [900, 0, -900, -900, 0, 900] })],
    attributes: { sample_size: 2 },
    opsets: [18],
  },
  { op: 'EyeLike', name: 'a matrix', inputs: [real([3, 4])], attributes: { k: 1 } },
  { op: 'NonZero', name: 'a matrix', type: 'float', inputs: [real([2, 3])] },
  ...['Shape', 'Size'].map((op): Case => {
    const nodes = [
      { op, inputs: ['x0'], outputs: ['dims'] },
      { op: 'Cast', inputs: ['dims'], outputs: ['numbers'], attributes: { to: DataType.FLOAT } },
      { op: 'Mul', inputs: ['x0', 'numbers'], outputs: ['y0'] },
    ];
    return { op, name: 'as a factor', type: 'float', inputs: [real([5, 2])], nodes };
  }),
  {
    op: 'ConstantOfShape',
    name: 'added',
    type: 'float',
    nodes: [
      { op: 'Shape', inputs: ['x0'], outputs: ['shape'] },
      { op: 'ConstantOfShape', inputs: ['shape'], outputs: ['zeros'] },
      { op: 'Add', inputs: ['x0', 'zeros'], outputs: ['y0'] },
    ],
    inputs: [real([2, 3])],
  },
];
