import { describe, expect, test } from 'vitest';
import { float, type Plain } from '../../src/graph/attributes.js';
import { canonicalize, canonicalOpset } from '../../src/graph/canonical.js';
import { DataType } from '../../src/onnx/types.js';
import { real, weight, whole } from '../autodiff/case.js';
import { built, expectSame, outputsOf, prepared, type Spec } from './equal.js';

const reduced: readonly Readonly<Record<string, Plain>>[] = [
  { axes: [0, 2] },
  { axes: [1], keepdims: 0 },
  {},
];

/** Older spellings: [operator sets that have them, the node]. Outputs must be those that ONNX Runtime gives to the old node. */
const older: readonly [readonly number[], Spec][] = [
  [
    [7, 8],
    {
      op: 'BatchNormalization',
      name: 'inference',
      inputs: [real([2, 3, 4]), weight([3]), weight([3]), weight([3]), weight([3], { low: 0.5 })],
      attributes: { epsilon: float(0.01), momentum: float(0.5) },
    },
  ],
  [
    [9, 13],
    {
      op: 'BatchNormalization',
      name: 'inference',
      inputs: [real([2, 3, 4]), weight([3]), weight([3]), weight([3]), weight([3], { low: 0.5 })],
    },
  ],
  [
    [7, 10],
    {
      op: 'Clip',
      name: 'both bounds',
      inputs: [real([3, 4])],
      attributes: { min: float(-0.5), max: float(1) },
    },
  ],
  [[7, 10], { op: 'Clip', name: 'lower bound', inputs: [real([3, 4])], attributes: { min: float(-0.5) } }],
  [[7, 10], { op: 'Clip', name: 'upper bound', inputs: [real([3, 4])], attributes: { max: float(-0.5) } }],
  [[7, 10], { op: 'Clip', name: 'no bound', inputs: [real([3, 4])] }],
  [
    [7, 10, 11],
    { op: 'Dropout', name: 'inference', inputs: [real([3, 4])], attributes: { ratio: float(0.3) } },
  ],
  ...(['Softmax', 'LogSoftmax', 'Hardmax'] as const).flatMap((op) =>
    [0, 1, 2, -1, undefined].map((axis): [readonly number[], Spec] => [
      axis === -1 ? [11] : [7, 11, 12],
      { op, name: `axis ${axis}`, inputs: [real([2, 3, 4])], attributes: axis === undefined ? {} : { axis } },
    ]),
  ),
  [
    [7, 8],
    {
      op: 'MeanVarianceNormalization',
      name: 'across',
      inputs: [real([2, 3, 4, 5])],
      attributes: { across_channels: 1 },
    },
  ],
  [
    [7, 8],
    {
      op: 'MeanVarianceNormalization',
      name: 'mean only',
      inputs: [real([2, 3, 4, 5])],
      attributes: { normalize_variance: 0 },
    },
  ],
  [[7, 8, 9], { op: 'MeanVarianceNormalization', name: 'by default', inputs: [real([2, 3, 4, 5])] }],
  [
    [7, 10],
    {
      op: 'Pad',
      name: 'by a value',
      inputs: [real([3, 4])],
      attributes: { pads: [1, 0, -1, 2], value: float(1.5) },
    },
  ],
  [[7, 10], { op: 'Pad', name: 'by zeros', inputs: [real([3, 4])], attributes: { pads: [1, 0, 0, 2] } }],
  [
    [7, 10],
    {
      op: 'Pad',
      name: 'by reflection',
      inputs: [real([3, 4])],
      attributes: { mode: 'reflect', pads: [1, 0, 1, 2] },
    },
  ],
  ...['L1', 'L2', 'LogSum', 'LogSumExp', 'Max', 'Mean', 'Min', 'Prod', 'SumSquare', 'Sum'].flatMap((name) =>
    reduced.map((attributes, i): [readonly number[], Spec] => [
      name === 'Sum' ? [7, 11, 12] : [7, 11, 13, 17],
      { op: `Reduce${name}`, name: `${i}`, inputs: [real([2, 3, 4], { low: 0.5 })], attributes },
    ]),
  ),
  [
    [10],
    {
      op: 'Resize',
      name: 'nearest',
      inputs: [real([1, 2, 3, 4]), real([4], { values: [1, 1, 2, 1.5], wrt: false, constant: true })],
    },
  ],
  [
    [10],
    {
      op: 'Resize',
      name: 'linear',
      inputs: [real([1, 2, 3, 4]), real([4], { values: [1, 1, 0.7, 1.5], wrt: false, constant: true })],
      attributes: { mode: 'linear' },
    },
  ],
  [
    [11, 13, 17],
    {
      op: 'Resize',
      name: 'empty optional inputs',
      inputs: [
        real([1, 2, 3, 4]),
        real([0], { values: [], wrt: false, constant: true }),
        real([0], { values: [], wrt: false, constant: true }),
        whole([1, 2, 5, 3]),
      ],
      attributes: { mode: 'cubic' },
    },
  ],
  [
    [11, 12],
    {
      op: 'Resize',
      name: 'coordinates that 13 dropped',
      inputs: [
        real([1, 2, 3, 4]),
        real([0], { values: [], wrt: false, constant: true }),
        real([4], { values: [1, 1, 2, 1.5], wrt: false, constant: true }),
      ],
      attributes: { mode: 'linear', coordinate_transformation_mode: 'tf_half_pixel_for_nn' },
    },
  ],
  [
    [10, 15],
    {
      op: 'RoiAlign',
      name: 'half pixels',
      inputs: [
        real([1, 2, 5, 6]),
        weight([2, 4], { values: [0, 0, 4, 4, 1.5, 0.5, 4.25, 2], wrt: false }),
        whole([0, 0]),
      ],
      attributes: { output_height: 2, output_width: 2, sampling_ratio: 2 },
    },
  ],
  [[9, 10], { op: 'Scatter', name: 'put', inputs: [real([3, 3]), whole([0, 2, 1], [1, 3]), real([1, 3])] }],
  [
    [7, 9],
    {
      op: 'Slice',
      name: 'given axes',
      inputs: [real([4, 5])],
      attributes: { axes: [1], starts: [-3], ends: [100] },
    },
  ],
  [
    [7, 9],
    {
      op: 'Slice',
      name: 'leading axes',
      inputs: [real([4, 5])],
      attributes: { starts: [1, 0], ends: [3, -1] },
    },
  ],
  [
    [7, 11, 12],
    {
      op: 'Split',
      name: 'sizes',
      inputs: [real([2, 6])],
      attributes: { axis: 1, split: [1, 3, 2] },
      outputs: 3,
    },
  ],
  [
    [7, 11, 12, 13, 17],
    { op: 'Split', name: 'equal', inputs: [real([2, 6])], attributes: { axis: 1 }, outputs: 3 },
  ],
  [
    [13, 17],
    {
      op: 'Split',
      name: 'sizes as input',
      inputs: [real([2, 6]), whole([1, 5])],
      attributes: { axis: 1 },
      outputs: 2,
    },
  ],
  [
    [7, 11, 12],
    { op: 'Squeeze', name: 'given axes', inputs: [real([2, 1, 3, 1])], attributes: { axes: [1] } },
  ],
  [[7, 11, 12], { op: 'Squeeze', name: 'all ones', inputs: [real([2, 1, 3, 1])] }],
  [[7, 9], { op: 'TopK', name: 'k as attribute', inputs: [real([2, 5])], attributes: { k: 2 }, outputs: 2 }],
  [[7, 11, 12], { op: 'Unsqueeze', name: 'two axes', inputs: [real([2, 3])], attributes: { axes: [0, 2] } }],
  [
    [7, 8],
    {
      op: 'Upsample',
      name: 'scales as attribute',
      inputs: [real([1, 2, 3, 4])],
      attributes: { mode: 'linear', scales: float([1, 1, 1.5, 2]) },
    },
  ],
  [
    [9],
    {
      op: 'Upsample',
      name: 'scales as input',
      inputs: [real([1, 2, 3, 4]), real([4], { values: [1, 1, 2, 3], wrt: false, constant: true })],
    },
  ],
];

