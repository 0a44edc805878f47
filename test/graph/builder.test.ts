import { describe, expect, test } from 'vitest';
import { appended, Builder, Names } from '../../src/graph/builder.js';
import { floatConstant } from '../../src/onnx/constant.js';
import { DataType } from '../../src/onnx/types.js';
import { graphFrom } from '../support/network.js';

const inner = graphFrom({ inputs: {}, outputs: ['deep'], nodes: [['Neg', ['x'], ['deep']]] });
const graph = graphFrom({
  inputs: { x: [2], c: [] },
  outputs: ['y'],
  constants: { w: floatConstant([1], []) },
  nodes: [
    ['Mul', ['x', 'w'], ['m']],
    [
      'If',
      ['c'],
      ['y'],
      { then_branch: { kind: 'graph', value: inner }, else_branch: { kind: 'graph', value: inner } },
    ],
  ],
});

describe('names', () => {
  test('are those of inputs, constants, nodes and of graphs inside nodes', () => {
    const names = Names.of(graph);
    expect(['x', 'c', 'w', 'm', 'y', 'deep'].filter((name) => !names.has(name))).toEqual([]);
    expect(names.has('z')).toBe(false);
    expect(['deep', 'deep', 'z', 'z'].map((name) => names.free(name))).toEqual([
      'deep_2',
      'deep_3',
      'z',
      'z_2',
    ]);
  });

  test('pass over numbered names that the graph has already', () => {
    const names = new Names(['a', 'a_2', 'a_4']);
    expect([1, 2, 3].map(() => names.free('a'))).toEqual(['a_3', 'a_5', 'a_6']);
  });

  test('are shared by builders that write into one model', () => {
    const names = new Names(['x']);
    const [one, other] = [new Builder(names), new Builder(names)];
    expect([one.neg('x'), other.neg('x')]).toEqual(['Neg', 'Neg_2']);
  });
});

describe('a builder', () => {
  test('names values after their place and operator, or as it is told', () => {
    const b = new Builder(graph);
    b.at('m');
    const half = b.scalar(0.5);
    b.op('Clip', ['m', undefined, half], {}, 'clipped');
    const [first, second] = b.ops('Split', ['clipped'], 2, { num_outputs: 2 });
    b.ops('LayerNormalization', [first, half], ['normal', '', 'deviation']);
    expect([first, second]).toEqual(['m/Split', 'm/Split_2']);
    expect(b.nodes.map(({ name, inputs, outputs }) => [name, inputs, outputs])).toEqual([
      ['clipped', ['m', '', half], ['clipped']],
      ['m/Split', ['clipped'], ['m/Split', 'm/Split_2']],
      ['normal', ['m/Split', half], ['normal', '', 'deviation']],
    ]);
    expect(appended(graph, b).nodes).toHaveLength(5);
    expect(graph.nodes).toHaveLength(2);
  });

  test('leaves absent inputs at the end out', () => {
    const b = new Builder();
    b.op('Clip', ['x', 'least', '']);
    b.op('Random', ['', undefined]);
    expect(b.nodes.map(({ inputs }) => inputs)).toEqual([['x', 'least'], []]);
  });

  test('keeps equal numbers once, of each type and dims', () => {
    const b = new Builder();
    expect(b.ints([1, 2])).toBe(b.ints([1, 2]));
    expect(b.int(1)).not.toBe(b.ints([1]));
    const single = b.scalar(1);
    b.type = DataType.DOUBLE;
    expect(b.scalar(1)).not.toBe(single);
    expect([...b.constants.values()].map(({ type, dims }) => [type, dims])).toEqual([
      [DataType.INT64, [2]],
      [DataType.INT64, []],
      [DataType.INT64, [1]],
      [DataType.FLOAT, []],
      [DataType.DOUBLE, []],
    ]);
  });
});
