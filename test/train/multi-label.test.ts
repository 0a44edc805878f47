import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Explainer } from '../../src/batch/explainer.js';
import { evaluate } from '../../src/evaluate/evaluate.js';
import { measureHere } from '../../src/evaluate/measurer.js';
import { openSubject } from '../../src/evaluate/open.js';
import { exportExplained } from '../../src/export/self-explaining.js';
import { encodePng } from '../../src/image/encode.js';
import { openSession } from '../../src/runtime/session.js';
import { distill, train } from '../../src/train/run/run.js';
import { randomNumbers } from '../map/random.js';

const side = 16;
const classes = ['blue', 'green', 'red'];
let root: string;
const at = (...parts: string[]) => join(root, ...parts);

/** Squares of one to three colours on grey noise, and their list: a column of 0 and 1 for each class. */
async function drawList(name: string, count: number, seed: number): Promise<string> {
  const next = randomNumbers(seed);
  await mkdir(at(name));
  const lines = [`path,${classes.join(',')}`];
  for (let n = 0; n < count; n++) {
    const shown = classes.map((_, c) => n % 7 !== 0 && (next() < 0.45 || n % 3 === c));
    const data = Uint8Array.from({ length: side * side * 3 }, () => 100 + 56 * next());
    for (const [c, isShown] of shown.entries()) {
      const [left, top] = [Math.floor(next() * (side - 4)), Math.floor(next() * (side - 4))];
      if (!isShown) continue;
      for (let y = top; y < top + 4; y++)
        for (let x = left; x < left + 4; x++)
          for (let k = 0; k < 3; k++) data[(y * side + x) * 3 + k] = k === 2 - c ? 230 : 20;
    }
    await writeFile(at(name, `${n}.png`), encodePng({ data, width: side, height: side, channels: 3 }));
    lines.push([`${name}/${n}.png`, ...shown.map(Number)].join(','));
  }
  await writeFile(at(`${name}.csv`), `${lines.join('\n')}\n`);
  return at(`${name}.csv`);
}

const small = { student: 'resnet-8', width: 0.25, batch: 20, workers: 0, validation: 0.2 };
let data: string;
let tested: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'gradcampp-multi-label-'));
  data = await drawList('data', 150, 1);
  tested = await drawList('test', 60, 2);
  await train({ ...small, width: 0.5, data, test: tested, epochs: 8, out: at('teacher') });
}, 120_000);
afterAll(() => rm(root, { recursive: true, force: true }));

describe('pictures of several classes', () => {
  test('are learned, and measured by mAP', async () => {
    const results = JSON.parse(await readFile(at('teacher', 'results.json'), 'utf8'));
    expect(results.metric).toBe('mAP');
    expect(results.measured).toEqual({ on: 'test', pictures: 60 });
    expect(results.arms[0].value.mean).toBeGreaterThan(0.85);
    expect(results.arms[0].seeds[0].byClass.length).toBe(3);
  });

  test('every term is trained with, and the maps of every class are compared', async () => {
    const none = { labels: 1, kd: 0, interpret: 0, attention: 0 };
    const { metric, arms, differences, teacher } = await distill({
      ...small,
      teacher: at('teacher', 'student.onnx'),
      data,
      test: tested,
      epochs: 2,
      smoothing: 0.1,
      out: at('arms'),
      arms: {
        CE: none,
        I: { ...none, interpret: 1 },
        placebo: { ...none, interpret: 1, placebo: true },
        cosine: { ...none, interpret: 1, form: 'cosine' },
        all: { ...none, interpret: 1, kd: 1, attention: 1 },
      },
    });
    expect(metric).toBe('mAP');
    expect(teacher?.value).toBeGreaterThan(0.85);
    expect(arms.map(({ name }) => name)).toEqual(['CE', 'I', 'placebo', 'cosine', 'all']);
    expect(differences[0].each[0]).toBeCloseTo(arms[1].seeds[0].value - arms[0].seeds[0].value, 12);
    const log = (await readFile(at('arms', 'log.jsonl'), 'utf8')).trim().split('\n');
    const terms = log.map((line) => JSON.parse(line).terms);
    // Up to three maps of length 1 a picture: their squared distances, not those of one.
    expect(terms[2].explanation).toBeGreaterThan(0.5);
    expect(terms[4].explanation).not.toBe(terms[2].explanation);
    expect(Object.keys(terms[8])).toEqual(
      expect.arrayContaining(['cross entropy', 'distillation', 'attention transfer', 'explanation']),
    );
    for (const own of terms) expect(Object.values(own).every(Number.isFinite)).toBe(true);
    const page = await readFile(at('arms', 'report.html'), 'utf8');
    for (const part of ['mAP by class', 'Validation mAP', 'without interpolation'])
      expect(page).toContain(part);
  }, 60_000);
});

