import { type Case, real, weight, whole } from '../case.js';

const classes = { low: 0.4, high: 2 };
const ops = ['SoftmaxCrossEntropyLoss', 'NegativeLogLikelihoodLoss'];

export const loss: readonly Case[] = ops.flatMap((op): Case[] => [
  ...['mean', 'sum', 'none'].flatMap((reduction): Case[] => [
    {
      op,
      name: `${reduction}`,
      inputs: [real([3, 4]), whole([1, 3, 1])],
      attributes: { reduction },
      dynamic: ['batch', 'all'],
    },
    {
      op,
      name: `${reduction}, weights`,
      inputs: [real([3, 4]), whole([1, 3, 1]), weight([4], classes)],
      attributes: { reduction },
    },
    {
      op,
      name: `${reduction}, weights, positions, ignored`,
      inputs: [real([2, 3, 2]), whole([1, 0, 2, 0], [2, 2]), weight([3], classes)],
      attributes: { reduction, ignore_index: 2 },
    },
  ]),
  {
    op,
    name: 'ignored label beyond the classes',
    inputs: [real([3, 4]), whole([1, -100, 2], [3], { kind: 'int32' })],
    attributes: { ignore_index: -100 },
  },
  ...(op === ops[0]
    ? [
        {
          op,
          name: 'log probabilities too',
          inputs: [real([3, 4]), whole([1, 3, 1]), weight([4], classes)],
          outputs: 2,
        },
        {
          op,
          name: 'log probabilities alone',
          inputs: [real([2, 4, 2]), whole([1, 3, 1, 0], [2, 2])],
          outputs: 2,
          seeded: [1],
        },
      ]
    : []),
]);
