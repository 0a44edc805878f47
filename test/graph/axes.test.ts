import { describe, expect, test } from 'vitest';
import { findAxes } from '../../src/graph/axes.js';
import { valueInfo } from '../../src/graph/graph.js';
import { layoutOf } from '../../src/graph/tokens.js';
import { int64Constant } from '../../src/onnx/constant.js';
import { DataType } from '../../src/onnx/types.js';
import { graphFrom, type ShortGraph, type ShortNode, weights } from '../support/network.js';
import { transformer } from '../support/transformer.js';
import { prepared } from './equal.js';

/** Layouts of the values of a network. */
async function layoutsOf(short: ShortGraph) {
  const graph = await prepared(graphFrom(short));
  const [image] = graph.inputs;
  const axes = findAxes(graph, image.name);
  return (name: string) => {
    const found = axes.get(name);
    return found && layoutOf(found, (valueInfo(graph, image.name).dims?.length ?? 0) - 2);
  };
}

/** What follows a convolution [N, 8, 4, 6] on a picture [N, 3, 8, 12]. */
function behindConv(nodes: readonly ShortNode[], constants: ShortGraph['constants'] = {}) {
  return layoutsOf({
    inputs: { image: ['N', 3, 8, 12] },
    outputs: [nodes[nodes.length - 1][2][0]],
    nodes: [['Conv', ['image', 'w'], ['conv'], { strides: [2, 2], pads: [1, 1, 1, 1] }], ...nodes],
    constants: { w: weights(1, [8, 3, 3, 3]), ...constants },
  });
}

const last: ShortNode = ['Transpose', ['conv'], ['last'], { perm: [0, 2, 3, 1] }];
const plain = { batchAxis: 0, prefix: 0, suffix: 0 };

describe('tokens', () => {
  test.each([
    [0, 0],
    [1, 0],
    [5, 0],
    [1, 4],
  ])('with %d before the patches and %d behind', async (prefix, suffix) => {
    const layout = await layoutsOf(transformer({ prefix, suffix }));
    const expected = { batchAxis: 0, channelAxis: 2, prefix, suffix, grid: [2, 3] };
    for (const name of ['x0', 'b0/norm1', 'b1/hidden', 'norm']) expect(layout(name)).toEqual(expected);
    expect(layout('patches')).toEqual({ ...expected, prefix: 0, suffix: 0 });
    for (const name of ['b0/attention', 'b0/products', 'b1/k', 'b1/mixed'])
      expect(layout(name)).toBeUndefined();
  });

  test('class token taken away, and the grid written out again', async () => {
    const graph = transformer();
    const layout = await layoutsOf({
      ...graph,
      outputs: ['picture'],
      nodes: [
        ...graph.nodes,
        ['Slice', ['b1', 'from', 'to', 'axis'], ['patchesAgain']],
        ['Transpose', ['patchesAgain'], ['turned'], { perm: [0, 2, 1] }],
        ['Reshape', ['turned', 'dims'], ['picture']],
      ],
      constants: {
        ...graph.constants,
        from: int64Constant([1]),
        to: int64Constant([2n ** 62n]),
        axis: int64Constant([1]),
        dims: int64Constant([0, 8, 2, 3]),
      },
    });
    expect(layout('patchesAgain')).toEqual({ ...plain, channelAxis: 2, grid: [2, 3] });
    expect(layout('picture')).toEqual({ ...plain, channelAxis: 1, grid: [2, 3] });
  });

  test('some of the patches are no grid', async () => {
    const layout = await behindConv(
      [
        ['Reshape', ['conv', 'flat'], ['tokens']],
        ['Slice', ['tokens', 'from', 'to', 'axis'], ['some']],
        ['Tanh', ['some'], ['end']],
      ],
      {
        flat: int64Constant([0, 8, -1]),
        from: int64Constant([3]),
        to: int64Constant([20]),
        axis: int64Constant([2]),
      },
    );
    expect(layout('tokens')).toEqual({ ...plain, channelAxis: 1, grid: [4, 6] });
    expect(layout('end')).toBeUndefined();
  });

  test('patches by Reshape and Transpose alone, in channels last and tokens first', async () => {
    const layout = await layoutsOf({
      inputs: { image: ['N', 3, 8, 12] },
      outputs: ['first'],
      nodes: [
        ['Reshape', ['image', 'cut'], ['cut_up']],
        ['Transpose', ['cut_up'], ['turned'], { perm: [0, 2, 4, 3, 5, 1] }],
        ['Reshape', ['turned', 'tokens'], ['flat']],
        ['MatMul', ['flat', 'w'], ['embedded']],
        ['Transpose', ['embedded'], ['first'], { perm: [1, 0, 2] }],
      ],
      constants: {
        cut: int64Constant([0, 3, 2, 4, 3, 4]),
        tokens: int64Constant([0, 6, 48]),
        w: weights(1, [48, 8]),
      },
    });
    expect(layout('embedded')).toEqual({ ...plain, channelAxis: 2, grid: [2, 3] });
    expect(layout('first')).toEqual({ ...plain, batchAxis: 1, channelAxis: 2, grid: [2, 3] });
  });
});

