import { describe, expect, test } from 'vitest';
import type { Node } from '../../src/graph/graph.js';
import { inOrder } from '../../src/graph/order.js';
import { encode, modelOf } from '../../src/graph/to-model.js';
import { readModel } from '../../src/onnx/read.js';
import { prepareGraph } from '../../src/runtime/prepare.js';
import { classifier, graphFrom, type ShortNode, values } from '../support/network.js';
import { outputsOf } from './equal.js';
import { processorTime } from '../support/processor-time.js';

const short = classifier({ tail: 'softmax' });

/** The names of what nodes make, after they were put in order. */
function order(nodes: readonly ShortNode[]): string[] {
  const graph = graphFrom({ inputs: { x: [1] }, outputs: [], nodes });
  return inOrder(graph.nodes).map(({ outputs }) => outputs[0]);
}

describe('the order of nodes', () => {
  test('stays as it is where they can run in it', () => {
    expect(
      order([
        ['Neg', ['x'], ['b']],
        ['Neg', ['x'], ['a']],
        ['Add', ['a', 'b'], ['c']],
        ['Neg', ['b'], ['d']],
      ]),
    ).toEqual(['b', 'a', 'c', 'd']);
  });

  test('is mended where a node comes too early, graphs inside nodes counted', () => {
    const body = graphFrom({ inputs: {}, outputs: ['t'], nodes: [['Neg', ['late'], ['t']]] });
    const branch = { kind: 'graph', value: body } as const;
    expect(
      order([
        ['If', ['c'], ['y'], { then_branch: branch, else_branch: branch }],
        ['Neg', ['b'], ['c']],
        ['Neg', ['x'], ['late']],
        ['Neg', ['x'], ['b']],
      ]),
    ).toEqual(['b', 'c', 'late', 'y']);
  });

  test('of 100,000 nodes back to front takes neither the stack nor long', () => {
    const nodes = Array.from({ length: 100_000 }, (_, i): Node => {
      const [input, output] = [i === 0 ? 'x' : `v${i - 1}`, `v${i}`];
      return {
        opType: 'Neg',
        domain: '',
        name: '',
        inputs: [input],
        outputs: [output],
        attributes: new Map(),
      };
    });
    const before = processorTime();
    const found = inOrder(nodes.toReversed());
    expect(processorTime() - before).toBeLessThan(5000);
    expect(found).toEqual(nodes);
  });

  test('that nobody can give is refused', () => {
    expect(() =>
      order([
        ['Neg', ['c'], ['a']],
        ['Neg', ['a'], ['b']],
        ['Neg', ['b'], ['c']],
      ]),
    ).toThrow(/^Neg "node_a" and Neg "node_b" wait for each other's outputs: .* form a circle/);
    expect(() => order([['Add', ['x', 'a'], ['a']]])).toThrow('Add "node_a" reads its own output');
  });

  test('needs every value to be made once', () => {
    expect(() =>
      order([
        ['Neg', ['x'], ['a']],
        ['Abs', ['x'], ['a']],
      ]),
    ).toThrow('The value "a" is made twice, by Neg "node_a" and by Abs "node_a"; only one node may make it.');
  });

  test.each([
    ['back to front', (nodes: ShortNode[]) => nodes.toReversed()],
    ['one node at the end', (nodes: ShortNode[]) => [nodes[0], ...nodes.slice(2), nodes[1]]],
    ['odd ones first', (nodes: ShortNode[]) => [1, 0].flatMap((k) => nodes.filter((_, i) => i % 2 === k))],
  ])('of a model stored %s: the same as of the sorted one', async (_, shuffle) => {
    const stored = graphFrom({ ...short, nodes: shuffle([...short.nodes]) });
    const [sorted, unsorted] = await Promise.all(
      [graphFrom(short), stored].map(async (graph) =>
        prepareGraph(await readModel(encode(modelOf(graph, () => true)))),
      ),
    );
    expect(unsorted.nodes.map(({ name }) => name)).toEqual(sorted.nodes.map(({ name }) => name));
    const image = { type: 'float32' as const, dims: [2, 3, 8, 8], data: values(3, [2, 3, 8, 8]) };
    expect(await outputsOf(unsorted, { image })).toEqual(await outputsOf(sorted, { image }));
  });
});
