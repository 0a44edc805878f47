import type { Builder, Name } from '../../graph/builder.js';
import type { Goal, GoalNodes, OutputNodes, Row } from '../target.js';

/** What holds a whole number for every picture, [N]. */
export function forAll(b: Builder, number: number, value: Name): Name {
  return b.op('Expand', [b.ints([number]), b.op('Shape', [value], { start: 0, end: 1 })]);
}

/** Goals that are linear, and the same in every picture. */
export function constantNodes(
  b: Builder,
  goals: readonly Goal[],
  row: Row,
  { value, dims }: OutputNodes,
): GoalNodes[] {
  const hasBatch = dims.length === row.dims.length + 1;
  const own = hasBatch ? [1, ...row.dims] : row.data.length === 1 ? dims.map(() => 1) : row.dims;
  return goals.map((goal) => {
    const weights = b.floats(goal.seed(row), own);
    return {
      class: forAll(b, goal.class ?? -1, value),
      ...(goal.place === undefined ? {} : { place: forAll(b, goal.place, value) }),
      seed: b.op('Expand', [weights, b.op('Shape', [value])]),
    };
  });
}

/** 1 at an index of each picture [N], 0 elsewhere: [N, count]. */
export function oneHot(b: Builder, index: Name, count: Name): Name {
  return b.op('OneHot', [index, count, b.floats([0, 1], [2])], { axis: -1 });
}

/** An axis of one more, at a place. */
export function unsqueezed(b: Builder, value: Name, axis: number): Name {
  return b.op('Unsqueeze', [value, b.ints([axis])]);
}
