import { describe, expect, test } from 'vitest';
import { Builder, Names } from '../../src/graph/builder.js';
import { simplify } from '../../src/autodiff/simplify.js';
import type { Dim } from '../../src/graph/graph.js';

/** Writes nodes behind values of known dims; returns the operators that are left, and the final name of the result. */
function simplified(dims: Record<string, readonly Dim[]>, write: (b: Builder) => string) {
  const b = new Builder(new Names(Object.keys(dims)));
  const result = write(b);
  const { nodes, nameOf } = simplify(
    { nodes: b.nodes, constants: b.constants, dimsOf: (name) => dims[name] },
    [result],
  );
  return { operators: nodes.map(({ opType }) => opType), nodes, result: nameOf(result) };
}

describe('the simplification of gradients', () => {
  test('leaves out what nobody reads', () => {
    const { operators } = simplified({ x: [2, 3] }, (b) => {
      b.op('Exp', [b.neg('x')]);
      return b.square('x');
    });
    expect(operators).toEqual(['Mul']);
  });

  test('lets an operator broadcast instead of repeating its operand', () => {
    const { nodes } = simplified({ x: [2, 1], y: ['N', 2, 3] }, (b) => {
      const mask = b.asFloat(b.op('Greater', ['y', b.scalar(0)]));
      return b.mul(b.op('Expand', ['x', b.ints([1, 2, 3])]), mask);
    });
    // [2, 1] repeated is [1, 2, 3], not [N, 2, 3]: the mask alone gives the result its dims, but not Expand's.
    expect(nodes.map(({ opType }) => opType)).toEqual(['Greater', 'Cast', 'Expand', 'Mul']);
    const same = simplified({ x: ['N', 2, 1], y: ['N', 2, 3] }, (b) =>
      b.mul(b.op('Expand', ['x', b.ints([1, 2, 3])]), b.op('Exp', ['y'])),
    );
    expect(same.operators).toEqual(['Exp', 'Mul']);
    expect(same.nodes[1].inputs).toEqual(['x', same.nodes[0].outputs[0]]);
  });

  test('keeps the repetition where the other operand is repeated too', () => {
    const { operators } = simplified({ x: [2, 1], y: [1, 3] }, (b) =>
      b.mul(b.op('Expand', ['x', b.ints([2, 3])]), 'y'),
    );
    expect(operators).toEqual(['Expand', 'Mul']);
  });

  test('joins Reshapes, but not where zeros copy dims', () => {
    const chain = (target: number[]) =>
      simplified({ x: [2, 12] }, (b) => b.reshape(b.reshape('x', [6, 4]), target));
    expect(chain([3, 8]).operators).toEqual(['Reshape']);
    expect(chain([3, 8]).nodes[0].inputs[0]).toBe('x');
    expect(chain([0, 2, 2]).operators).toEqual(['Reshape', 'Reshape']);
    expect(chain([2, 12])).toMatchObject({ operators: [], result: 'x' });
  });

  test('joins Transposes, and drops those that undo each other', () => {
    const chain = (first: number[], second: number[]) =>
      simplified({ x: [2, 3, 4] }, (b) => b.transpose(b.transpose('x', first), second));
    const { nodes } = chain([1, 2, 0], [2, 1, 0]);
    expect(nodes.map(({ attributes }) => attributes.get('perm')?.value)).toEqual([[0, 2, 1]]);
    expect(chain([1, 2, 0], [2, 0, 1])).toMatchObject({ operators: [], result: 'x' });
  });
});
