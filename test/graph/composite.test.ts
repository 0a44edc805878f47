import { describe, expect, test } from 'vitest';
import { appendGradient } from '../../src/autodiff/walk.js';
import { float, type Plain } from '../../src/graph/attributes.js';
import { type Input, real, weight, whole } from '../autodiff/case.js';
import { built, expectSame, prepared, type Spec } from './equal.js';

const domain = 'com.microsoft';
const string = (value: string): Plain => ({ kind: 'string', value });

const convolution = (activation: string, parameters?: number[]): Spec => ({
  op: 'FusedConv',
  name: activation,
  domain,
  inputs: [real([1, 2, 5, 5]), weight([3, 2, 3, 3], { constant: true }), weight([3], { constant: true })],
  attributes: {
    activation: string(activation),
    ...(parameters ? { activation_params: float(parameters) } : {}),
    pads: [1, 1, 1, 1],
  },
});

const skip = [real([2, 3, 4]), real([2, 3, 4]), weight([4]), weight([4]), weight([4])];

const attention = (options: Record<string, Plain>, more: readonly (Input | undefined)[] = []): Spec => ({
  op: 'MultiHeadAttention',
  name: `attention ${Object.keys(options).join(' ')}`,
  domain,
  inputs: [real([2, 3, 4]), real([2, 5, 4]), real([2, 5, 4]), ...more],
  attributes: { num_heads: 2, ...options },
});

