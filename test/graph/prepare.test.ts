import { describe, expect, test } from 'vitest';
import { attributesOf, type Plain } from '../../src/graph/attributes.js';
import type { Graph, Node, ValueInfo } from '../../src/graph/graph.js';
import {
  boolConstant,
  type Constant,
  floatConstant,
  floatsOf,
  int64Constant,
  numbersOf,
} from '../../src/onnx/constant.js';
import { DataType } from '../../src/onnx/types.js';
import { prepareGraph } from '../../src/runtime/prepare.js';
import { openSession } from '../../src/runtime/session.js';
import { readModel } from '../../src/onnx/read.js';
import { graphFrom } from '../support/network.js';
import { modelFile } from '../../src/graph/model-file.js';
import { outputsOf, prepared } from './equal.js';

const x = { type: 'float32' as const, dims: [2, 3], data: Float32Array.of(-2, -1, -0.5, 0.5, 1, 2) };

/** float16 or bfloat16 bits of numbers that both types hold exactly. */
function half(values: readonly number[], type: DataType): Constant {
  const bits = values.map((value) => {
    const word = new Uint32Array(Float32Array.of(value).buffer)[0];
    if (type === DataType.BFLOAT16) return word >>> 16;
    const exponent = ((word >>> 23) & 255) - 112;
    return value === 0 ? 0 : ((word >>> 16) & 0x8000) | (exponent << 10) | ((word >>> 13) & 1023);
  });
  return { type, dims: [values.length], bytes: new Uint8Array(Uint16Array.from(bits).buffer) };
}

describe('half precision', () => {
  test.each([DataType.FLOAT16, DataType.BFLOAT16])('type %i becomes float32 everywhere', async (type) => {
    const zero = { ...half([0], type), dims: [1] };
    const graph = graphFrom({
      inputs: { x: [2, 3] },
      outputs: ['y'],
      constants: { w: half([0.5, -2, 1.75], type), shape: int64Constant([3]) },
      nodes: [
        ['Mul', ['x', 'w'], ['product']],
        ['ConstantOfShape', ['shape'], ['zeros'], { value: { kind: 'tensor', value: zero } }],
        ['Cast', ['product'], ['cast'], { to: type }],
        ['Add', ['cast', 'zeros'], ['y']],
      ],
    });
    const info = { name: 'x', type, dims: [2, 3] };
    const stored: Graph = {
      ...graph,
      inputs: [info],
      outputs: [{ name: 'y', type, dims: [2, 3] }],
      values: new Map(),
    };
    const ready = await prepared(stored);
    expect(ready.inputs[0].type).toBe(DataType.FLOAT);
    expect([...floatsOf(ready.constants.get('w') as Constant)]).toEqual([0.5, -2, 1.75]);
    expect(ready.values.get('y')).toEqual({ name: 'y', type: DataType.FLOAT, dims: [2, 3] });
    const { y } = await outputsOf(ready, { x });
    expect([...(y.data as Float32Array)]).toEqual([-1, 2, -0.875, 0.25, -2, 3.5]);
  });
});

const branch = (name: string, nodes: Node[], outputs: string[]): Plain => ({
  kind: 'graph',
  value: { ...graphFrom({ inputs: {}, outputs, nodes: [] }), name, nodes },
});
const node = (
  opType: string,
  inputs: string[],
  outputs: string[],
  attributes: Record<string, Plain> = {},
): Node => ({
  opType,
  domain: '',
  name: '',
  inputs,
  outputs,
  attributes: attributesOf(attributes),
});

