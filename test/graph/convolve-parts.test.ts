import { describe, expect, test } from 'vitest';
import { convolveParts } from '../../src/graph/convolve-parts.js';
import type { Graph } from '../../src/graph/graph.js';
import { poolFirst } from '../../src/graph/pool-first.js';
import { floatConstant } from '../../src/onnx/constant.js';
import { inferValues } from '../../src/runtime/infer.js';
import { openSession } from '../../src/runtime/session.js';
import { graphFrom, type ShortGraph, type ShortNode, values, weights } from '../support/network.js';

const join: ShortNode = ['Concat', ['a', 'b'], ['joined'], { axis: 1 }];
const squeeze: ShortNode = ['Conv', ['joined', 'w', 'bias'], ['squeezed']];
const bend: ShortNode = ['Relu', ['squeezed'], ['relu']];
const constants = {
  wa: weights(1, [16, 3, 3, 3]),
  wb: weights(2, [32, 3, 3, 3]),
  w: weights(3, [16, 48, 1, 1]),
  bias: weights(4, [16], 0.3),
};

/** Parts a and b of 16 and 32 channels, and what becomes of them. */
async function network(tail: readonly ShortNode[], more: Partial<ShortGraph> = {}): Promise<Graph> {
  const trunk: ShortNode[] = [
    ['Conv', ['image', 'wa'], ['a'], { pads: [1, 1, 1, 1] }],
    ['Conv', ['image', 'wb'], ['b'], { pads: [1, 1, 1, 1] }],
  ];
  return inferValues(
    graphFrom({
      inputs: { image: [2, 3, 8, 8] },
      outputs: ['relu'],
      nodes: [...trunk, ...tail],
      ...more,
      constants: { ...constants, ...more.constants },
    }),
  );
}

const order = ({ nodes }: Graph) => nodes.map(({ opType }) => opType).join(' ');

async function resultOf(graph: Graph, level: 'disabled' | 'all'): Promise<Float32Array> {
  const session = await openSession(graph, { threads: 1 }, { level });
  const dims = [2, 3, 8, 8];
  const { relu } = await session.run({ image: { type: 'float32', dims, data: values(5, dims) } });
  await session.close();
  return relu.data as Float32Array;
}

/** Whether two graphs compute the same, and the largest numbers are not near 0. */
async function same(changed: Graph, graph: Graph): Promise<void> {
  const expected = await resultOf(graph, 'disabled');
  expect(Math.max(...expected)).toBeGreaterThan(0.5);
  for (const level of ['disabled', 'all'] as const)
    (await resultOf(changed, level)).forEach((value, i) =>
      expect(Math.abs(value - expected[i])).toBeLessThan(2e-6),
    );
}

describe('parts that are convolved each', () => {
  test.each<[string, readonly ShortNode[], Partial<ShortGraph>?]>([
    ['with a bias', [join, squeeze, bend]],
    ['without', [join, ['Conv', ['joined', 'w'], ['squeezed']], bend]],
    [
      'with strides and zeros around',
      [join, [...squeeze.slice(0, 3), { strides: [2, 2], pads: [1, 0, 1, 1] }] as unknown as ShortNode, bend],
    ],
    [
      'three',
      [['Concat', ['a', 'b', 'a'], ['joined'], { axis: 1 }], squeeze, bend],
      { constants: { w: weights(6, [16, 64, 1, 1]) } },
    ],
  ])('%s', async (_, tail, more) => {
    const graph = await network(tail, more);
    const changed = convolveParts(graph);
    expect(order(changed)).toMatch(/^Conv Conv (Conv )+Add (Conv Add )?Relu$/);
    expect(changed.constants.has('w')).toBe(false);
    await same(changed, graph);
  });

  test('parts that are pooled before', async () => {
    const pool: ShortNode = ['MaxPool', ['joined'], ['pooled'], { kernel_shape: [3, 3], strides: [2, 2] }];
    const graph = await network([join, pool, ['Conv', ['pooled', 'w', 'bias'], ['squeezed']], bend]);
    const changed = convolveParts(poolFirst(graph));
    expect(order(changed)).toBe('Conv Conv MaxPool MaxPool Conv Conv Add Relu');
    await same(changed, graph);
  });

  test('a weight that others use stays', async () => {
    const other: ShortNode = ['Add', ['relu', 'w0'], ['sum']];
    const graph = await network(
      [join, squeeze, bend, ['ReduceMean', ['w'], ['w0'], { keepdims: 1 }], other],
      { outputs: ['sum'] },
    );
    expect(convolveParts(graph).constants.has('w')).toBe(true);
    expect(order(convolveParts(graph))).not.toMatch('Concat');
  });
});

describe('left as it is', () => {
  test.each<[string, readonly ShortNode[], Partial<ShortGraph>?]>([
    ['joined channels that are wanted', [join, squeeze, bend], { outputs: ['relu', 'joined'] }],
    [
      'or read by others',
      [join, squeeze, bend, ['Relu', ['joined'], ['other']]],
      { outputs: ['relu', 'other'] },
    ],
    ['results that are', [join, squeeze, bend], { outputs: ['relu', 'squeezed'] }],
    ['another activation', [join, squeeze, ['Sigmoid', ['squeezed'], ['relu']]]],
    ['a larger kernel', [join, squeeze, bend], { constants: { w: weights(6, [16, 48, 3, 3]) } }],
    [
      'as many results as channels',
      [join, squeeze, bend],
      { constants: { w: weights(6, [32, 48, 1, 1]), bias: weights(4, [32]) } },
    ],
    [
      'results that fill no block',
      [join, squeeze, bend],
      { constants: { w: weights(6, [8, 48, 1, 1]), bias: weights(4, [8]) } },
    ],
    [
      'parts that fill none',
      [join, squeeze, bend],
      { constants: { wb: weights(2, [24, 3, 3, 3]), w: weights(6, [16, 40, 1, 1]) } },
    ],
    [
      'groups',
      [join, ['Conv', ['joined', 'w', 'bias'], ['squeezed'], { group: 3 }], bend],
      { constants: { w: weights(6, [48, 16, 1, 1]), bias: weights(4, [48]) } },
    ],
    [
      'a weight that is computed',
      [['Relu', ['w'], ['v']], join, ['Conv', ['joined', 'v'], ['squeezed']], bend],
    ],
    [
      'something else between',
      [join, ['Relu', ['joined'], ['positive']], ['Conv', ['positive', 'w'], ['squeezed']], bend],
    ],
    [
      'joined along the rows',
      [['Concat', ['b', 'b'], ['joined'], { axis: 2 }], squeeze, bend],
      { constants: { w: floatConstant(new Float32Array(16 * 32), [16, 32, 1, 1]) } },
    ],
  ])('%s', async (_, tail, more) => {
    const graph = await network(tail, more);
    expect(convolveParts(graph)).toBe(graph);
  });
});