/** Operators that did not change: whatever the operator set says, the result is the same. */
const unchanged: readonly Spec[] = [
  {
    op: 'Conv',
    name: 'SAME_UPPER',
    inputs: [real([1, 2, 5, 5]), weight([3, 2, 3, 3])],
    attributes: { auto_pad: 'SAME_UPPER', strides: [2, 2] },
  },
  {
    op: 'MaxPool',
    name: 'pads',
    inputs: [real([1, 2, 5, 5])],
    attributes: { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [2, 2] },
  },
  {
    op: 'AveragePool',
    name: 'pads',
    inputs: [real([1, 2, 5, 5])],
    attributes: { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [2, 2] },
  },
  { op: 'Gemm', name: 'with C', inputs: [real([2, 3]), real([3, 4]), real([4])] },
  { op: 'InstanceNormalization', name: 'plain', inputs: [real([2, 3, 4]), weight([3]), weight([3])] },
  { op: 'LRN', name: 'plain', inputs: [real([1, 5, 2, 2])], attributes: { size: 3 } },
  { op: 'Tile', name: 'plain', inputs: [real([2, 3]), whole([2, 1])] },
  { op: 'Gather', name: 'plain', inputs: [real([4, 3]), whole([2, 0])] },
  { op: 'PRelu', name: 'plain', inputs: [real([2, 3, 4]), real([3, 1])] },
  { op: 'Max', name: 'broadcasting', inputs: [real([2, 3]), real([3])] },
];

