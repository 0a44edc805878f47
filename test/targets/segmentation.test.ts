import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { Explainer } from '../../src/batch/explainer.js';
import { encodePng } from '../../src/image/encode.js';
import { encodeNpy } from '../../src/image/npy.js';
import { parseTarget } from '../../src/targets/index.js';
import { segmentationTarget } from '../../src/targets/segmentation.js';
import type { Row } from '../../src/targets/target.js';
import { bytesFrom, classifier, type ShortGraph, values, weights } from '../support/network.js';
import { facts, holdsAgainstOracle, networkFacts, randomRow, seedIsDerivative } from './support.js';

const { find, fits } = segmentationTarget;
const fitting = (dims: readonly (number | string)[], own: Parameters<typeof networkFacts>[1] = {}) =>
  fits?.(networkFacts(dims, own))?.spec;

/** Three classes on 2 × 2 pixels: 0 is the answer in two, 2 in one and a half, 1 in one. */
const row: Row = {
  dims: [3, 2, 2],
  data: Float32Array.of(/* 0 */ 5, 5, 0, 0, /* 1 */ 0, 0, 4, 0, /* 2 */ 1, 1, 1, 3),
};
const small = { size: [2, 2] };

holdsAgainstOracle(() => {
  const segmentation = (index: number) => ({ kind: 'segmentation', class: index }) as const;
  return {
    name: 'segmentation',
    layer: '/t/c/c.1/Relu_output_0',
    targets: [
      [segmentation(2), segmentation(0)],
      [segmentation(2), segmentation(0)],
    ],
  };
});