describe('an If whose condition is a constant', () => {
  test('is its branch, also behind computed dims and inside a branch', async () => {
    const inner = node('If', ['no'], ['in'], {
      then_branch: branch('a', [node('Neg', ['x'], ['n'])], ['n']),
      else_branch: branch('b', [node('Abs', ['x'], ['s']), node('Sqrt', ['s'], ['n'])], ['n']),
    });
    const graph = graphFrom({
      inputs: { x: [2, 3] },
      outputs: ['y', 'z'],
      constants: { two: int64Constant([2], []), zero: int64Constant([0], []), no: boolConstant([false], []) },
      nodes: [
        ['Shape', ['x'], ['shape']],
        ['Gather', ['shape', 'zero'], ['rows']],
        ['Equal', ['rows', 'two'], ['isTwo']],
        ['Abs', ['x'], ['t']],
        [
          'If',
          ['isTwo'],
          ['y', 'z'],
          {
            then_branch: branch(
              'then',
              [inner, node('Mul', ['in', 't'], ['m']), node('Identity', ['t'], ['k'])],
              ['m', 'k'],
            ),
            else_branch: branch(
              'else',
              [node('Neg', ['x'], ['m']), node('Identity', ['x'], ['k'])],
              ['m', 'k'],
            ),
          },
        ],
      ],
    });
    const before = await outputsOf(graph, { x });
    const ready = await prepareGraph(await readModel(modelFile(graph).toBytes()));
    expect(ready.nodes.some(({ opType }) => opType === 'If')).toBe(false);
    const after = await outputsOf(ready, { x });
    expect(after.y.data).toEqual(before.y.data);
    expect(after.z.data).toEqual(before.z.data);
  });

  test('stays where the condition is computed', async () => {
    const graph = graphFrom({
      inputs: { x: [2, 3] },
      outputs: ['y'],
      constants: { zero: floatConstant([0], []) },
      nodes: [
        ['ReduceSum', ['x'], ['sum'], { keepdims: 0 }],
        ['Greater', ['sum', 'zero'], ['yes']],
        [
          'If',
          ['yes'],
          ['y'],
          {
            then_branch: branch('then', [node('Abs', ['x'], ['a'])], ['a']),
            else_branch: branch('else', [node('Neg', ['x'], ['b'])], ['b']),
          },
        ],
      ],
    });
    const ready = await prepared(graph);
    expect(ready.nodes.map(({ opType }) => opType)).toContain('If');
  });
});

describe('sequences whose items are known', () => {
  const parts: readonly [string, string[], Record<string, Plain>, readonly number[]][] = [
    ['one each, the axis dropped', ['x'], { axis: 1, keepdims: 0 }, [-1, 1]],
    ['one each', ['x'], { axis: 1 }, [-1, 1]],
    ['of a size', ['x', 'two'], { axis: 1 }, [-0.5, 2]],
    ['of sizes', ['x', 'sizes'], { axis: 1 }, [-1, -0.5, 1, 2]],
  ];
  test.each(parts)('SequenceAt of SplitToSequence, %s', async (_, inputs, attributes, expected) => {
    const graph = graphFrom({
      inputs: { x: [2, 3] },
      outputs: ['y'],
      constants: { one: int64Constant([1], []), two: int64Constant([2], []), sizes: int64Constant([1, 2]) },
      nodes: [
        ['SplitToSequence', inputs, ['list'], attributes],
        ['SequenceAt', ['list', 'one'], ['y']],
      ],
    });
    const before = await outputsOf(graph, { x });
    const ready = await prepared(graph);
    expect(ready.nodes.some(({ opType }) => opType === 'SequenceAt')).toBe(false);
    const { y } = await outputsOf(ready, { x });
    expect(y.dims).toEqual(before.y.dims);
    expect([...(y.data as Float32Array)]).toEqual(expected);
    expect(y.data).toEqual(before.y.data);
  });

  test.each([0, 1])('ConcatFromSequence of SequenceConstruct, new axis %i', async (new_axis) => {
    const graph = graphFrom({
      inputs: { x: [2, 3] },
      outputs: ['y', 'z'],
      constants: { last: int64Constant([-1], []) },
      nodes: [
        ['Neg', ['x'], ['n']],
        ['SequenceConstruct', ['x', 'n', 'x'], ['list']],
        ['ConcatFromSequence', ['list'], ['y'], { axis: 1, new_axis }],
        ['SequenceAt', ['list', 'last'], ['z']],
      ],
    });
    const before = await outputsOf(graph, { x });
    const ready = await prepared(graph);
    expect(ready.nodes.some(({ opType }) => opType === 'ConcatFromSequence')).toBe(false);
    const after = await outputsOf(ready, { x });
    expect(after.y).toEqual(before.y);
    expect(after.z.data).toEqual(x.data);
  });
});

