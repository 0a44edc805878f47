import { describe, expect, test } from 'vitest';
import type { Plain } from '../../src/graph/attributes.js';
import type { Dim, Graph } from '../../src/graph/graph.js';
import { modelOf, encode } from '../../src/graph/to-model.js';
import { boolConstant, type Constant, floatConstant, int64Constant } from '../../src/onnx/constant.js';
import { valueInfoProto } from '../../src/graph/to-model.js';
import { readModel } from '../../src/onnx/read.js';
import { DataType } from '../../src/onnx/types.js';
import { prepareGraph } from '../../src/runtime/prepare.js';
import { graphFrom, type ShortNode, values, weights } from '../support/network.js';
import { outputsOf, prepared } from './equal.js';

const constants: Record<string, Constant> = {
  w: weights(1, [4, 3, 3, 3]),
  zero: int64Constant([0]),
  first: int64Constant([0], []),
  one: int64Constant([1]),
  two: int64Constant([2]),
  third: int64Constant([2], []),
  three: int64Constant([3]),
  four: int64Constant([4]),
  big: int64Constant([Number.MAX_SAFE_INTEGER]),
  ones: int64Constant([1, 1]),
  half: floatConstant([0.5], [1]),
  noHalves: floatConstant([1, 1], [2]),
  minus: int64Constant([-1], []),
  places: int64Constant([2, 3]),
  seven: int64Constant([7], []),
  yes: boolConstant([true], []),
};

/** N of the picture, H and W of it, as values. */
const sizes: ShortNode[] = [
  ['Shape', ['x'], ['shape']],
  ['Slice', ['shape', 'zero', 'one', 'zero'], ['N']],
  ['Slice', ['shape', 'two', 'big', 'zero'], ['HW']],
];
const conv: ShortNode = ['Conv', ['x', 'w'], ['c'], { strides: [2, 2], pads: [1, 1, 1, 1] }];

async function graphOf(nodes: readonly ShortNode[], dims: readonly Dim[] = ['N', 3, 8, 6]): Promise<Graph> {
  return prepared(graphFrom({ inputs: { x: dims }, outputs: ['y'], nodes, constants }));
}

/** Dims of y as they are known, after they were checked against those that it has. */
async function dimsOf(nodes: readonly ShortNode[], dims?: readonly Dim[]) {
  const graph = await graphOf(nodes, dims);
  const known = graph.values.get('y')?.dims;
  const fed = [2, 3, 8, 6];
  const { y } = await outputsOf(graph, { x: { type: 'float32', dims: fed, data: values(3, fed) } });
  const names: Record<string, number> = { N: 2, H: 8, W: 6 };
  known?.forEach(
    (dim, i) => dim !== '' && expect(typeof dim === 'number' ? dim : names[dim]).toBe(y.dims[i]),
  );
  return known;
}

