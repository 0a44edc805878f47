import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { explainFolder } from '../../src/batch/explain-folder.js';
import { Explainer } from '../../src/batch/explainer.js';
import type { ExplainOptions } from '../../src/explain/explain-options.js';
import { encodeNpy } from '../../src/image/npy.js';
import { int64Constant } from '../../src/onnx/constant.js';
import { parseTarget, type Target } from '../../src/targets/index.js';
import { type ReadingTarget, readingTarget } from '../../src/targets/reading.js';
import type { Facts, NetworkFacts, Row, Tools } from '../../src/targets/target.js';
import {
  bytesFrom,
  classifier,
  type ShortGraph,
  type ShortNode,
  values,
  weights,
} from '../support/network.js';
import { facts, furthest, holdsAgainstOracle, networkFacts, seedIsDerivative } from './support.js';

holdsAgainstOracle(() => ({
  name: 'ctc',
  layer: '/t/c/c.1/Relu_output_0',
  targets: [0, 1].map(() => [
    { kind: 'reading', part: 'line' },
    { kind: 'reading', part: 0 },
  ]),
}));

const logits = (path: readonly number[], classes: number): Row => ({
  dims: [path.length, classes],
  data: Float32Array.from(
    path.flatMap((best, t) => Array.from({ length: classes }, (_, k) => (k === best ? 3 + t / 8 : k / 8))),
  ),
});

async function goalsIn(
  row: Row,
  spec: Partial<ReadingTarget> = {},
  own: Partial<Facts> = {},
  known: Partial<NetworkFacts> = {},
) {
  readingTarget.check({ kind: 'reading', ...spec });
  const network = networkFacts(['N', ...row.dims], { classes: own.classes, ...known });
  const tools = { text: async () => 'a\nb\nc\n' } as Partial<Tools> as Tools;
  const ready = await readingTarget.prepare?.({ kind: 'reading', ...spec }, network, tools);
  return readingTarget.find(ready?.spec as ReadingTarget, row, facts({ size: [32, 64], ...own }));
}

/** log softmax of a frame, at its best class. */
function logOf({ data, dims: [, classes] }: Row, t: number): number {
  const frame = Array.from(data.subarray(t * classes, (t + 1) * classes));
  return Math.max(...frame) - Math.log(frame.reduce((sum, value) => sum + Math.exp(value), 0));
}

