import { expect, test } from 'vitest';
import { captionTarget } from '../../src/targets/caption.js';
import { kindOf, parseTarget } from '../../src/targets/index.js';
import { facts, randomRow, seedIsDerivative } from './support.js';

const dims = [4, 7]; // of which the caption has three rows
const spec = { kind: 'caption', ids: [2, 0, 6] } as const;

test('the value is the log-probability of the tokens, and the caption has their sum', () => {
  const row = randomRow(1, dims);
  const [caption, ...tokens] = captionTarget.find(spec, row, facts());
  const expected = spec.ids.map((id, t) => {
    const own = Array.from(row.data.subarray(t * 7, (t + 1) * 7));
    return own[id] - Math.log(own.reduce((sum, value) => sum + Math.exp(value), 0));
  });
  const sum = expected.reduce((a, b) => a + b);
  for (const [t, goal] of tokens.entries()) {
    expect(goal.value(row)).toBeCloseTo(expected[t], 6);
    expect(goal.probability?.(row)).toBeCloseTo(Math.exp(expected[t]), 6);
    expect(goal.class).toBe(spec.ids[t]);
  }
  expect(caption.value(row)).toBeCloseTo(sum, 6);
  expect(caption.probability?.(row)).toBeCloseTo(Math.exp(sum / 3), 6);
  expect(caption.name).toBe('2 0 6');
});

test('the seed is the derivative, and 0 in the rows of other tokens', () => {
  seedIsDerivative((row) => captionTarget.find(spec, row, facts()), dims);
  const row = randomRow(2, dims);
  const [goal] = captionTarget.find({ ...spec, part: 1 }, row, facts());
  const touched = goal.seed(row).map((value) => Number(value !== 0));
  expect([...touched]).toEqual(Array.from({ length: 28 }, (_, i) => Number(i >= 7 && i < 14)));
});

test('probabilities, which no softmax is behind, are taken as they are', () => {
  const row = { data: Float32Array.of(0.25, 0.75, 0.5, 0.5), dims: [2, 2] };
  const goals = captionTarget.find({ kind: 'caption', ids: [1, 0] }, row, facts({ link: 'identity' }));
  expect(goals.map((goal) => goal.value(row))).toEqual([
    Math.log(0.75) + Math.log(0.5),
    Math.log(0.75),
    Math.log(0.5),
  ]);
  expect([...goals[1].seed(row)]).toEqual([0, Math.fround(4 / 3), 0, 0]);
});

test('tokens are called by the names that are given, else by those of classes', () => {
  const row = randomRow(3, dims);
  const names = ['a', 'cat', '.'];
  expect(captionTarget.find({ ...spec, names }, row, facts()).map(({ name }) => name)).toEqual([
    'a cat .',
    ...names,
  ]);
  const classes = ['zero', 'one', 'two', 'three', 'four', 'five', 'six'].map((name) => ({ name }));
  const [, first] = captionTarget.find(spec, row, facts({ classes }));
  expect(first.name).toBe('two');
});

test('it is parsed as it is typed, and what no caption can be is refused', () => {
  expect(parseTarget('caption:5,0, 6')).toEqual({ kind: 'caption', ids: [5, 0, 6] });
  expect(parseTarget('caption:5,0:part=tokens:output=logits')).toEqual({
    kind: 'caption',
    ids: [5, 0],
    part: 'tokens',
    output: 'logits',
  });
  const refused = (target: object, words: RegExp) =>
    expect(() => kindOf(target as never).check(target as never)).toThrow(words);
  refused({ kind: 'caption', ids: [] }, /"targets.ids" must be a list of token ids/);
  refused({ kind: 'caption', ids: [1, 'x'] }, /"targets.ids" must be a list of token ids/);
  refused({ kind: 'caption', ids: [1, 2], part: 2 }, /a number below 2/);
  refused({ kind: 'caption', ids: [1, 2], names: ['a'] }, /2 strings, one a token/);
  const find = (ids: number[]) => () =>
    captionTarget.find({ kind: 'caption', ids }, randomRow(1, dims), facts());
  expect(find([7])).toThrow(/ids below 7, the size of the vocabulary/);
  expect(find([1, 1, 1, 1, 1])).toThrow(/at most 4 tokens/);
});