describe('dims that are computed', () => {
  const interpolate: ShortNode[] = [
    conv,
    ...sizes,
    ['Shape', ['c'], ['cs']],
    ['Slice', ['cs', 'zero', 'two', 'zero'], ['NK']],
    ['Concat', ['NK', 'HW'], ['target'], { axis: 0 }],
    ['Resize', ['c', '', '', 'target'], ['y'], { mode: 'linear' }],
  ];

  test('behind an interpolation to the size of another value', async () => {
    expect(await dimsOf(interpolate)).toEqual(['N', 4, 8, 6]);
    expect(await dimsOf(interpolate, ['N', 3, 'H', 'W'])).toEqual(['N', 4, 'H', 'W']);
  });

  test.each<[string, ShortNode[], Dim[], Dim[]]>([
    [
      'by scales that are quotients of sizes',
      [
        conv,
        ...sizes,
        ['Shape', ['c'], ['cs']],
        ['Slice', ['cs', 'two', 'big', 'zero'], ['hw']],
        ['Cast', ['hw'], ['small'], { to: 1 }],
        ['Cast', ['HW'], ['large'], { to: 1 }],
        ['Div', ['large', 'small'], ['ratio']],
        ['Concat', ['noHalves', 'ratio'], ['scales'], { axis: 0 }],
        ['Resize', ['c', '', 'scales'], ['y']],
      ],
      ['N', 4, 8, 6],
      ['N', 4, '', ''],
    ],
    [
      'by constant scales, along other axes',
      [conv, ['Resize', ['c', '', 'twice'], ['y']]],
      ['N', 4, 8, 6],
      ['N', 4, '', ''],
    ],
    [
      'an Expand to the batch',
      [
        ...sizes,
        ['Gather', ['N', 'first'], ['n']],
        ['Unsqueeze', ['n', 'zero'], ['n1']],
        ['Concat', ['n1', 'three', 'four'], ['t'], { axis: 0 }],
        ['Reshape', ['HW', 'one1'], ['column']],
        ['Cast', ['column'], ['f'], { to: 1 }],
        ['Slice', ['f', 'zero', 'one', 'one'], ['s']],
        ['Slice', ['s', 'zero', 'one', 'zero'], ['s1']],
        ['Expand', ['s1', 't'], ['y']],
      ],
      ['N', 3, 4],
      ['N', 3, 4],
    ],
    [
      'zeros of computed dims',
      [...sizes, ['Concat', ['N', 'HW'], ['t'], { axis: 0 }], ['ConstantOfShape', ['t'], ['y']]],
      ['N', 8, 6],
      ['N', 'H', 'W'],
    ],
    [
      'a Tile by the number of rows',
      [
        ...sizes,
        ['Slice', ['shape', 'two', 'three', 'zero'], ['H']],
        ['Concat', ['ones', 'ones'], ['o'], { axis: 0 }],
        ['Mul', ['o', 'H'], ['t']],
        ['ReduceMean', ['x', 'places'], ['m']],
        ['Slice', ['m', 'zero', 'one', 'zero'], ['m1']],
        ['Tile', ['m1', 't'], ['y']],
      ],
      ['', 24, 8, 8],
      ['', '', 'H', 'H'],
    ],
    [
      'a crop to half the size',
      [
        ...sizes,
        ['Div', ['HW', 'two'], ['h']],
        ['Mul', ['h', 'zero'], ['from']],
        ['Slice', ['x', 'from', 'h', 'places'], ['y']],
      ],
      ['N', 3, 4, 3],
      ['N', 3, '', ''],
    ],
    [
      'a Pad by a computed margin',
      [
        ...sizes,
        ['Div', ['HW', 'two'], ['h']],
        ['Mul', ['ones', 'zero'], ['none']],
        ['Concat', ['none', 'h', 'none', 'h'], ['p'], { axis: 0 }],
        ['Pad', ['x', 'p'], ['y']],
      ],
      ['N', 3, 16, 12],
      ['N', 3, '', ''],
    ],
    [
      'a Reshape with a rest',
      [...sizes, ['Concat', ['N', 'minus1', 'HW'], ['t'], { axis: 0 }], ['Reshape', ['x', 't'], ['y']]],
      ['N', 3, 8, 6],
      ['N', 3, 'H', 'W'],
    ],
  ])('%s', async (_, nodes, fixed, open) => {
    Object.assign(constants, {
      twice: floatConstant([1, 1, 2, 2], [4]),
      one1: int64Constant([2, 1]),
      minus1: int64Constant([-1]),
    });
    expect(await dimsOf(nodes)).toEqual(fixed);
    expect(await dimsOf(nodes, ['N', 3, 'H', 'W'])).toEqual(open);
  });

  test("PyTorch's expand, whose −1 are replaced by where", async () => {
    const nodes: ShortNode[] = [
      ...sizes,
      ['Concat', ['N', 'minus1', 'four'], ['t'], { axis: 0 }],
      ['Shape', ['t'], ['length']],
      ['ConstantOfShape', ['length'], ['o'], { value: { kind: 'tensor', value: int64Constant([1]) } }],
      ['Mul', ['o', 'minus'], ['m']],
      ['Equal', ['t', 'm'], ['is']],
      ['Where', ['is', 'o', 't'], ['target']],
      ['Expand', ['token', 'target'], ['y']],
    ];
    Object.assign(constants, { minus1: int64Constant([-1]), token: weights(2, [1, 5, 1]) });
    expect(await dimsOf(nodes)).toEqual(['N', 5, 4]);
  });
});

const body = (
  nodes: readonly ShortNode[],
  inputs: Record<string, readonly Dim[]>,
  outputs: readonly string[],
): Plain => {
  const graph = graphFrom({ inputs, outputs, nodes });
  const typed = (name: string) =>
    name === 'i' ? DataType.INT64 : name === 'go' ? DataType.BOOL : DataType.FLOAT;
  const info = ({ name, dims }: { name: string; dims: readonly Dim[] | undefined }) => ({
    name,
    type: typed(name),
    dims,
  });
  return {
    kind: 'graph',
    value: {
      ...graph,
      inputs: graph.inputs.map(info),
      outputs: outputs.map((name) => ({ name, type: typed(name === 'went' ? 'go' : name), dims: undefined })),
    },
  };
};

