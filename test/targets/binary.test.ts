import { expect, test } from 'vitest';
import { Explainer } from '../../src/batch/explainer.js';
import { binaryTarget } from '../../src/targets/binary.js';
import { parseTarget } from '../../src/targets/index.js';
import { bytesFrom, classifier, values } from '../support/network.js';
import { facts, networkFacts, randomRow, seedIsDerivative } from './support.js';

const { find, fits } = binaryTarget;
const row = (score: number) => ({ data: Float32Array.of(score), dims: [1] });
const known = (...names: string[]) =>
  facts({ link: 'sigmoid', classes: names.length > 0 ? names.map((name) => ({ name })) : undefined });

test('the positive class is the score, the negative one its negative', () => {
  const [positive] = find({ kind: 'binary', class: 'positive' }, row(-1.5), known());
  const [negative] = find({ kind: 'binary', class: 0 }, row(-1.5), known());
  expect([positive.value(row(-1.5)), negative.value(row(-1.5))]).toEqual([-1.5, 1.5]);
  const p = 1 / (1 + Math.exp(1.5));
  expect(positive.probability?.(row(-1.5))).toBeCloseTo(p, 6);
  expect(negative.probability?.(row(-1.5))).toBeCloseTo(1 - p, 6);
  expect([positive.class, negative.class]).toEqual([1, 0]);
  for (const own of [0, 1])
    seedIsDerivative((one) => find({ kind: 'binary', class: own }, one, known()), [1]);
});

test('the answer where none is named', () => {
  const named = (score: number, ...names: string[]) =>
    find({ kind: 'binary' }, row(score), known(...names))[0].name;
  expect([named(0.1), named(-0.1)]).toEqual(['positive', 'negative']);
  expect([named(0.1, 'cat', 'dog'), named(-0.1, 'cat', 'dog')]).toEqual(['dog', 'cat']);
  expect([named(0.1, 'dog'), named(-0.1, 'dog')]).toEqual(['dog', 'not dog']);
});

test('by name, in any case; other names are a sentence', () => {
  expect(find({ kind: 'binary', class: 'Cat' }, row(2), known('cat', 'dog'))[0].class).toBe(0);
  expect(() => find({ kind: 'binary', class: 'cow' }, row(2), known('cat', 'dog'))).toThrow(
    '"class" must be 1 or "positive", 0 or "negative", "dog" or "cat"; received "cow".',
  );
  expect(() => find({ kind: 'binary' }, randomRow(1, [2]), known())).toThrow(
    'It is for one score a picture.',
  );
});

test('fits one score a picture with a sigmoid', () => {
  const output = { name: 'o', value: 'o', dims: ['N', 1], link: 'sigmoid', isStepped: true } as const;
  expect(fits?.(networkFacts([], { output }))?.spec).toEqual({ kind: 'binary' });
  expect(fits?.(networkFacts(['N', 1]))).toBeUndefined();
  expect(parseTarget('binary:negative')).toEqual({ kind: 'binary', class: 'negative' });
});

test('in a network: the default, and a class by one of two names', async () => {
  const preprocess = { input: { size: [8, 8] }, classes: ['cat', 'dog'] };
  const bytes = bytesFrom(classifier({ classes: 1, tail: 'sigmoid' }));
  await using explainer = await Explainer.open(bytes, { backend: 'reference', preprocess });
  const image = { type: 'float32', dims: [3, 8, 8], data: values(1, [3, 8, 8]) } as const;
  const [answer] = await explainer.explain(image);
  const isDog = answer.scores[0] >= 0;
  expect(answer.targets[0].target).toMatchObject({ kind: 'binary', name: isDog ? 'dog' : 'cat' });
  expect(answer.targets[0].target.probability).toBeGreaterThanOrEqual(0.5);
  const [both] = await explainer.explain(image, { targets: ['cat', 'dog', { top: 1 }] });
  const [cat, dog, best] = both.targets.map(({ target }) => target);
  expect(cat.score).toBe(-dog.score);
  expect(cat.probability).toBeCloseTo(1 - (dog.probability as number), 6);
  expect(best).toMatchObject({ kind: 'class', score: dog.score });
});