describe('what is explained', () => {
  test('a class, summed over the pixels where it is the answer', () => {
    const [goal] = find({ kind: 'segmentation', class: 0 }, row, facts(small));
    expect(goal.value(row)).toBe(10);
    expect(Array.from(goal.seed(row))).toEqual([1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    const p = Math.exp(5) / (Math.exp(5) + 1 + Math.exp(1));
    expect(goal.probability?.(row)).toBeCloseTo(p, 6);
  });

  test('where nothing is named the class of most pixels, but background only where nothing else is', () => {
    const found = (own: Parameters<typeof facts>[0], top = 1) =>
      find({ kind: 'segmentation', top }, row, facts({ ...small, ...own })).map(({ name }) => name);
    expect(found({})).toEqual(['1']);
    expect(found({}, 3)).toEqual(['1', '2', '0']);
    const named = (first: string) => [first, 'cat', 'dog'].map((name) => ({ name }));
    expect(found({ classes: named('road') })).toEqual(['road']);
    expect(found({ classes: named('__background__') })).toEqual(['cat']);
    const empty = { ...row, data: row.data.map((_, i) => (i < 4 ? 1 : 0)) };
    expect(find({ kind: 'segmentation' }, empty, facts(small))[0].class).toBe(0);
  });

  test('a class that is nowhere the answer has an empty sum', () => {
    const only = { ...row, data: row.data.map((_, i) => (i < 4 ? 1 : 0)) };
    const [goal] = find({ kind: 'segmentation', class: 2 }, only, facts(small));
    expect(goal.value(only)).toBe(0);
    expect(goal.probability?.(only)).toBeUndefined();
  });

  test('what was chosen stays chosen in a changed picture', () => {
    const [goal] = find({ kind: 'segmentation', class: 2 }, row, facts(small));
    const changed = { ...row, data: row.data.map((value) => -value) };
    expect(goal.value(changed)).toBe(-3);
  });

  test('channels last, and one channel', () => {
    const last: Row = { dims: [2, 2, 3], data: new Float32Array(12) };
    for (let p = 0; p < 4; p++) for (let c = 0; c < 3; c++) last.data[p * 3 + c] = row.data[c * 4 + p];
    const [goal] = find({ kind: 'segmentation', class: 1 }, last, facts({ ...small, channelsLast: true }));
    expect(Array.from(goal.seed(last)).indexOf(1)).toBe(7);
    const wide: Row = { dims: [4, 8, 3], data: new Float32Array(96).fill(1) };
    expect(find({ kind: 'segmentation', class: 0 }, wide, facts({ size: [16, 32] }))[0].value(wide)).toBe(32);
    const one: Row = { dims: [1, 2, 2], data: Float32Array.of(2, -1, 0.25, 0) };
    const [logits] = find({ kind: 'segmentation' }, one, facts({ ...small, link: 'sigmoid' }));
    expect(logits).toMatchObject({ name: 'foreground', class: 0 });
    expect(logits.value(one)).toBe(2.25);
    const [shares] = find({ kind: 'segmentation' }, one, facts({ ...small, link: 'identity' }));
    expect(shares.value(one)).toBe(2);
  });

  test.each([
    [[4, 6, 6], false],
    [[6, 6, 4], true],
  ] as const)('seeds are derivatives: %j', (dims, channelsLast) => {
    const own = facts({ size: [6, 6], channelsLast });
    seedIsDerivative((one) => find({ kind: 'segmentation', top: 3 }, one, own), dims);
    const mask = { data: new Uint8Array(36).fill(1, 3, 20), dims: [6, 6] };
    seedIsDerivative((one) => find({ kind: 'segmentation', class: 1, mask }, one, own), dims);
  });

  test('probabilities follow the link', () => {
    const one = randomRow(3, [3, 4, 4]);
    const probability = (link: 'softmax' | 'sigmoid' | 'identity' | 'none') => {
      const [goal] = find({ kind: 'segmentation', class: 1 }, one, facts({ size: [4, 4], link }));
      return goal.probability?.(one);
    };
    const pixels = [...Array(16).keys()].filter(
      (p) => one.data[16 + p] > one.data[p] && one.data[16 + p] > one.data[32 + p],
    );
    const mean = (of: (p: number) => number) => pixels.reduce((sum, p) => sum + of(p), 0) / pixels.length;
    const score = (c: number, p: number) => Math.exp(one.data[c * 16 + p]);
    expect(pixels.length).toBeGreaterThan(0);
    expect(probability('softmax')).toBeCloseTo(
      mean((p) => score(1, p) / (score(0, p) + score(1, p) + score(2, p))),
      6,
    );
    expect(probability('sigmoid')).toBeCloseTo(
      mean((p) => score(1, p) / (1 + score(1, p))),
      6,
    );
    expect(probability('identity')).toBeCloseTo(
      mean((p) => one.data[16 + p]),
      6,
    );
    expect(probability('none')).toBeUndefined();
  });
});

describe('masks', () => {
  test('lie over the input, and are looked up at the middle of each pixel of the output', () => {
    const mask = { dims: [4, 8], data: new Uint8Array(32) };
    mask.data[8 + 6] = 1; // the middle of the output's right upper pixel is (1, 6)
    const [goal] = find({ kind: 'segmentation', class: 2, mask }, row, facts(small));
    expect(goal.value(row)).toBe(1);
    expect(goal).toMatchObject({ name: '2 in the mask', class: 2 });
    const [most] = find({ kind: 'segmentation', mask }, row, facts(small));
    expect(most.class).toBe(0); // the answer in the mask
  });

  test('with the part that the network sees', () => {
    const mask = { dims: [2, 6], data: Uint8Array.of(1, 1, 0, 0, 1, 1, 1, 1, 0, 0, 1, 1) };
    const geometry = { x: 1, y: 0, width: 2, height: 2 };
    const [goal] = find({ kind: 'segmentation', class: 0, mask: { ...mask, geometry } }, row, facts(small));
    expect(goal.value(row)).toBe(5 + 0); // the left column
  });

  test('that cover nothing, or are none, are refused', () => {
    const mask = { dims: [2, 2], data: new Uint8Array(4) };
    const { check } = segmentationTarget;
    expect(() => find({ kind: 'segmentation', mask }, row, facts(small))).toThrow(
      '"targets.mask" must be a mask [h, w] that covers some of the output\'s 2 × 2 positions; received [2, 2].',
    );
    expect(() => check({ kind: 'segmentation', mask: { ...mask, dims: [2, 3] } })).toThrow(
      '"targets.mask" must be a file, or {data, dims: [h, w]} with a number a pixel; received [2, 3].',
    );
    expect(() => check({ kind: 'segmentation', class: 1, top: 2 })).toThrow('"targets.top" must be left out');
    expect(() => check({ kind: 'segmentation', clas: 1 } as never)).toThrow('Closest: "class"');
  });
});

describe('which outputs it fits', () => {
  test('[N, C, H, W] and [N, H, W, C] of more than one class, and one channel of probabilities', () => {
    expect(fitting(['N', 21, 16, 16])).toEqual({ kind: 'segmentation' });
    expect(fitting(['N', '', '', ''])).toEqual({ kind: 'segmentation' });
    expect(fitting(['N', 16, 16, 21])).toEqual({ kind: 'segmentation' });
    expect(fitting(['N', 21, 1, 1])).toBeUndefined();
    expect(fitting(['N', 21])).toBeUndefined();
    expect(fitting(['N', 84, 8400])).toBeUndefined();
    expect(fitting(['N', 1, 16, 16])).toBeUndefined(); // depth
    const output = {
      name: 'o',
      value: 'o',
      dims: ['N', 1, 16, 16],
      link: 'sigmoid',
      isStepped: true,
    } as const;
    expect(fitting([], { output })).toEqual({ kind: 'segmentation' });
  });

  test('not the heads of a detector, at a stride of 8 and more', () => {
    const heads = (...sides: number[]) => {
      const outputs = sides.map(
        (side) =>
          ({
            name: `o${side}`,
            value: `o${side}`,
            dims: ['N', 71, side, side],
            link: 'none',
            isStepped: false,
          }) as const,
      );
      return fitting([], { output: outputs[0], outputs, size: [160, 160] });
    };
    expect(heads(20, 10, 5)).toBeUndefined();
    expect(heads(40, 20, 10)).toEqual({ kind: 'segmentation' });
    expect(heads(20)).toEqual({ kind: 'segmentation' });
  });

  test('and says so', () => {
    expect(fits?.(networkFacts(['N', 21, '', '']))?.note).toBe(
      'The output "output" [N, 21, ?, ?] is taken as a segmentation: explained is the class that is the answer in most pixels, background only where nothing else is. Name another with "class" (--target segmentation:CLASS).',
    );
  });
});

describe('from a picture', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gradcampp-segmentation-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const base = classifier();
  const graph: ShortGraph = {
    inputs: { image: ['N', 3, 8, 8] },
    outputs: ['segments'],
    nodes: [...base.nodes.slice(0, 4), ['Conv', ['relu2', 'w9'], ['segments'], {}]],
    constants: { ...base.constants, w9: weights(9, [4, 6, 1, 1]) },
  };
  const image = { type: 'float32', dims: [3, 8, 8], data: values(1, [3, 8, 8]) } as const;
  const open = () =>
    Explainer.open(bytesFrom(graph), {
      backend: 'reference',
      preprocess: { input: { size: [8, 8] }, classes: ['ant', 'bee', 'cat', 'dog'] },
    });

  test('the default, a class by name, and the best ones', async () => {
    await using explainer = await open();
    expect(explainer.notes.join()).toContain('is taken as a segmentation');
    const [{ targets, probabilities, scoreDims }] = await explainer.explain(image);
    expect(targets[0].target.kind).toBe('segmentation');
    expect(probabilities).toBeUndefined();
    expect(scoreDims).toEqual([4, 4, 4]);
    expect(await explainer.predict(image)).toMatchObject([{ top: [] }]);
    const [named] = await explainer.explain(image, { targets: ['dog', { top: 2 }, 3] });
    expect(named.targets[0].target).toMatchObject({ name: 'dog', class: 3, kind: 'segmentation' });
    expect(named.targets.length).toBeLessThanOrEqual(3); // 3 is "dog" again
    await expect(explainer.explain(image, { targets: 4 })).rejects.toThrow('from 0 to 3');
  });

  test('masks from files: numbers, and a picture over the picture that is explained', async () => {
    await using explainer = await open();
    const left = (rows: number, columns: number) =>
      Float32Array.from({ length: rows * columns }, (_, i) => Number(i % columns < columns / 2));
    writeFileSync(join(folder, 'left.npy'), encodeNpy({ type: 'float32', dims: [4, 4], data: left(4, 4) }));
    const pixels = Uint8Array.from(left(12, 12), (value) => 255 * value);
    const wide = new Uint8Array(12 * 24 * 3);
    for (let i = 0; i < 144; i++)
      wide.fill(
        pixels[i],
        3 * (24 * Math.floor(i / 12) + 6 + (i % 12)),
        3 * (24 * Math.floor(i / 12) + 6 + (i % 12)) + 3,
      );
    writeFileSync(join(folder, 'wide.png'), encodePng({ data: wide, width: 24, height: 12, channels: 3 }));
    writeFileSync(
      join(folder, 'none.npy'),
      encodeNpy({ type: 'float32', dims: [4, 4], data: new Float32Array(16) }),
    );
    const scoreOf = async (mask: string) => {
      const [{ targets, scores }] = await explainer.explain(image, {
        targets: parseTarget(`segmentation:bee:mask=${join(folder, mask)}`),
      });
      return { score: targets[0].target.score, scores };
    };
    const { score, scores } = await scoreOf('left.npy');
    const expected = [...Array(16).keys()]
      .filter((p) => p % 4 < 2)
      .reduce((sum, p) => sum + scores[16 + p], 0);
    expect(score).toBeCloseTo(expected, 5);
    expect((await scoreOf('wide.png')).score).toBe(score); // the centre of 24 × 12 pixels is what the network sees
    await expect(scoreOf('none.npy')).rejects.toThrow(
      '"targets.mask" must be a mask with a pixel that is not 0',
    );
    await expect(scoreOf('nowhere.png')).rejects.toThrow('nowhere.png');
  });

  test('as it is typed', () => {
    expect(parseTarget('segmentation')).toEqual({ kind: 'segmentation' });
    expect(parseTarget('segmentation:15')).toEqual({ kind: 'segmentation', class: 15 });
    expect(parseTarget('segmentation:top=2:output=aux')).toEqual({
      kind: 'segmentation',
      top: 2,
      output: 'aux',
    });
  });
});