describe('channels last', () => {
  test('[N, h, w, C] is told from [N, K, h, w]', async () => {
    const layout = await behindConv([last, ['MatMul', ['last', 'm'], ['end']]], { m: weights(2, [8, 6]) });
    expect(layout('conv')).toEqual({ ...plain, channelAxis: 1, grid: [4, 6] });
    expect(layout('end')).toEqual({ ...plain, channelAxis: 3, grid: [4, 6] });
  });

  test('windows, and pictures put together from them', async () => {
    const layout = await behindConv(
      [
        last,
        ['Reshape', ['last', 'cut'], ['cut_up']],
        ['Transpose', ['cut_up'], ['turned'], { perm: [0, 1, 3, 2, 4, 5] }],
        ['Reshape', ['turned', 'windows'], ['windowed']],
        ['MatMul', ['windowed', 'm'], ['mixed']],
        ['Reshape', ['mixed', 'apart'], ['apart_again']],
        ['Transpose', ['apart_again'], ['back'], { perm: [0, 1, 3, 2, 4, 5] }],
        ['Reshape', ['back', 'whole'], ['end']],
      ],
      {
        cut: int64Constant([0, 2, 2, 2, 3, 8]),
        windows: int64Constant([-1, 6, 8]),
        apart: int64Constant([-1, 2, 2, 2, 3, 8]),
        whole: int64Constant([-1, 4, 6, 8]),
        m: weights(2, [8, 8]),
      },
    );
    expect(layout('windowed')).toBeUndefined();
    expect(layout('turned')?.digits).toEqual([
      { axis: 0, size: 2, stride: 2 },
      { axis: 1, size: 2, stride: 3 },
      { axis: 0, size: 2, stride: 1 },
      { axis: 1, size: 3, stride: 1 },
    ]);
    expect(layout('end')).toEqual({ ...plain, channelAxis: 3, grid: [4, 6] });
  });

  test('a single window of a single picture: the batch of one stays the first of the axes of one', async () => {
    const layout = await layoutsOf({
      inputs: { image: [1, 3, 8, 12] },
      outputs: ['end'],
      nodes: [
        ['Conv', ['image', 'w'], ['conv'], { strides: [2, 2], pads: [1, 1, 1, 1] }],
        last,
        ['Reshape', ['last', 'cut'], ['cut_up']],
        ['Transpose', ['cut_up'], ['turned'], { perm: [0, 1, 3, 2, 4, 5] }],
        ['Reshape', ['turned', 'window'], ['windowed']],
        ['MatMul', ['windowed', 'm'], ['mixed']],
        ['Reshape', ['mixed', 'apart'], ['apart_again']],
        ['Transpose', ['apart_again'], ['back'], { perm: [0, 1, 3, 2, 4, 5] }],
        ['Reshape', ['back', 'whole'], ['together']],
        ['MatMul', ['together', 'm'], ['end']],
      ],
      constants: {
        w: weights(1, [8, 3, 3, 3]),
        m: weights(2, [8, 8]),
        cut: int64Constant([1, 1, 4, 1, 6, 8]),
        window: int64Constant([1, 24, 8]),
        apart: int64Constant([1, 1, 1, 4, 6, 8]),
        whole: int64Constant([1, 4, 6, 8]),
      },
    });
    expect(layout('windowed')).toEqual({ ...plain, channelAxis: 2, grid: [4, 6] });
    for (const name of ['together', 'end'])
      expect(layout(name)).toEqual({ ...plain, channelAxis: 3, grid: [4, 6] });
  });

  test('every other row and column, side by side in the channels', async () => {
    const part = (row: number, column: number): ShortNode => [
      'Slice',
      ['last', `from${row}${column}`, 'ends', 'axes', 'steps'],
      [`part${row}${column}`],
    ];
    const parts = [part(0, 0), part(1, 0), part(0, 1), part(1, 1)];
    const layout = await behindConv(
      [
        last,
        ...parts,
        ['Concat', parts.map(([, , [name]]) => name), ['merged'], { axis: 3 }],
        ['MatMul', ['merged', 'm'], ['end']],
      ],
      {
        ends: int64Constant([2n ** 31n - 1n, 2n ** 31n - 1n]),
        axes: int64Constant([1, 2]),
        steps: int64Constant([2, 2]),
        from00: int64Constant([0, 0]),
        from10: int64Constant([1, 0]),
        from01: int64Constant([0, 1]),
        from11: int64Constant([1, 1]),
        m: weights(2, [32, 8]),
      },
    );
    expect(layout('end')).toEqual({ ...plain, channelAxis: 3, grid: [2, 3] });
  });

  test('a picture that was rolled is none until it is rolled back', async () => {
    const cut = (from: string, start: string, end: string, to: string): ShortNode => [
      'Slice',
      [from, start, end, 'axis'],
      [to],
    ];
    const layout = await behindConv(
      [
        last,
        cut('last', 'one', 'far', 'low'),
        cut('last', 'zero', 'one', 'top'),
        ['Concat', ['low', 'top'], ['rolled'], { axis: 1 }],
        ['MatMul', ['rolled', 'm'], ['mixed']],
        cut('mixed', 'minus', 'far', 'top2'),
        cut('mixed', 'zero', 'minus', 'low2'),
        ['Concat', ['top2', 'low2'], ['back'], { axis: 1 }],
        ['Add', ['last', 'back'], ['end']],
      ],
      {
        axis: int64Constant([1]),
        zero: int64Constant([0]),
        one: int64Constant([1]),
        minus: int64Constant([-1]),
        far: int64Constant([2n ** 62n]),
        m: weights(2, [8, 8]),
      },
    );
    expect(layout('rolled')).toBeUndefined();
    expect(layout('mixed')).toBeUndefined();
    expect(layout('end')).toEqual({ ...plain, channelAxis: 3, grid: [4, 6] });
  });
});