/** Nodes whose ONNX Runtime kernel is the oracle. Its own tanh and erf are approximations, hence the bound. */
const bound = 5e-6;
const specs: readonly Spec[] = [
  { op: 'BiasGelu', name: 'plain', domain, inputs: [real([2, 3, 4]), real([4])] },
  { op: 'FastGelu', name: 'plain', domain, inputs: [real([2, 3, 4])] },
  { op: 'FastGelu', name: 'with a bias', domain, inputs: [real([2, 3, 4]), real([4])] },
  { op: 'Gelu', name: 'plain', domain, inputs: [real([2, 3, 4])] },
  { op: 'QuickGelu', name: 'plain', domain, inputs: [real([2, 3, 4])], attributes: { alpha: float(1.5) } },
  ...['Relu', 'Tanh', 'Sigmoid'].map((name) => convolution(name)),
  convolution('LeakyRelu', [0.2]),
  convolution('Clip', [-0.5, 1]),
  convolution('HardSigmoid', [0.3, 0.4]),
  {
    ...convolution('Relu'),
    name: 'Relu of a sum',
    inputs: [...convolution('Relu').inputs, real([1, 3, 5, 5])],
  },
  {
    op: 'FusedGemm',
    name: 'LeakyRelu',
    domain,
    inputs: [real([2, 3]), real([4, 3]), real([4])],
    attributes: {
      activation: string('LeakyRelu'),
      activation_alpha: float(0.3),
      transB: 1,
      alpha: float(0.5),
    },
  },
  { op: 'FusedMatMul', name: 'plain', domain, inputs: [real([2, 3, 4]), real([4, 5])] },
  {
    op: 'FusedMatMul',
    name: 'transposed and scaled',
    domain,
    inputs: [real([2, 4, 3]), real([2, 5, 4])],
    attributes: { transA: 1, transB: 1, alpha: float(0.25) },
  },
  {
    op: 'FusedMatMul',
    name: 'batch first moved',
    domain,
    inputs: [real([3, 2, 4]), real([2, 4, 5])],
    attributes: { transBatchA: 1 },
  },
  {
    op: 'FusedMatMul',
    name: 'batch first moved, transposed',
    domain,
    inputs: [real([3, 2, 4]), real([2, 3, 5])],
    attributes: { transBatchA: 1, transA: 1 },
  },
  {
    op: 'TransposeMatMul',
    name: 'transposed',
    domain,
    inputs: [real([2, 3, 4]), real([2, 5, 4])],
    attributes: { transB: 1 },
  },
  {
    op: 'SkipLayerNormalization',
    name: 'everything',
    domain,
    inputs: skip,
    attributes: { epsilon: float(1e-5) },
  },
  { op: 'SkipLayerNormalization', name: 'without beta', domain, inputs: skip.slice(0, 3) },
  {
    op: 'SkipSimplifiedLayerNormalization',
    name: 'with a bias',
    domain,
    inputs: [...skip.slice(0, 3), skip[4]],
  },
  {
    op: 'SkipLayerNormalization',
    name: 'the sum too',
    inputs: skip,
    outputs: 2,
    nodes: [
      {
        op: 'SkipLayerNormalization',
        domain,
        inputs: ['x0', 'x1', 'x2', 'x3', 'x4'],
        outputs: ['y0', '', '', 'y1'],
      },
    ],
  },
  {
    op: 'SimplifiedLayerNormalization',
    name: 'in the default domain',
    inputs: [real([2, 3, 4]), weight([4])],
    attributes: { epsilon: float(1e-3), axis: -1 },
  },
  { op: 'Trilu', name: 'lower', domain, inputs: [real([3, 4])], attributes: { upper: 0 } },
  {
    op: 'GridSample',
    name: 'older name',
    domain,
    inputs: [real([1, 2, 3, 4]), real([1, 2, 2, 2], { low: -1, high: 1 })],
    attributes: { mode: string('bilinear'), padding_mode: string('border') },
  },
  {
    op: 'EmbedLayerNormalization',
    name: 'words, positions, segments',
    outputs: 1,
    inputs: [
      whole([1, 0, 3, 2, 2, 1], [2, 3], { kind: 'int32', constant: false }),
      whole([0, 0, 1, 0, 1, 1], [2, 3], { kind: 'int32', constant: false }),
      weight([4, 5]),
      weight([6, 5]),
      weight([2, 5]),
      weight([5]),
      weight([5]),
    ],
    nodes: [
      {
        op: 'EmbedLayerNormalization',
        domain,
        inputs: ['x0', 'x1', 'x2', 'x3', 'x4', 'x5', 'x6'],
        outputs: ['y0', ''],
      },
    ],
  },
  attention({}),
  {
    op: 'Attention',
    name: 'packed',
    domain,
    inputs: [real([2, 3, 4]), weight([4, 12]), weight([12])],
    attributes: { num_heads: 2 },
  },
  {
    op: 'Attention',
    name: 'packed, causal, scaled',
    domain,
    inputs: [real([2, 3, 4]), weight([4, 12]), weight([12])],
    attributes: { num_heads: 2, unidirectional: 1, scale: float(0.4) },
  },
  attention({ scale: float(0.3) }, [weight([12])]),
  attention({ mask_filter_value: float(-10000) }, [undefined, undefined, real([2, 2, 3, 5])]),
  { ...attention({ unidirectional: 1 }), inputs: [real([2, 3, 4]), real([2, 3, 4]), real([2, 3, 4])] },
];

describe("ONNX Runtime's own operators", () => {
  for (const spec of specs)
    test(`${spec.op}: ${spec.name}`, async () => {
      const ready = await expectSame(spec, 17, bound);
      expect(ready.nodes.filter((node) => node.domain !== '')).toEqual([]);
      const wrt = ready.inputs.filter(({ type }) => type === 1).map(({ name }) => name);
      const { gradients } = appendGradient(ready, { of: [{ output: 'y0', seed: 'seed' }], wrt });
      expect([...gradients.keys()]).toEqual(wrt);
    });

  test('those that are not known stay, and are named when a gradient arrives', async () => {
    const spec: Spec = {
      op: 'MurmurHash3',
      name: 'unknown',
      domain,
      inputs: [whole([1], [1], { kind: 'int32', constant: false })],
    };
    const ready = await prepared(built(spec, 17).graph);
    expect(ready.nodes.map((node) => node.opType)).toEqual(['MurmurHash3']);
  });
});