describe('a loop that builds a sequence, as PyTorch writes tensor_split', () => {
  /** Parts of x [2, 3] from its columns 0, 1 and 2 on. */
  function splitting({ turns = 2, isFed = false } = {}): Graph {
    const plain = graphFrom({
      inputs: { i: [], going: [], list: [] },
      outputs: ['goesOn', 'longer'],
      nodes: [
        ['Gather', ['bounds', 'i'], ['start']],
        ['Add', ['i', 'next'], ['after']],
        ['Gather', ['bounds', 'after'], ['end']],
        ['Slice', ['x', 'start', 'end', 'axis'], ['part']],
        ['SequenceInsert', ['list', 'part'], ['longer']],
        ['Identity', ['yes'], ['goesOn']],
      ],
      constants: { next: int64Constant([1], []) },
    });
    const known: Record<string, Pick<ValueInfo, 'type' | 'dims'>> = {
      i: { type: DataType.INT64, dims: [1] },
      going: { type: DataType.BOOL, dims: [] },
      goesOn: { type: DataType.BOOL, dims: [] },
    };
    const typed = ({ name }: ValueInfo): ValueInfo => ({
      name,
      type: known[name]?.type,
      dims: known[name]?.dims,
    });
    const body: Graph = { ...plain, inputs: plain.inputs.map(typed), outputs: plain.outputs.map(typed) };
    return graphFrom({
      inputs: { x: [2, 3], ...(isFed ? { most: [] } : {}) },
      types: { most: DataType.INT64 },
      outputs: ['y', 'z'],
      constants: {
        ...(isFed ? {} : { most: int64Constant([turns], []) }),
        yes: boolConstant([true], []),
        bounds: int64Constant([0, 1, 2, 3]),
        axis: int64Constant([1]),
        first: int64Constant([0], []),
        last: int64Constant([-1], []),
      },
      nodes: [
        ['SequenceEmpty', [], ['none']],
        ['Loop', ['most', 'yes', 'none'], ['list'], { body: { kind: 'graph', value: body } as never }],
        ['Neg', ['x'], ['n']],
        ['SequenceInsert', ['list', 'n', 'first'], ['all']],
        ['SequenceAt', ['all', 'first'], ['y']],
        ['SequenceAt', ['all', 'last'], ['z']],
      ],
    });
  }

  test.each([1, 2, 3])('of %i turns, is its items', async (turns) => {
    const ready = await prepared(splitting({ turns }));
    const kinds = new Set(ready.nodes.map(({ opType }) => opType));
    expect([kinds.has('Loop'), kinds.has('SequenceAt')]).toEqual([false, false]);
    const { y, z } = await outputsOf(ready, { x });
    expect([...(y.data as Float32Array)]).toEqual([...x.data].map((value) => -value));
    expect(z.dims).toEqual([2, 1]);
    expect([...(z.data as Float32Array)]).toEqual([x.data[turns - 1], x.data[turns + 2]]);
  });

  test('stays a loop where its turns are not known', async () => {
    const ready = await prepared(splitting({ isFed: true }));
    expect(ready.nodes.map(({ opType }) => opType)).toContain('Loop');
  });
});

describe('ranks', () => {
  test('a value of unknown rank is told from a scalar', async () => {
    const graph = graphFrom({
      inputs: { x: [2, 3], target: ['n'] },
      outputs: ['y', 'z'],
      nodes: [
        ['Reshape', ['x', 'target'], ['y']],
        ['ReduceSum', ['x'], ['z'], { keepdims: 0 }],
      ],
    });
    const inputs = graph.inputs.map((info) =>
      info.name === 'target' ? { ...info, type: DataType.INT64 } : info,
    );
    const ready = await prepared({ ...graph, inputs });
    expect(ready.values.get('y')?.dims).toBeUndefined();
    expect(ready.values.get('z')?.dims).toEqual([]);
  });
});