test('windows of a picture that was rolled and padded, added to the picture', async () => {
  const layout = await behindConv(
    [
      ['Slice', ['conv', 'zero', 'two', 'axis'], ['left']],
      ['Slice', ['conv', 'two', 'end', 'axis'], ['right']],
      ['Concat', ['right', 'left'], ['rolled'], { axis: 3 }],
      ['Pad', ['rolled', 'pads'], ['padded']],
      ['Slice', ['padded', 'zero', 'six', 'axis'], ['cropped']],
      ['Slice', ['cropped', 'zero', 'four', 'axis'], ['first']],
      ['Slice', ['cropped', 'four', 'end', 'axis'], ['second']],
      ['Concat', ['second', 'first'], ['back'], { axis: 3 }],
      ['Add', ['conv', 'back'], ['sum']],
    ],
    {
      zero: int64Constant([0]),
      two: int64Constant([2]),
      four: int64Constant([4]),
      six: int64Constant([6]),
      end: int64Constant([2 ** 31 - 1]),
      axis: int64Constant([3]),
      pads: int64Constant([0, 0, 0, 0, 0, 0, 0, 2]),
    },
  );
  expect(layout('rolled')).toBeUndefined();
  expect(layout('sum')).toEqual({ ...plain, channelAxis: 1, grid: [4, 6] });
});

