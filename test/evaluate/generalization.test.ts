import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { evaluate } from '../../src/evaluate/evaluate.js';
import { measureHere } from '../../src/evaluate/measurer.js';
import type { Subject } from '../../src/evaluate/subject.js';
import { fakeSubject, left, right, variants } from './fake.js';

// Class 0, "left": bright on the left. The network is right on all training and on 3 of 4 test pictures.
const pictures: Record<string, readonly number[]> = {};
for (let i = 0; i < 4; i++) pictures[`train/left/${i}`] = left;
for (let i = 0; i < 3; i++) pictures[`test/left/${i}`] = left.map((value) => value * 0.8);
pictures['test/left/3'] = right;
const of = (set: string) => Object.keys(pictures).filter((name) => name.startsWith(set));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'generalization-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const named = (name: string, network?: (tensor: Float32Array) => number): Subject => ({
  ...fakeSubject({ pictures, network }),
  description: [['model', name]],
});

describe('generalisation', () => {
  it('holds the average drop of several networks against their train/test gap', async () => {
    const models = [
      named('good'),
      named('blind', () => 0.5),
      named('shy', (tensor) => 0.5 + 0.4 * (tensor[0] - 0.5)),
    ];
    const { report, files } = await evaluate('generalization', {
      model: models.map(measureHere),
      train: of('train'),
      test: of('test'),
      variants: variants.slice(0, 2),
      out: folder,
    });
    const mean = (key: string) =>
      report?.summaries[0].metrics.find((metric) => metric.key === key)?.values.map((value) => value?.mean);
    expect(report?.series.map((series) => series.name)).toEqual(['good', 'blind', 'shy']);
    expect(mean('trainAccuracy')).toEqual([1, 1, 1]);
    expect(mean('testAccuracy')).toEqual([0.75, 1, 0.75]);
    expect(mean('gap')).toEqual([0.25, 0, 0.25]);
    // "good": on the fourth picture the top class is "right", P = 1, which no masking of its own evidence moves:
    // the perfect map of "left" hides all of it and P("right") stays 1.
    expect(mean('averageDrop(perfect)')?.[0]).toBe(0);
    expect(mean('averageDrop(worst)')?.[0]).toBe(0.75);
    expect(mean('averageDrop(worst)')?.[1]).toBe(0);
    expect(report?.lead).toMatch(/Rank correlation .* over 3 networks/);
    expect(report?.provenance).toContainEqual(['good: model', 'good']);
    const csv = await readFile(files[1], 'utf8');
    expect(csv.split('\r\n').length).toBe(1 + 3 * 8 + 1);
    // Journals are gone; only the folders they lay in may remain.
    const left = await readdir(folder, { recursive: true });
    expect(left.filter((name) => name.endsWith('.journal'))).toEqual([]);
  });

  it('refuses a network twice', async () => {
    const options = { train: of('train'), test: of('test'), variants, out: folder };
    await expect(evaluate('generalization', { ...options, model: ['a.onnx', 'a.onnx'] })).rejects.toThrow(
      '"model" must be networks that differ; received "a.onnx twice"',
    );
  });

  it('names no trend over two networks', async () => {
    const { report } = await evaluate('generalization', {
      model: [measureHere(named('a')), measureHere(named('b'))],
      train: of('train'),
      test: of('test'),
      variants: variants.slice(0, 1),
      out: folder,
      overwrite: true,
    });
    expect(report?.lead).toContain('Three or more with both sets are needed');
  });
});