describe('constants', () => {
  const graph = (shape: readonly number[]): Graph =>
    graphFrom({
      inputs: { x: [2, 3] },
      outputs: ['y'],
      constants: {
        w: floatConstant([1, 2, 3, 4, 5, 6], [3, 2]),
        shape: int64Constant(shape),
        numbers: int64Constant([4, 2]),
      },
      nodes: [
        ['Transpose', ['w'], ['turned']],
        ['Mul', ['x', 'turned'], ['product']],
        ['Neg', ['numbers'], ['negative']],
        ['Neg', ['negative'], ['positive']],
        ['ConstantOfShape', ['shape'], ['zeros']],
        ['Add', ['product', 'zeros'], ['y']],
      ],
    });

  test('what depends on them alone is computed', async () => {
    const ready = await prepared(graph([2, 3]));
    expect(ready.nodes.map(({ opType }) => opType)).toEqual(['Mul', 'Add']);
    expect([...floatsOf(ready.constants.get('turned') as Constant)]).toEqual([1, 3, 5, 2, 4, 6]);
  });

  test('but not from those whose gradients are wanted', async () => {
    const model = await readModel(modelFile(graph([2, 3])).toBytes());
    const ready = await prepareGraph(model, ['w']);
    expect(ready.nodes.map(({ opType }) => opType)).toEqual(['Transpose', 'Mul', 'Add']);
  });

  test('nor where the result would be much larger', async () => {
    const ready = await prepared(graph([2 ** 20, 2, 3]));
    expect(ready.nodes.map(({ opType }) => opType)).toEqual(['Mul', 'ConstantOfShape', 'Add']);
  });
});

describe('padding of some axes', () => {
  test('says so for all of them: ONNX Runtime moves a Transpose through the other form wrongly', async () => {
    const graph = graphFrom({
      inputs: { x: ['N', 1, 2, 3] },
      outputs: ['y'],
      constants: { pads: int64Constant([2, 1, 0, 4]), axes: int64Constant([-1, 0]) },
      nodes: [
        ['Transpose', ['x'], ['t'], { perm: [3, 0, 1, 2] }],
        ['Pad', ['t', 'pads', '', 'axes'], ['p']],
        ['Tanh', ['p'], ['y']],
      ],
    });
    const feeds = { x: { ...x, dims: [1, 1, 2, 3] } };
    const expected = await outputsOf(graph, feeds);
    const ready = await prepared(graph);
    const pads = ready.nodes.find(({ opType }) => opType === 'Pad')?.inputs[1] ?? '';
    expect(numbersOf(ready.constants.get(pads) as Constant)).toEqual([1, 0, 0, 2, 4, 0, 0, 0]);
    const session = await openSession(ready); // at the level 'all'
    const actual = await session.run(feeds);
    await session.close();
    expect(actual.y).toEqual(expected.y);
  });
});

test('a Pad that ONNX Runtime joins with an AveragePool to one that it refuses is left apart', async () => {
  const graph = graphFrom({
    inputs: { x: [1, 1, 2, 3] },
    outputs: ['y'],
    constants: { pads: int64Constant([0, 0, 0, 0, 0, 0, 3, 3]) },
    nodes: [
      ['Pad', ['x', 'pads'], ['p']],
      ['AveragePool', ['p'], ['y'], { kernel_shape: [2, 2], pads: [1, 1, 1, 1], count_include_pad: 1 }],
    ],
  });
  const feeds = { x: { ...x, dims: [1, 1, 2, 3] } };
  const expected = await outputsOf(graph, feeds);
  const session = await openSession(graph);
  const actual = await session.run(feeds);
  await session.close();
  expect(actual.y).toEqual(expected.y);
});
