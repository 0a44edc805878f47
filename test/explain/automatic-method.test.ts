import { describe, expect, test } from 'vitest';
import { Explainer } from '../../src/batch/explainer.js';
import { type ExplainOptions, settingsOf } from '../../src/explain/explain-options.js';
import { floatConstant, int64Constant } from '../../src/onnx/constant.js';
import { DataType } from '../../src/onnx/types.js';
import { attributesOf } from '../../src/graph/attributes.js';
import type { Tensor } from '../../src/tensor.js';
import { bytesFrom, classifier, graphFrom, loopBody, type ShortGraph, values } from '../support/network.js';

const images: Tensor<'float32'> = { type: 'float32', dims: [2, 3, 8, 8], data: values(7, [2, 3, 8, 8]) };
const whole = classifier();
const behind = whole.nodes.slice(4);

/** The layer relu2 goes through a Loop. */
function loop(): ShortGraph {
  const body = loopBody('Sqrt');
  return {
    ...whole,
    constants: { ...whole.constants, turns: int64Constant([2], []) },
    nodes: [
      ...whole.nodes.slice(0, 4),
      ['Loop', ['turns', '', 'relu2'], ['looped'], { body: { kind: 'graph', value: body } }],
      ['MaxPool', ['looped'], ['pooled'], behind[0][3]],
      ...behind.slice(1),
    ],
  };
}

/** The layer relu2 goes through an If, whose condition depends on the picture. */
function branches(): ShortGraph {
  const branch = (op: string) => ({
    kind: 'graph' as const,
    value: {
      ...graphFrom({ inputs: {}, outputs: ['out'], nodes: [] }),
      nodes: [
        {
          opType: op,
          domain: '',
          name: op,
          inputs: ['relu2'],
          outputs: ['out'],
          attributes: attributesOf({}),
        },
      ],
    },
  });
  return {
    ...whole,
    constants: { ...whole.constants, zero: floatConstant([0], []) },
    nodes: [
      ...whole.nodes.slice(0, 4),
      ['ReduceSum', ['image'], ['sum'], { keepdims: 0 }],
      ['Greater', ['sum', 'zero'], ['isBright']],
      ['If', ['isBright'], ['chosen'], { then_branch: branch('Sqrt'), else_branch: branch('Sigmoid') }],
      ['MaxPool', ['chosen'], ['pooled'], behind[0][3]],
      ...behind.slice(1),
    ],
  };
}

const integers = (type: DataType, list: readonly number[], dims: readonly number[]) => ({
  type,
  dims,
  bytes: Uint8Array.from(list, (value) => value & 255),
});

/** A classifier that was quantised when it runs: whole numbers behind the layer. */
function dynamic(): ShortGraph {
  const w = Array.from(values(9, [24, 5]), (value) => Math.round(100 * value));
  return {
    ...whole,
    constants: {
      ...whole.constants,
      wq: integers(DataType.INT8, w, [24, 5]),
      scale: floatConstant([0.01], []),
    },
    nodes: [
      ...whole.nodes.slice(0, 4),
      ['MaxPool', ['relu2'], ['pooled'], behind[0][3]],
      ['Flatten', ['pooled'], ['flat']],
      ['DynamicQuantizeLinear', ['flat'], ['q', 's', 'z']],
      ['MatMulInteger', ['q', 'wq', 'z'], ['sums']],
      ['Cast', ['sums'], ['floats'], { to: DataType.FLOAT }],
      ['Mul', ['floats', 's'], ['scaled']],
      ['Mul', ['scaled', 'scale'], ['logits']],
    ],
  };
}

/** A network of whole numbers from the picture to the scores: no layer is a float. */
function quantized(): ShortGraph {
  const w1 = Array.from(values(8, [6, 3, 3, 3]), (value) => Math.round(100 * value));
  const w2 = Array.from(values(9, [5, 96]), (value) => Math.round(100 * value));
  return {
    inputs: { image: ['N', 3, 8, 8] },
    outputs: ['logits'],
    nodes: [
      ['QuantizeLinear', ['image', 'sx', 'zero'], ['x']],
      [
        'QLinearConv',
        ['x', 'sx', 'zero', 'w1', 'sw', 'middle', 'sy', 'zero'],
        ['y'],
        { pads: [1, 1, 1, 1], strides: [2, 2] },
      ],
      ['Flatten', ['y'], ['flat']],
      ['Transpose', ['w2'], ['w2t'], { perm: [1, 0] }],
      ['QLinearMatMul', ['flat', 'sy', 'zero', 'w2t', 'sw', 'middle', 'sz', 'half'], ['q']],
      ['DequantizeLinear', ['q', 'sz', 'half'], ['logits']],
    ],
    constants: {
      sx: floatConstant([0.01], []),
      sw: floatConstant([0.01], []),
      sy: floatConstant([0.02], []),
      sz: floatConstant([0.05], []),
      zero: integers(DataType.UINT8, [0], []),
      half: integers(DataType.UINT8, [128], []),
      middle: integers(DataType.INT8, [0], []),
      w1: integers(DataType.INT8, w1, [6, 3, 3, 3]),
      w2: integers(DataType.INT8, w2, [5, 96]),
    },
  };
}

async function explained(network: ShortGraph, options: ExplainOptions, layer?: string) {
  await using explainer = await Explainer.open(bytesFrom(network), { layer, backend: 'reference' });
  const notes = await explainer.warmUp(settingsOf(options));
  const found = await explainer.explain(images, { targets: 1, batchSize: 2, ...options });
  return { notes, targets: found.map(({ targets }) => targets) };
}

