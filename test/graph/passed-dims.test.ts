import { InferenceSession } from 'onnxruntime-node';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { table } from '../../src/autodiff/table.js';
import { knownOf } from '../../src/graph/arithmetic.js';
import { type Dim, type Graph, valueInfo } from '../../src/graph/graph.js';
import { passedDims } from '../../src/graph/passed-dims.js';
import { int64Constant } from '../../src/onnx/constant.js';
import { DataType } from '../../src/onnx/types.js';
import { type Built, buildCase, type Case } from '../autodiff/case.js';
import { families } from '../autodiff/cases/index.js';
import { graphFrom, type ShortNode, weights } from '../support/network.js';
import { outputsOf, prepared } from './equal.js';

/** Operators whose dims were passed on, and held against those that their values have. */
const seen = new Set<string>();

/** A name of a case's symbolic dims ends with its size; several are a product. */
function sizeIn(dim: Dim): number {
  const sizes = String(dim)
    .split('*')
    .map((part) => Number(part.split('_').at(-1)));
  return sizes.reduce((a, b) => a * b, 1);
}

/** Holds what is passed on against the dims that every value has when the graph runs. */
async function holds({ graph, feeds }: Pick<Built, 'graph' | 'feeds'>): Promise<void> {
  const ready = await prepared(graph);
  const isTensor = (name: string) => name !== '' && valueInfo(ready, name).type !== undefined;
  const outputs = ready.nodes
    .flatMap((node) => node.outputs.filter(isTensor))
    .map((name) => ({ name, type: undefined, dims: undefined }));
  const fed = Object.fromEntries(ready.inputs.map(({ name }) => [name, feeds[name]]));
  const results = await outputsOf({ ...ready, outputs }, fed);
  for (const node of ready.nodes) {
    const passed = passedDims(node, ready, (name) => knownOf(ready, new Map(), name ?? ''));
    for (const [i, dims] of passed.entries()) {
      const name = node.outputs[i];
      if (!name || !dims) continue;
      seen.add(node.opType);
      const sizes = results[name].dims;
      expect(dims, node.opType).toHaveLength(sizes.length);
      expect(
        dims.map((dim, axis) => (dim === '' ? sizes[axis] : sizeIn(dim))),
        node.opType,
      ).toEqual(sizes);
    }
  }
}

describe('dims that operators pass on', () => {
  test.each(Object.entries(families))('are those of the values, cases of "%s"', async (_, cases) => {
    const runs = (item: Case) => !item.meaning; // by ONNX Runtime, which has all others
    for (const item of cases.filter(runs))
      for (const variant of [undefined, 'batch', 'space'] as const) {
        const [opset] = item.opsets ?? [Math.max(18, table[item.op].since)];
        await holds(buildCase(item, opset, DataType.FLOAT, variant));
      }
  });

  test('were those of all operators that pass some on', () => {
    const some = [
      'Add',
      'Where',
      'Relu',
      'Softmax',
      'LayerNormalization',
      'ScatterND',
      'ReduceMean',
      'Transpose',
    ];
    const others = ['Concat', 'Split', 'MatMul', 'Gemm', 'Conv', 'MaxPool', 'AveragePool', 'GlobalMaxPool'];
    const more = ['Gather', 'Unsqueeze', 'Squeeze'];
    expect([...seen]).toEqual(expect.arrayContaining([...some, ...others, ...more]));
  });
});

describe('a chain of computed dims', () => {
  afterEach(() => vi.restoreAllMocks());

  /** Blocks as a video transformer has them: the batch is told by Shape in each, and given to a Reshape. */
  function chain(blocks: number): Graph {
    const nodes = Array.from({ length: blocks }, (_, i): ShortNode[] => {
      const [x, y] = [i === 0 ? 'x' : `y${i}`, i === blocks - 1 ? 'y' : `y${i + 1}`];
      const own = (name: string) => `${name}${i}`;
      return [
        ['Shape', [x], [own('shape')]],
        ['Slice', [own('shape'), 'zero', 'one', 'zero'], [own('N')]],
        ['Concat', [own('N'), 'sizes', 'rest'], [own('target')], { axis: 0 }],
        ['Reshape', [x, own('target')], [own('tokens')]],
        ['LayerNormalization', [own('tokens'), 'scale'], [own('normal')]],
        ['MatMul', [own('normal'), 'mix'], [own('mixed')]],
        ['Add', [own('mixed'), own('tokens')], [own('sum')]],
        ['Transpose', [own('sum')], [own('turned')], { perm: [0, 2, 1] }],
        ['Unsqueeze', [own('turned'), 'three'], [own('column')]],
        ['Concat', [own('N'), 'picture'], [own('back')], { axis: 0 }],
        ['Reshape', [own('column'), own('back')], [own('volume')]],
        ['Conv', [own('volume'), 'w'], [y], { pads: [1, 1, 1, 1] }],
      ];
    });
    return graphFrom({
      inputs: { x: ['N', 4, 6, 2] },
      outputs: ['y'],
      nodes: nodes.flat(),
      constants: {
        zero: int64Constant([0]),
        one: int64Constant([1]),
        three: int64Constant([3]),
        sizes: int64Constant([4]),
        rest: int64Constant([-1]),
        picture: int64Constant([4, 6, 2]),
        scale: weights(1, [12]),
        mix: weights(2, [12, 12]),
        w: weights(3, [4, 4, 3, 3]),
      },
    });
  }

  test('takes as many sessions as a single one', async () => {
    const opened = vi.spyOn(InferenceSession, 'create');
    const counts = [];
    for (const blocks of [1, 12]) {
      opened.mockClear();
      const graph = await prepared(chain(blocks));
      counts.push(opened.mock.calls.length);
      expect(graph.values.get('y')?.dims).toEqual(['N', 4, 6, 2]);
      const reshapes = graph.nodes.filter(({ opType }) => opType === 'Reshape');
      expect(reshapes).toHaveLength(2 * blocks);
      expect(reshapes.every(({ inputs }) => graph.constants.has(inputs[1]))).toBe(true);
    }
    expect(counts[0]).toBeGreaterThan(0);
    expect(counts[1]).toBe(counts[0]);
  });
});
