import { describe, expect, test } from 'vitest';
import { poolFirst } from '../../src/graph/pool-first.js';
import { openSession } from '../../src/runtime/session.js';
import { graphFrom, type ShortGraph, type ShortNode, values, weights } from '../support/network.js';

const trunk: ShortNode[] = [
  ['Conv', ['image', 'w1'], ['a'], { pads: [1, 1, 1, 1] }],
  ['Conv', ['image', 'w2'], ['b'], { pads: [1, 1, 1, 1] }],
];
const join: ShortNode = ['Concat', ['a', 'b'], ['joined'], { axis: 1 }];
const pool: ShortNode = [
  'MaxPool',
  ['joined'],
  ['pooled'],
  { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: 1 },
];

function network(tail: readonly ShortNode[], outputs = ['pooled']) {
  const graph: ShortGraph = {
    inputs: { image: ['N', 3, 8, 8] },
    outputs,
    nodes: [...trunk, ...tail],
    constants: { w1: weights(1, [16, 3, 3, 3]), w2: weights(2, [32, 3, 3, 3]) },
  };
  return graphFrom(graph);
}

const order = ({ nodes }: { nodes: readonly { opType: string }[] }) =>
  nodes.map(({ opType }) => opType).join(' ');

async function results(graph: ReturnType<typeof network>, level: 'disabled' | 'all') {
  const session = await openSession(graph, { threads: 1 }, { level });
  const dims = [2, 3, 8, 8];
  const outputs = await session.run({ image: { type: 'float32', dims, data: values(3, dims) } });
  await session.close();
  return outputs;
}

describe('pooled before they are joined', () => {
  test.each<[string, readonly ShortNode[]]>([
    ['the largest', [join, pool]],
    [
      'the mean',
      [
        join,
        [
          'AveragePool',
          ['joined'],
          ['pooled'],
          { kernel_shape: [2, 2], strides: [2, 2], pads: [1, 0, 0, 1] },
        ],
      ],
    ],
    ['the same part twice', [['Concat', ['a', 'b', 'a'], ['joined'], { axis: 1 }], pool]],
  ])('%s: the same numbers', async (_, tail) => {
    const graph = network(tail);
    const changed = poolFirst(graph);
    expect(order(changed)).toMatch(/^Conv Conv (\w+Pool ){2,3}Concat$/);
    expect(await results(changed, 'disabled')).toEqual(await results(graph, 'disabled'));
    expect(await results(changed, 'all')).toEqual(await results(graph, 'all'));
  });

  test('names that are taken are left to their owners', () => {
    const taken: ShortNode = ['Relu', ['pooled'], ['pooled/part']];
    const { nodes } = poolFirst(network([join, pool, taken], ['pooled/part']));
    const names = nodes.flatMap(({ outputs }) => outputs);
    expect(new Set(names).size).toBe(names.length);
  });
});

describe('left as it is', () => {
  test.each<[string, readonly ShortNode[], string[]?]>([
    ['what is wanted itself', [join, pool], ['pooled', 'joined']],
    ['what others read', [join, pool, ['Relu', ['joined'], ['relu']]], ['pooled', 'relu']],
    ['joined along the rows', [['Concat', ['a', 'a'], ['joined'], { axis: 2 }], pool]],
    [
      'places of the largest',
      [join, [pool[0], pool[1], ['pooled', 'places'], pool[3]]],
      ['pooled', 'places'],
    ],
    ['another operator', [join, ['Relu', ['joined'], ['pooled']]]],
  ])('%s', (_, tail, outputs) => {
    const graph = network(tail, outputs);
    expect(poolFirst(graph)).toBe(graph);
  });
});