describe('the greedy reading', () => {
  // blank 0: "b", blank, "b", "c" over 8 frames
  const row = logits([0, 2, 2, 0, 2, 3, 3, 3], 4);

  test('joins frames in a row, drops the blank, and sums log-probabilities over its frames', async () => {
    const goals = await goalsIn(row, { alphabet: ['a', 'b', 'c'] });
    expect(goals.map(({ name }) => name)).toEqual(['bbc', 'b', 'b', 'c']);
    const sum = (...frames: number[]) => frames.reduce((total, t) => total + logOf(row, t), 0);
    const expected = [sum(0, 1, 2, 3, 4, 5, 6, 7), sum(1, 2), sum(4), sum(5, 6, 7)];
    for (const [i, goal] of goals.entries()) expect(goal.value(row)).toBeCloseTo(expected[i], 5);
    expect(goals[3].probability?.(row)).toBeCloseTo(Math.exp(expected[3] / 3), 6);
    expect(goals[3]).toMatchObject({ class: 3, box: { x: 40, y: 0, width: 24, height: 32 } });
    expect(goals[0].box).toBeUndefined();
  });

  test('parts of it', async () => {
    const alphabet = ['a', 'b', 'c'];
    const names = async (part: ReadingTarget['part']) =>
      (await goalsIn(row, { part, alphabet })).map(({ name }) => name);
    expect(await names('line')).toEqual(['bbc']);
    expect(await names('characters')).toEqual(['b', 'b', 'c']);
    expect(await names(2)).toEqual(['c']);
    await expect(names(3)).rejects.toThrow(
      '"targets.part" must be below 3, the number of characters in "bbc"; received 3.',
    );
    const nothing = await goalsIn(logits([0, 0, 0], 4));
    expect(nothing.map(({ name }) => name)).toEqual(['(nothing)']);
  });

  test('the blank may be the last class, or any; names tell', async () => {
    const last = logits([3, 1, 1, 3, 0], 4);
    const alphabet = ['a', 'b', 'c'];
    expect((await goalsIn(last, { blank: 'last', alphabet }))[0].name).toBe('ba');
    expect((await goalsIn(last, { alphabet: ['a', 'b', 'c', '<blank>'] }))[0].name).toBe('ba');
    expect((await goalsIn(last, { blank: 1, alphabet }))[0].name).toBe('c'.concat('c', 'a'));
    expect((await goalsIn(row, { alphabet: ['', 'a', 'b', 'c'] }))[0].name).toBe('bbc');
  });

  test('an alphabet from a file, from names of classes, from the model; with a space at its end', async () => {
    expect((await goalsIn(row, { alphabet: 'keys.txt' }))[0].name).toBe('bbc');
    const classes = ['a', 'b', 'c'].map((name) => ({ name }));
    expect((await goalsIn(row, {}, { classes }))[0].name).toBe('bbc');
    const metadata = new Map([['character', 'a\nb']]);
    expect((await goalsIn(row, {}, {}, { metadata }))[0].name).toBe('bb ');
    expect((await goalsIn(row))[0].name).toBe('2 2 3');
    expect((await goalsIn(row, {}, { classes: classes.slice(0, 1) }))[0].name).toBe('2 2 3');
    await expect(goalsIn(row, { alphabet: ['a'] })).rejects.toThrow(
      '"targets.alphabet" must be 3 characters, one for each class but the blank; received 1.',
    );
  });

  test('it stays chosen in changed pictures', async () => {
    const [line] = await goalsIn(row);
    const other = logits([1, 1, 1, 1, 1, 1, 1, 1], 4);
    expect(line.value(other)).toBeLessThan(8 * Math.log(0.25));
  });

  test('seeds are derivatives, of scores and of probabilities', async () => {
    for (const link of ['softmax', 'identity'] as const) {
      const shares = {
        ...row,
        data: row.data.map((_, i) => 0.1 + (i % 4 === [0, 2, 2, 0, 2, 3, 3, 3][i >> 2] ? 0.6 : 0)),
      };
      const goals = await goalsIn(link === 'softmax' ? row : shares, {}, { link });
      if (link === 'softmax') seedIsDerivative(() => goals, [8, 4]);
      else {
        const slope = goals[1].seed(shares)[4 + 2];
        expect(slope).toBeCloseTo(1 / 0.7, 5);
        expect(goals[1].value(shares)).toBeCloseTo(2 * Math.log(0.7), 5);
      }
    }
  });

  test('mistakes are sentences', () => {
    const { check } = readingTarget;
    expect(() => check({ kind: 'reading', part: 'word' } as never)).toThrow(
      "\"targets.part\" must be 'line', 'characters'",
    );
    expect(() => check({ kind: 'reading', blank: -1 })).toThrow(
      "\"targets.blank\" must be 'first', 'last' or an index",
    );
    expect(() => check({ kind: 'reading', alphabet: [] })).toThrow(
      '"targets.alphabet" must be a list of characters',
    );
  });

  test('as it is typed', () => {
    expect(parseTarget('reading')).toEqual({ kind: 'reading' });
    expect(parseTarget('reading:2:blank=last:alphabet=C:\\keys.txt')).toEqual({
      kind: 'reading',
      part: 2,
      blank: 'last',
      alphabet: 'C:\\keys.txt',
    });
  });
});

test('fits frames of a line of text, and no other sequences', () => {
  const fitting = (dims: readonly (number | string)[], own: Partial<NetworkFacts> = {}) =>
    readingTarget.fits?.(networkFacts(dims, { size: [32, 320], ...own }))?.spec.kind;
  expect(fitting(['N', 40, 97])).toBe('reading');
  expect(fitting(['N', '', 97], { size: [48, 'W'] })).toBe('reading');
  const stepped = { name: 'o', value: 'o', dims: ['N', '', 6625], link: 'softmax', isStepped: true } as const;
  expect(fitting([], { output: stepped, size: ['H', 'W'] })).toBe('reading');
  expect(fitting(['N', 197, 768], { size: [224, 224] })).toBeUndefined();
  expect(fitting(['N', 33, 97])).toBeUndefined();
  expect(fitting(['N', 97])).toBeUndefined();
});

