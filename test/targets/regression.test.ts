import { describe, expect, test } from 'vitest';
import { Explainer } from '../../src/batch/explainer.js';
import { parseTarget } from '../../src/targets/index.js';
import { regressionTarget } from '../../src/targets/regression.js';
import { bytesFrom, classifier, values } from '../support/network.js';
import { facts, holdsAgainstOracle, networkFacts, randomRow, seedIsDerivative } from './support.js';

const { find, fits } = regressionTarget;

holdsAgainstOracle(() => ({
  name: 'regression',
  layer: '/t/c/c.1/Relu_output_0',
  targets: [[{ kind: 'regression' }], [{ kind: 'regression' }]],
}));

test('the value, its negative, and one of several', () => {
  const one = randomRow(1, [1]);
  const [goal] = find({ kind: 'regression' }, one, facts({ link: 'none' }));
  expect(goal).toMatchObject({ name: 'value', kind: 'regression' });
  expect(goal.class).toBeUndefined();
  expect(goal.value(one)).toBe(one.data[0]);
  const [negative] = find({ kind: 'regression', negative: true }, one, facts());
  expect(negative).toMatchObject({ name: 'negative value' });
  expect(negative.value(one)).toBe(-one.data[0]);
  const three = randomRow(2, [3]);
  const classes = ['x', 'y', 'z'].map((name) => ({ name }));
  const [second] = find({ kind: 'regression', select: 1 }, three, facts({ classes }));
  expect(second.name).toBe('y');
  expect(second.value(three)).toBe(three.data[1]);
  for (const select of [0, 1, 2])
    for (const negative of [false, true])
      seedIsDerivative((row) => find({ kind: 'regression', select, negative }, row, facts()), [3]);
});

test('mistakes are sentences', () => {
  const three = randomRow(2, [3]);
  expect(() => find({ kind: 'regression' }, three, facts())).toThrow(
    '"targets.select" must be given, since the output has 3 values; received undefined.',
  );
  expect(() => find({ kind: 'regression', select: 3 }, three, facts())).toThrow('a whole number from 0 to 2');
  expect(() => parseTarget('regression:positive')).toThrow(
    '"target" must be regression or regression:negative',
  );
  expect(() => regressionTarget.check({ kind: 'regression', negative: 'x' } as never)).toThrow(
    'true or false',
  );
});

test('fits outputs of one value a picture, unless a sigmoid makes a probability of it', () => {
  expect(fits?.(networkFacts(['N', 1]))?.spec).toEqual({ kind: 'regression' });
  expect(fits?.(networkFacts(['N']))?.note).toBe(
    'The output "output" has one value a picture: what makes it larger is explained (smaller: --target regression:negative).',
  );
  expect(fits?.(networkFacts(['N', 2]))).toBeUndefined();
  expect(parseTarget('regression:negative:output=age')).toEqual({
    kind: 'regression',
    negative: true,
    output: 'age',
  });
});

describe('a network', () => {
  test('with one number is a regression, without a word of classes', async () => {
    await using explainer = await Explainer.open(bytesFrom(classifier({ classes: 1 })), {
      backend: 'reference',
    });
    const image = { type: 'float32', dims: [3, 8, 8], data: values(1, [3, 8, 8]) } as const;
    const [{ targets, probabilities }] = await explainer.explain(image);
    expect(targets[0].target).toMatchObject({
      name: 'value',
      kind: 'regression',
      class: undefined,
      probability: undefined,
    });
    expect(probabilities).toBeUndefined();
  });
});