describe('dims behind graphs inside nodes', () => {
  const carried = (nodes: readonly ShortNode[]) =>
    body([['Identity', ['go'], ['went']], ...nodes], { i: [], go: [], s: [] }, ['went', 'out']);
  const free = (plain: Plain): Plain => {
    const { kind, value } = plain as { kind: 'graph'; value: Graph };
    return {
      kind,
      value: {
        ...value,
        inputs: value.inputs.map((info) => (info.name === 's' ? { ...info, dims: undefined } : info)),
      },
    };
  };

  test('a Loop that keeps the dims of what it carries, with shape arithmetic inside', async () => {
    const inside: ShortNode[] = [
      ['Shape', ['s'], ['ss']],
      ['Slice', ['ss', 'zero', 'one', 'zero'], ['n']],
      ['Concat', ['n', 'three', 'minus1'], ['t'], { axis: 0 }],
      ['Reshape', ['s', 't'], ['flat']],
      ['Relu', ['flat'], ['bent']],
      ['Reshape', ['bent', 'ss'], ['out']],
    ];
    Object.assign(constants, { minus1: int64Constant([-1]) });
    const nodes: ShortNode[] = [
      ['Loop', ['seven', 'yes', 'x'], ['l'], { body: free(carried(inside)) }],
      ['Conv', ['l', 'w'], ['y'], { strides: [2, 2], pads: [1, 1, 1, 1] }],
    ];
    expect(await dimsOf(nodes)).toEqual(['N', 4, 4, 3]);
  });

  test('a Loop that grows one axis', async () => {
    const grow = carried([['Concat', ['s', 's'], ['out'], { axis: 2 }]]);
    const nodes: ShortNode[] = [['Loop', ['third', '', 'x'], ['y'], { body: free(grow) }]];
    expect(await dimsOf(nodes)).toEqual(['N', 3, '', 6]);
  });

  test('what a Loop collects, a turn after the other', async () => {
    const collect = body(
      [
        ['Identity', ['go'], ['went']],
        ['Relu', ['s'], ['out']],
        ['ReduceMean', ['s', 'places'], ['scan'], { keepdims: 0 }],
      ],
      { i: [], go: [], s: [] },
      ['went', 'out', 'scan'],
    );
    const nodes: ShortNode[] = [['Loop', ['seven', 'yes', 'x'], ['l', 'y'], { body: free(collect) }]];
    expect(await dimsOf(nodes)).toEqual([7, 'N', 3]);
  });

  test('an If whose branches agree in some dims', async () => {
    const branch = (nodes: readonly ShortNode[]) => body(nodes, {}, ['out']);
    const nodes: ShortNode[] = [
      conv,
      ['ReduceMax', ['x'], ['most'], { keepdims: 0 }],
      ['Cast', ['most'], ['is'], { to: 9 }],
      [
        'If',
        ['is'],
        ['y'],
        {
          then_branch: branch([['Relu', ['c'], ['out']]]),
          else_branch: branch([['Slice', ['c', 'zero', 'two', 'three'], ['out']]]),
        },
      ],
    ];
    expect(await dimsOf(nodes)).toEqual(['N', 4, 4, '']);
  });
});

describe('dims that the file declares', () => {
  async function read(dims: readonly Dim[]): Promise<readonly Dim[] | undefined> {
    // Grid and Where: nothing tells how many rows are kept, but the file says so.
    const nodes: ShortNode[] = [
      ['ReduceMax', ['x', 'places'], ['most'], { keepdims: 0 }],
      ['NonZero', ['most'], ['where']],
      ['Shape', ['where'], ['count']],
      ['Slice', ['count', 'one', 'two', 'zero'], ['k']],
      ['Slice', ['x', 'zero', 'k', 'three'], ['s']],
      ['Relu', ['s'], ['y']],
    ];
    const model = modelOf(graphFrom({ inputs: { x: dims }, outputs: ['y'], nodes, constants }), () => true);
    model.graph?.valueInfo.push(valueInfoProto({ name: 's', type: DataType.FLOAT, dims: [1, 3, 8, 6] }));
    const graph = await prepareGraph(await readModel(encode(model)));
    return graph.values.get('y')?.dims;
  }

  test('are taken where nothing else tells, but not the batch', async () => {
    expect(await read(['N', 3, 8, 6])).toEqual(['N', 3, 8, 6]);
  });

  test('are not, where the file leaves sizes open that they may have been made for', async () => {
    expect(await read(['N', 3, 'H', 'W'])).toEqual(['N', 3, 'H', '']);
  });
});