describe.each([
  ['Loop', loop(), 'relu2', 'recipro-cam'],
  ['If', branches(), 'relu2', 'recipro-cam'],
  ['MatMulInteger', dynamic(), undefined, 'recipro-cam'],
  ['QLinear', quantized(), undefined, 'rise'],
] as const)('%s', (operator, network, layer, method) => {
  test(`${method} takes the place of Grad-CAM++ where no method is named, and says so`, async () => {
    const expected = await explained(network, { method }, layer);
    for (const options of [{}, { method: 'auto' }, { method: ['auto'] }] as const) {
      const { notes, targets } = await explained(network, options, layer);
      for (const [n, [{ map, method: own, instead, settings }]] of targets.entries()) {
        expect(own).toBe(method);
        expect(instead).toContain(operator);
        expect(instead).toMatch(`So ${method}, which needs no gradient, takes the place of grad-cam++.`);
        expect(notes).toEqual([instead]);
        const [named] = expected.targets[n];
        expect([map, settings]).toEqual([named.map, named.settings]);
        expect(named.instead).toBeUndefined();
        expect(map.empty).toBe(false);
      }
    }
    expect(expected.notes).toEqual([]);
  });

  test('aug goes with it', async () => {
    if (method === 'rise') return; // a thousand passes a picture, six times
    const { targets } = await explained(network, { aug: true }, layer);
    expect(targets[0][0]).toMatchObject({ method, settings: { aug: true }, facts: { augmentations: 6 } });
  });

  test.each([
    { method: 'grad-cam++' },
    { method: 'grad-cam' },
    { method: 'saliency' },
    { method: ['auto', 'grad-cam'] },
    { form: 'exp' }, // which Grad-CAM++ alone has
    { eigen: true },
  ] as const)('what is named stays: %j', async (options) => {
    const isLayerless = method === 'rise' && !('method' in options && options.method === 'saliency');
    await expect(explained(network, options, layer)).rejects.toThrow(
      isLayerless
        ? 'No layer between'
        : 'Choose a layer behind it, or a method that needs no gradient: eigen-cam, fem, ablation-cam, score-cam, recipro-cam, rise, attention-rollout.',
    );
  });
});

test('Grad-CAM++ explains what has a gradient, and what has none for want of a layer says that', async () => {
  const { notes, targets } = await explained(whole, {});
  expect(notes).toEqual([]);
  expect(targets[0][0]).toMatchObject({ method: 'grad-cam++' });
  expect(targets[0][0].instead).toBeUndefined();
  const flat: ShortGraph = {
    inputs: { image: ['N', 3, 8, 8] },
    outputs: ['logits'],
    nodes: [
      ['Flatten', ['image'], ['flat']],
      ['MatMul', ['flat', 'w'], ['logits']],
    ],
    constants: { w: floatConstant(values(3, [192, 5]), [192, 5]) },
  };
  await expect(explained(flat, {})).rejects.toThrow('No layer between');
});

test('a form of an operator that its rule does not know', async () => {
  const network: ShortGraph = {
    ...whole,
    constants: {
      ...whole.constants,
      none: int64Constant([0]),
      all: int64Constant([24]),
      one: int64Constant([1]),
    },
    nodes: [
      ...whole.nodes.slice(0, 6),
      ['ReduceSum', ['image'], ['sum'], { keepdims: 0 }],
      ['Cast', ['sum'], ['chosen'], { to: DataType.INT64 }],
      ['Mul', ['chosen', 'none'], ['zero']],
      ['Add', ['zero', 'one'], ['axes']],
      ['Slice', ['flat', 'none', 'all', 'axes'], ['part']],
      ['Gemm', ['part', 'w3', 'b3'], ['hidden'], { transB: 1 }],
      ...whole.nodes.slice(7),
    ],
  };
  const { notes, targets } = await explained(network, {});
  expect(targets[0][0].method).toBe('recipro-cam');
  expect(notes).toEqual([expect.stringContaining('has axes or steps that are computed when the model runs')]);
  expect(notes[0]).not.toContain('Methods that need');
});

test('rise, where the layer has more positions than it takes masks', async () => {
  const network: ShortGraph = {
    inputs: { image: ['N', 3, 40, 40] },
    outputs: ['logits'],
    nodes: [
      ['Relu', ['image'], ['layer']],
      ['GlobalMaxPool', ['layer'], ['most']],
      ['Flatten', ['most'], ['flat']],
      ['DynamicQuantizeLinear', ['flat'], ['q', 's', 'z']],
      ['MatMulInteger', ['q', 'w', 'z'], ['sums']],
      ['Cast', ['sums'], ['floats'], { to: DataType.FLOAT }],
      ['Mul', ['floats', 's'], ['logits']],
    ],
    constants: { w: integers(DataType.INT8, [10, -20, 30, 40, 50, -60], [3, 2]) },
  };
  await using explainer = await Explainer.open(bytesFrom(network), { layer: 'layer' });
  const [note] = await explainer.warmUp();
  expect(note).toContain('So rise, which needs no gradient');
});

test('two auto, or one beside others: each by itself', async () => {
  const { targets } = await explained(loop(), { method: ['auto', 'eigen-cam'] }, 'relu2');
  expect(targets[0].map(({ method, instead }) => [method, instead !== undefined])).toEqual([
    ['recipro-cam', true],
    ['eigen-cam', false],
  ]);
});