describe('networks', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gradcampp-reading-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const base = classifier();
  /** relu2 [N, 6, 4, 4], its columns as frames of 4 classes: [N, 4, 4], or [T, N, C]. */
  const reader = (
    turned: boolean,
    batch: number | string,
    tail: 'Softmax' | 'LogSoftmax' | undefined,
  ): ShortGraph => {
    const nodes: ShortNode[] = [
      ['ReduceMean', ['relu2', 'rows'], ['columns'], { keepdims: 0 }],
      ['Transpose', ['columns'], ['frames'], { perm: turned ? [2, 0, 1] : [0, 2, 1] }],
      ['MatMul', ['frames', 'w9'], ['scores']],
      ...(tail ? [[tail, ['scores'], ['shares'], { axis: 2 }] as ShortNode] : []),
    ];
    return {
      inputs: { image: [batch, 3, 8, 8] },
      outputs: [tail ? 'shares' : 'scores'],
      nodes: [...base.nodes.slice(0, 4), ...nodes],
      constants: { ...base.constants, rows: int64Constant([2]), w9: weights(9, [6, 5], 4) },
    };
  };
  const image = (seed: number) =>
    ({ type: 'float32', dims: [3, 8, 8], data: values(seed, [3, 8, 8]) }) as const;
  const explained = async (graph: ShortGraph) => {
    await using explainer = await Explainer.open(bytesFrom(graph), { backend: 'reference' });
    const method = ['grad-cam', 'layer-cam'] as const;
    return explainer.explain([image(1), image(2)], { method, batchSize: 2 });
  };

  test('[T, N, C] is [N, T, C], with one picture or several, softmax or its logarithm', async () => {
    const expected = await explained(reader(false, 'N', undefined));
    expect(expected[0].targets[0].target.kind).toBe('reading');
    expect(expected[0].scoreDims).toEqual([4, 5]);
    expect(expected[0].probabilities).toBeUndefined();
    for (const [turned, batch, tail] of [
      [true, 'N', undefined],
      [true, 'N', 'LogSoftmax'],
      [true, 1, 'Softmax'],
      [true, 2, undefined],
      [false, 'N', 'Softmax'],
    ] as const)
      for (const [n, { targets }] of (await explained(reader(turned, batch, tail))).entries()) {
        const own = expected[n].targets;
        expect(targets.map(({ target }) => target.name)).toEqual(own.map(({ target }) => target.name));
        for (const [t, { target, map }] of targets.entries()) {
          expect(target.score).toBeCloseTo(own[t].target.score, 4);
          expect(target.probability).toBeCloseTo(own[t].target.probability as number, 5);
          expect(furthest(map.data, own[t].map.data)).toBeLessThan(1e-4);
        }
      }
  });

  test('where no method is named, by Grad-CAM, and characters by one that weighs positions', async () => {
    const graph = reader(false, 'N', undefined);
    await using explainer = await Explainer.open(bytesFrom(graph), { backend: 'reference' });
    const methodsOf = async (options: ExplainOptions) => {
      const [{ targets }] = await explainer.explain(image(1), options);
      return targets.map(({ target, method }) => `${target.box ? 'character' : 'line'} ${method}`);
    };
    const [line, first]: Target[] = [
      { kind: 'reading', part: 'line' },
      { kind: 'reading', part: 0 },
    ];
    const both = ['line grad-cam', 'character layer-cam'];
    expect((await methodsOf({})).slice(0, 2)).toEqual(both);
    expect(await methodsOf({ targetsPerImage: [[line, first]] })).toEqual(both);
    expect(await methodsOf({ targets: first, method: 'grad-cam++' })).toEqual(['character grad-cam++']);
    expect(await methodsOf({ targets: first, gradientRelu: false })).toEqual(['character grad-cam++']);
    expect(await methodsOf({ targets: [line, first], method: ['eigen-cam', 'auto'] })).toEqual([
      'line eigen-cam',
      'line grad-cam',
      'character eigen-cam',
      'character layer-cam',
    ]);
    const [named] = await explainer.explain(image(1), { targets: first, method: 'layer-cam' });
    const [own] = await explainer.explain(image(1), { targets: [line, first] });
    expect(own.targets[1].map.data).toEqual(named.targets[0].map.data);
    const [model, picture, out] = ['reader.onnx', 'line.npy', 'out'].map((name) => join(folder, name));
    writeFileSync(model, bytesFrom(graph));
    writeFileSync(picture, encodeNpy(image(1)));
    await explainFolder({ model, images: [picture], out, workforce: { workers: 0 }, outputs: { save: [] } });
    const lines = readFileSync(join(out, 'results.jsonl'), 'utf8').split('\n', 2);
    expect(lines.map((text) => JSON.parse(text).method)).toEqual(['grad-cam', 'layer-cam']);
  });

  test('with keys in a file beside', async () => {
    const keys = join(folder, 'keys.txt');
    writeFileSync(keys, '\uFEFFa\r\nb\r\nc\r\n \r\n');
    await using explainer = await Explainer.open(bytesFrom(reader(false, 'N', 'Softmax')), {
      backend: 'reference',
    });
    const target = parseTarget(`reading:line:alphabet=${keys}`);
    const [{ targets }] = await explainer.explain(image(1), { targets: target });
    expect(targets[0].target.name).toMatch(/^[abc ]+$|^\(nothing\)$/);
    const missing = parseTarget(`reading:alphabet=${join(folder, 'none.txt')}`);
    await expect(explainer.explain(image(1), { targets: missing })).rejects.toThrow(
      'none.txt" cannot be read: there is no such file',
    );
  });
});