describe('what is no picture', () => {
  test('a 1 × 1 convolution over unfolded patches does not make one of them', async () => {
    const layout = await behindConv(
      [
        ['Reshape', ['conv', 'cut'], ['cut_up']],
        ['Transpose', ['cut_up'], ['turned'], { perm: [0, 1, 3, 5, 2, 4] }],
        ['Reshape', ['turned', 'unfolded'], ['patches']],
        ['Conv', ['patches', 'k'], ['mixed']],
        ['Reshape', ['mixed', 'folded'], ['apart']],
        ['Transpose', ['apart'], ['back'], { perm: [0, 1, 4, 2, 5, 3] }],
        ['Reshape', ['back', 'whole'], ['end']],
      ],
      {
        cut: int64Constant([0, 8, 2, 2, 3, 2]),
        unfolded: int64Constant([0, 8, 4, 6]),
        folded: int64Constant([0, 8, 2, 2, 2, 3]),
        whole: int64Constant([0, 8, 4, 6]),
        k: weights(2, [8, 8, 1, 1]),
      },
    );
    expect(layout('mixed')?.digits).toHaveLength(4); // in an order of its own, though its dims are those of the picture
    expect(layout('end')).toEqual({ ...plain, channelAxis: 1, grid: [4, 6] });
  });

  test.each(['N', 1])('parts of it that are pictures of a batch of their own, of %s', async (batch) => {
    const layout = await layoutsOf({
      inputs: { image: [batch, 3, 8, 12] },
      outputs: ['end'],
      nodes: [
        ['Reshape', ['image', 'line'], ['pixels']],
        ['Gather', ['pixels', 'indices'], ['picked'], { axis: 1 }],
        ['Reshape', ['picked', 'apart'], ['parts']],
        ['Conv', ['parts', 'w'], ['mixed'], { pads: [1, 1, 1, 1] }],
        ['Relu', ['mixed'], ['bent']],
        ['Reshape', ['bent', 'joined'], ['tokens']],
        ['MatMul', ['tokens', 'square'], ['end']],
      ],
      constants: {
        line: int64Constant([0, -1]),
        indices: int64Constant(Array.from({ length: 288 }, (_, i) => (i * 37) % 288)),
        apart: int64Constant([-1, 3, 4, 4]),
        w: weights(1, [8, 3, 3, 3]),
        joined: int64Constant([-1, 6, 128]),
        square: weights(2, [128, 8]),
      },
    });
    for (const name of ['parts', 'mixed', 'bent', 'tokens', 'end']) expect(layout(name)).toBeUndefined();
  });

  test('attention between channels', async () => {
    const layout = await behindConv(
      [
        ['Reshape', ['conv', 'flat'], ['q']],
        ['Transpose', ['q'], ['k'], { perm: [0, 2, 1] }],
        ['MatMul', ['q', 'k'], ['products']],
        ['Softmax', ['products'], ['attention']],
        ['MatMul', ['attention', 'q'], ['end']],
      ],
      { flat: int64Constant([0, 8, 24]) },
    );
    expect(layout('attention')).toBeUndefined();
    expect(layout('end')).toEqual({ ...plain, channelAxis: 1, grid: [4, 6] });
  });

  test('a gate of channels says nothing of what it scales', async () => {
    const layout = await behindConv(
      [
        ['GlobalAveragePool', ['conv'], ['pooled']],
        ['Reshape', ['pooled', 'line'], ['lined']],
        ['Conv', ['lined', 'k'], ['gate'], { pads: [1, 1] }],
        ['Reshape', ['gate', 'again'], ['gates']],
        ['Mul', ['conv', 'gates'], ['end']],
      ],
      { line: int64Constant([0, 1, 8]), again: int64Constant([0, 8, 1, 1]), k: weights(2, [1, 1, 3]) },
    );
    expect(layout('gate')).toBeUndefined();
    expect(layout('end')).toEqual({ ...plain, channelAxis: 1, grid: [4, 6] });
  });
});

test('an operator that names axes that its input does not have says nothing of them', () => {
  const graph = graphFrom({
    inputs: { image: ['N', 3, 8, 8], number: [] },
    outputs: ['y'],
    nodes: [['Gemm', ['number', 'w'], ['y'], { transB: 1 }]],
    constants: { w: weights(1, [5, 7]) },
  });
  const values = new Map([['y', { name: 'y', type: DataType.FLOAT, dims: [1, 5] }]]);
  expect([...findAxes({ ...graph, values }, 'image').keys()]).toEqual(['image']);
});