describe('older operator sets', () => {
  for (const [opsets, spec] of older)
    for (const opset of opsets)
      test(`${spec.op} ${opset}: ${spec.name}`, async () => {
        const ready = await expectSame(spec, opset, 2e-6);
        expect(ready.opset).toBe(canonicalOpset);
      });

  for (const spec of unchanged)
    for (const opset of spec.op === 'Max' ? [8, 11, 17] : [7, 11, 17])
      test(`${spec.op} ${opset}: as it is`, () => expectSame(spec, opset, 2e-6).then(() => undefined));

  test('constants that attributes become take the type of the data', async () => {
    const pad = older.find(([, { name }]) => name === 'by a value')?.[1] as Spec;
    await expectSame(pad, 7, 0, DataType.DOUBLE);
  });

  test('a softmax over the last axis stays one node, known rank or not', async () => {
    const spec: Spec = {
      op: 'Softmax',
      name: 'last axis',
      inputs: [real([2, 3, 4])],
      nodes: [
        { op: 'Relu', inputs: ['x0'], outputs: ['r'] },
        { op: 'Softmax', inputs: ['r'], outputs: ['s'], attributes: { axis: 2 } },
        { op: 'Neg', inputs: ['s'], outputs: ['y0'] },
      ],
    };
    const ready = await expectSame(spec, 11, 2e-6);
    expect(ready.nodes.map((node) => node.opType)).toEqual(['Relu', 'Softmax', 'Neg']);
  });

  test('normalisation of every position apart is refused by name', () => {
    const five = [real([2, 3]), weight([3]), weight([3]), weight([3]), weight([3])];
    const spec: Spec = { op: 'BatchNormalization', name: 'apart', inputs: five, attributes: { spatial: 0 } };
    expect(() => canonicalize(built(spec, 7).graph)).toThrow(
      /^BatchNormalization "BatchNormalization\w*" normalises every position apart \(spatial=0\), which no operator set after 8 can say\.$/,
    );
  });

  test('newer models keep their operator set', async () => {
    const ready = await expectSame({ op: 'Relu', name: 'plain', inputs: [real([2])] }, 22, 0);
    expect(ready.opset).toBe(22);
  });
});

describe('recurrent operators with the batch first', () => {
  const [steps, batch, inputs, hidden] = [4, 3, 2, 2];
  const sets = [
    ['RNN', 1, 2],
    ['GRU', 3, 2],
    ['LSTM', 4, 3],
  ] as const;
  // ONNX Runtime refuses layout=1 on the CPU: the same node with the time first, between transposes, is the oracle.
  test.each(sets)('%s', async (op, gates, outputs) => {
    const specs = [0, 1].map((layout): Spec => {
      const turned = (name: string) => ({
        op: 'Transpose',
        inputs: [name],
        outputs: [`${name}t`],
        attributes: { perm: [1, 0, 2] },
      });
      const names = Array.from({ length: outputs }, (_, i) => `y${i}`);
      const states = op === 'LSTM' ? ['x5', 'x6'] : ['x5'];
      const own = layout ? names : names.map((name) => `${name}t`);
      const pick = (name: string) => (layout ? name : `${name}t`);
      const node = {
        op,
        inputs: [pick('x0'), 'x1', 'x2', '', '', ...states.map(pick)],
        outputs: own,
        attributes: { hidden_size: hidden, ...(layout ? { layout } : {}) },
      };
      const back = names.map((name, i) => ({
        op: 'Transpose',
        inputs: [`${name}t`],
        outputs: [name],
        attributes: { perm: i === 0 ? [2, 0, 1, 3] : [1, 0, 2] },
      }));
      return {
        op,
        name: 'batch first',
        outputs,
        inputs: [
          real([batch, steps, inputs]),
          weight([1, gates * hidden, inputs]),
          weight([1, gates * hidden, hidden]),
          undefined,
          undefined,
          weight([batch, 1, hidden]),
          weight([batch, 1, hidden]),
        ],
        nodes: layout ? [node] : [...['x0', ...states].map(turned), node, ...back],
      };
    });
    const [plain, first] = specs.map((spec) => built(spec, 14));
    const expected = await outputsOf(plain.graph, plain.feeds);
    const actual = await outputsOf(await prepared(first.graph), first.feeds);
    for (const [name, { data }] of Object.entries(expected)) expect(actual[name].data).toEqual(data);
  });
});
