import { describe, expect, test } from 'vitest';
import { Explainer } from '../../src/batch/explainer.js';
import { type ExpressionTarget, expressionTarget } from '../../src/targets/expression.js';
import { parseTarget } from '../../src/targets/index.js';
import type { Row, Tools } from '../../src/targets/target.js';
import { bytesFrom, classifier, type ShortGraph, values, weights } from '../support/network.js';
import { facts, furthest, networkFacts, randomRow, seedIsDerivative } from './support.js';

/** Goals of an expression of these outputs, whose rows lie one after another. */
async function goalOf(of: string, rows: Readonly<Record<string, Row>>) {
  expressionTarget.check({ kind: 'expression', of });
  const tools = {
    join: (outputs: readonly string[]) => ({ output: 'joined', parts: outputs }),
  } as Partial<Tools> as Tools;
  const ready = await expressionTarget.prepare?.({ kind: 'expression', of }, networkFacts(['N', 1]), tools);
  const spec = ready?.spec as ExpressionTarget & { outputs: readonly string[] };
  const data = Float32Array.from(spec.outputs.flatMap((name) => Array.from(rows[name].data)));
  const row = { data, dims: [data.length] };
  return { row, goal: expressionTarget.find(spec, row, facts({ output: (name) => rows[name] }))[0] };
}

const rows = {
  a: { dims: [5], data: Float32Array.of(1, 2, 4, 8, 16) },
  b: { dims: [2, 3], data: Float32Array.of(1, 10, 100, 1000, 10_000, 100_000) },
  age: { dims: [1], data: Float32Array.of(7) },
  '/head/Gemm_0': { dims: [2], data: Float32Array.of(3, 5) },
};

describe('the value of an expression', () => {
  test.each([
    ['a[0,3] - 0.5*a[0,4]', 8 - 8],
    ['a[3]', 8],
    ['a[:,-1] + 1', 17],
    ['-(a[0] - 2) / 4 + 3*-a[1]', 0.25 - 6],
    ['2*(a[1] + a[1]*3)', 16],
    ['b[0,1,2] - b[1,0]', 100_000 - 1000],
    ['sum(a) + mean(b[0,:])', 31 + 37],
    ['sum(b[0,:,1:])', 110_110],
    ['mean(a[1:-1])', 14 / 3],
    ['age', 7],
    ['age[0] - a[0]', 6],
    ['"/head/Gemm_0"[0,1] * 1e1', 50],
    ['a[0] - a[0] + .5 * age', 3.5],
  ])('%s', async (of, value) => {
    const { goal, row } = await goalOf(of, rows);
    expect(goal).toMatchObject({ name: of, kind: 'expression' });
    expect(goal.value(row)).toBeCloseTo(value, 3);
    expect(goal.probability).toBeUndefined();
  });

  test('seeds are derivatives', async () => {
    const { goal } = await goalOf('a[0,3] - 0.5*b[0,1,2] + mean(b[0]) - sum(a[1:3])/3 + 4', {
      a: randomRow(1, [5]),
      b: randomRow(2, [2, 3]),
    });
    seedIsDerivative(() => [goal], [11]);
  });

  test.each([
    ['a[0,1] * a[0,2]', 'no product or quotient of outputs'],
    ['1 / a[0,1]', 'no product or quotient of outputs'],
    ['a[0,1] / 0', 'no division by 0'],
    ['a[0,1', 'with "]" at its end'],
    ['a[0,x]', 'a whole number at "x"'],
    ['a[0,1] a[0,2]', 'an operator at "a"'],
    ['2 + 3', 'at least one output at its end'],
    ['', 'a number or the name of an output at its end'],
    ['a[0,1] % 2', 'numbers, names of outputs'],
    ['a[0,7]', 'indices from 0 to 4 on an axis of 5; received 7'],
    ['a[1,3]', 'whose first index of "a" is 0, the picture; received 1'],
    ['a[0,1,2]', 'at most 2 indices of "a"'],
    ['a', 'this part of "a" [5] has 5'],
    ['sum(a[3:2])', 'a range within 0:5'],
  ])('%s is a sentence', async (of, sentence) => {
    await expect(goalOf(of, rows)).rejects.toThrow(sentence);
  });
});

describe('networks', () => {
  const base = classifier({ head: 'pool' });
  const graph: ShortGraph = {
    ...base,
    outputs: ['logits', 'shares', 'age'],
    nodes: [
      ...base.nodes,
      ['Softmax', ['logits'], ['shares'], { axis: 1 }],
      ['Gemm', ['flat', 'w9'], ['age'], { transB: 1 }],
    ],
    constants: { ...base.constants, w9: weights(9, [1, 6]) },
  };
  const image = (seed: number) =>
    ({ type: 'float32', dims: [3, 8, 8], data: values(seed, [3, 8, 8]) }) as const;

  test('of one output, of several, and of what stands behind a softmax', async () => {
    await using explainer = await Explainer.open(bytesFrom(graph), { backend: 'reference' });
    const expressions = ['logits[0,3]', 'logits[0,3] - 2*age', 'shares[0,3]', 'mean(relu2[0,2,:,:])'];
    const targets = [3, ...expressions.map((of) => ({ kind: 'expression', of }) as const)];
    const explained = await explainer.explain([image(1), image(2)], {
      targets,
      method: 'grad-cam',
      batchSize: 2,
    });
    for (const { targets: own, scores, probabilities } of explained) {
      const [plain, same, both, share, mean] = own;
      expect(same.target).toMatchObject({ name: 'logits[0,3]', kind: 'expression', score: scores[3] });
      expect(furthest(same.map.data, plain.map.data)).toBeLessThan(1e-6);
      expect(share.target.score).toBeCloseTo(probabilities?.[3] as number, 6);
      expect(both.target.score).not.toBe(same.target.score);
      expect(mean.target.score).toBeGreaterThanOrEqual(0);
    }
    const [alone] = await explainer.explain(image(2), {
      targets: { kind: 'regression', output: 'age' },
      method: 'grad-cam',
    });
    const [, , { target }] = explained[1].targets;
    expect(target.score).toBeCloseTo(explained[1].scores[3] - 2 * alone.targets[0].target.score, 5);
  });

  test('of an output that is not there', async () => {
    await using explainer = await Explainer.open(bytesFrom(graph), { backend: 'reference' });
    const targets = parseTarget('expression:logit[0,1]');
    await expect(explainer.explain(image(1), { targets })).rejects.toThrow(
      'received "logit". Closest: "logits"',
    );
  });
});
