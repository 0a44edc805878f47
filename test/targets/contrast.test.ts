import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { Explainer } from '../../src/batch/explainer.js';
import { readNpy } from '../../src/image/npy.js';
import { contrastTarget } from '../../src/targets/contrast.js';
import { parseTarget } from '../../src/targets/index.js';
import type { Tensor } from '../../src/tensor.js';
import { facts, furthest, randomRow, seedIsDerivative } from './support.js';

const { find, check } = contrastTarget;
const row = { dims: [5], data: Float32Array.of(1, 5, 4, 4.5, -3) };

/** Networks exported by PyTorch, with maps of γ = 0.6 and two rivals (../shared/oracle/README.md). */
const oracle = fileURLToPath(new URL('../../../shared/oracle/', import.meta.url));
const networks = existsSync(oracle)
  ? readdirSync(oracle).filter((name) => existsSync(`${oracle}${name}/finer.grad-cam++.map.npy`))
  : [];

describe.skipIf(networks.length === 0)('Finer-CAM of PyTorch exports (needs ../shared/oracle)', () => {
  test.each(networks)('%s', async (name) => {
    const folder = `${oracle}${name}/`;
    const { classes, exports } = JSON.parse(readFileSync(`${folder}case.json`, 'utf8'));
    const input = (await readNpy(`${folder}input.npy`)) as Tensor;
    const maps = (await readNpy(`${folder}finer.grad-cam++.map.npy`)).data as Float32Array;
    for (const [file, { layer }] of Object.entries<{ layer: string }>(exports)) {
      await using explainer = await Explainer.open(`${folder}${file}.onnx`, { layer, backend: 'reference' });
      const targets = classes.map((own: number) => ({
        kind: 'contrast',
        class: own,
        gamma: 0.6,
        nearest: 2,
      }));
      const explained = (await explainer.explain(input, { targets })).flatMap((one) => one.targets);
      const size = maps.length / explained.length;
      for (const [i, { map }] of explained.entries())
        expect(furthest(map.data, maps.subarray(i * size, (i + 1) * size))).toBeLessThan(1e-4);
    }
  });
});

test('a class against those nearest in score', () => {
  const [goal] = find({ kind: 'contrast', class: 2 }, row, facts());
  expect(goal).toMatchObject({ name: '2 against 3, 1', kind: 'contrast', class: 2 });
  expect(goal.place).toBeUndefined();
  expect(goal.value(row)).toBeCloseTo(4 - 0.6 * 4.75, 6);
  expect(goal.probability?.(row)).toBeCloseTo(Math.exp(4) / (Math.exp(4) + Math.exp(4.5) + Math.exp(5)), 6);
  expect(find({ kind: 'contrast' }, row, facts())[0].name).toBe('1 against 3, 2');
});

test('against given ones, by name, with another weight', () => {
  const classes = ['ant', 'bee', 'cat', 'dog', 'eel'].map((name) => ({ name }));
  const spec = { kind: 'contrast', class: 'bee', rivals: ['ant', 4], gamma: 1 } as const;
  const [goal] = find(spec, row, facts({ classes }));
  expect(goal.name).toBe('bee against ant, eel');
  expect(goal.value(row)).toBeCloseTo(5 - (1 - 3) / 2, 6);
  expect(find({ kind: 'contrast', nearest: 9 }, row, facts())[0].name).toBe('1 against 3, 2, 0, 4');
});

test('seeds are derivatives', () => {
  for (const spec of [{}, { class: 3, nearest: 4 }, { rivals: [0], class: 1, gamma: 2 }] as const)
    seedIsDerivative((one) => find({ kind: 'contrast', ...spec }, one, facts()), [5]);
});

test('mistakes are sentences', () => {
  expect(() => find({ kind: 'contrast', class: 1, rivals: [1] }, row, facts())).toThrow(
    '"targets.rivals" must be other classes than the explained one; received "1".',
  );
  expect(() => find({ kind: 'contrast' }, randomRow(1, [1]), facts())).toThrow('It needs a rival.');
  expect(() => find({ kind: 'contrast', rivals: [7], class: 1 }, row, facts())).toThrow('from 0 to 4');
  expect(() => check({ kind: 'contrast', rivals: [] })).toThrow('"targets.rivals" must be a list of classes');
  expect(() => check({ kind: 'contrast', rivals: [1], nearest: 2 })).toThrow(
    '"targets.nearest" must be left out',
  );
  expect(() => check({ kind: 'contrast', gamma: Number.NaN })).toThrow('"targets.gamma" must be a number');
});

test('as it is typed', () => {
  expect(parseTarget('contrast')).toEqual({ kind: 'contrast' });
  expect(parseTarget('contrast:dog:rivals=wolf, 3:gamma=0.5')).toEqual({
    kind: 'contrast',
    class: 'dog',
    rivals: ['wolf', 3],
    gamma: 0.5,
  });
});