describe('what was trained is a model like any other', () => {
  const pictures = () => [1, 2].map((n) => at('test', `${n}.png`));
  const single = () => at('single', 'student.onnx');
  beforeAll(async () => {
    // Pictures of one class each.
    const next = randomNumbers(3);
    for (const [c, name] of classes.entries()) {
      await mkdir(at('folders', name), { recursive: true });
      for (let n = 0; n < 20; n++) {
        const bytes = Uint8Array.from({ length: side * side * 3 }, (_, i) =>
          i % 3 === 2 - c ? 200 + 50 * next() : 90 * next(),
        );
        const picture = encodePng({ data: bytes, width: side, height: side, channels: 3 });
        await writeFile(at('folders', name, `${n}.png`), picture);
      }
    }
    await train({ ...small, data: at('folders'), epochs: 2, out: at('single') });
  }, 60_000);

  test.each([
    ['several classes', 'sigmoid', () => at('teacher', 'student.onnx')],
    ['one class', 'softmax', single],
  ] as const)(
    '%s: explained, evaluated and exported',
    async (_, link, model) => {
      const explainer = await Explainer.open(model(), { backend: 'reference' });
      const explanations = await explainer.explain(pictures(), { targets: [0, 2] });
      const [{ scores, probabilities, targets }] = explanations;
      await explainer.close();
      const exps = Array.from(scores, Math.exp);
      const sum = exps.reduce((a, b) => a + b, 0);
      for (const [c, exp] of exps.entries())
        expect(probabilities?.[c]).toBeCloseTo(link === 'sigmoid' ? exp / (1 + exp) : exp / sum, 5);
      expect(targets.map(({ target }) => target.name)).toEqual(['blue', 'red']);
      expect(targets[0].layers).toEqual(['stage3.0/relu']);

      const { report, failures } = await evaluate('faithfulness', {
        model: measureHere(await openSubject(model(), { backend: 'reference' })),
        images: pictures(),
        steps: 2,
        method: ['grad-cam++', 'random'],
        out: at(`evaluated-${link}`),
      });
      expect(failures).toEqual([]);
      const drop = report?.summaries[0].metrics.find(({ key }) => key === 'averageDrop')?.values[0]?.mean;
      expect(drop).toBeGreaterThanOrEqual(0);

      const { graph } = await exportExplained(model(), { method: 'grad-cam++', targets: [0, 2] });
      const session = await openSession(graph);
      const [image] = graph.inputs;
      const own = await Explainer.open(model(), { backend: 'reference' });
      const [prepared] = await own.prepare(pictures()[0]);
      const feed = { type: 'float32' as const, dims: [1, ...prepared.dims], data: prepared.tensor };
      const results = await session.run({ [image.name]: feed });
      const maps = results.explanation_maps.data as Float32Array;
      for (const [t, { map }] of targets.entries())
        for (const [i, value] of map.data.entries())
          expect(Math.abs(maps[t * map.data.length + i] - value)).toBeLessThan(1e-4);
      await session.close();
      await own.close();
    },
    60_000,
  );
});
