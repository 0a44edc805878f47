import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Explainer } from '../../src/batch/explainer.js';
import { graphOf } from '../../src/graph/from-model.js';
import { readModel } from '../../src/onnx/read.js';
import { checkSidecar } from '../../src/image/sidecar.js';
import { decodePictures, readPictures } from '../../src/train/data/pictures.js';
import { type JobData, type JobProgress, trainStudent } from '../../src/train/run/job.js';
import type { Job, RunPlan } from '../../src/train/run/plan.js';
import { distill, type DistillOptions, train } from '../../src/train/run/run.js';
import { drawFolder, drawnClasses } from './drawn.js';
import { draw } from '../../src/train/demonstration/draw.js';
import { encodePng } from '../../src/image/encode.js';
import { bytesFrom, weights } from '../support/network.js';

let root: string;
const at = (...parts: string[]) => join(root, ...parts);
const small = {
  student: 'resnet-8',
  width: 0.25,
  batch: 20,
  epochs: 3,
  workers: 0,
} as never as DistillOptions;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'gradcampp-train-'));
  await drawFolder(at('data'), 40, 1);
  await drawFolder(at('test'), 20, 2);
  await train({ ...small, data: at('data'), test: at('test'), epochs: 20, width: 0.5, out: at('teacher') });
}, 120_000);
afterAll(() => rm(root, { recursive: true, force: true }));

const common = () => ({
  ...small,
  teacher: at('teacher', 'student.onnx'),
  data: at('data'),
  test: at('test'),
  cache: at('cache'),
});

describe('train', () => {
  test('learns the classes, and leaves a model that is explained like any other', async () => {
    const results = JSON.parse(await readFile(at('teacher', 'results.json'), 'utf8'));
    expect(results.arms[0].value.mean).toBeLessThan(0.2);
    expect(results.measured).toEqual({ on: 'test', pictures: 60 });
    const explainer = await Explainer.open(at('teacher', 'student.onnx'));
    const [{ targets }] = await explainer.explain([at('test', 'ring', '0.png')]);
    expect(drawnClasses).toContain(targets[0].target.name);
    expect(targets[0].layers).toEqual(['stage3.0/relu']);
    await explainer.close();
  });
});

describe('distill', () => {
  test('trains students beside each other, and says what they came to', async () => {
    const stages = new Set<string>();
    const { arms, differences, teacher, files } = await distill({
      ...common(),
      seeds: 2,
      out: at('run'),
      onProgress: ({ stage }) => stages.add(stage),
    });
    expect([...stages]).toEqual(['pictures', 'teacher', 'training']);
    expect(arms.map(({ name }) => name)).toEqual(['labels alone', 'distilled']);
    expect(teacher?.byClass.length).toBe(3);
    expect(differences[0].each.length).toBe(2);
    const { each, difference } = differences[0];
    expect(difference).toMatchObject({
      low: null,
      high: null,
      range: [Math.min(...each), Math.max(...each)],
    });
    expect(files.map((file) => file.slice(at('run').length + 1)).slice(0, 5)).toEqual([
      'student.onnx',
      'student.json',
      'log.jsonl',
      'results.json',
      'report.html',
    ]);
    const lines = (await readFile(at('run', 'log.jsonl'), 'utf8')).trim().split('\n');
    expect(lines.length).toBe(2 * 2 * 3);
    expect(Object.keys(JSON.parse(lines[3]).terms)).toEqual(
      expect.arrayContaining(['cross entropy', 'distillation', 'explanation', 'zero maps']),
    );
    const page = await readFile(at('run', 'report.html'), 'utf8');
    for (const part of ['Error by class', 'Training error', 'Explanation', 'untrained', 'teacher'])
      expect(page).toContain(part);
    await checkSidecar(JSON.parse(await readFile(at('run', 'student.json'), 'utf8')));
  }, 120_000);

  test('gives the same weights again, from a cache or without one', async () => {
    await distill({ ...common(), out: at('again'), baseline: false, cache: at('other-cache'), seeds: 1 });
    const [first, again] = await Promise.all(
      ['run', 'again'].map((out) => readFile(at(out, 'distilled', 'seed-1', 'student.onnx'))),
    );
    expect(again.equals(first)).toBe(true);
  }, 60_000);

  test('every term, form and placebo is trained with', async () => {
    const terms = { labels: 1, kd: 0, interpret: 0, attention: 0 };
    const { arms } = await distill({
      ...common(),
      epochs: 1,
      out: at('arms'),
      method: 'grad-cam',
      arms: {
        CE: terms,
        attention: { ...terms, attention: 10 },
        cosine: { ...terms, interpret: 1, form: 'cosine' },
        'min-max': { ...terms, interpret: 1, normalization: 'min-max' },
        placebo: { ...terms, interpret: 2, placebo: true },
        own: { ...terms, interpret: 2 },
      },
    });
    const log = (await readFile(at('arms', 'log.jsonl'), 'utf8')).trim().split('\n');
    const [, , , , placebo, own] = log.map((line) => JSON.parse(line).terms.explanation);
    expect(arms.length).toBe(6);
    expect(placebo).toBeGreaterThan(0);
    expect(placebo).not.toBe(own);
  }, 60_000);

  test('a finished run is given back, and not replaced unasked', async () => {
    const again = await distill({ ...common(), out: at('again'), baseline: false, seeds: 1, resume: true });
    expect(again.arms.length).toBe(1);
    await expect(distill({ ...common(), out: at('again'), baseline: false, seeds: 1 })).rejects.toThrow(
      'holds a finished run',
    );
  });
});

describe('train from other forms of pictures', () => {
  test('a list gives the weights that the folder gives', async () => {
    const lines = drawnClasses.flatMap((name) =>
      Array.from({ length: 40 }, (_, n) => `data/${name}/${n}.png,${name}\n`),
    );
    await writeFile(at('list.csv'), lines.join(''));
    const options = { ...small, epochs: 1, seeds: 1 };
    const { measured } = await train({ ...options, data: at('list.csv'), out: at('by-list') });
    await train({ ...options, data: at('data'), out: at('by-folder') });
    const [list, folder] = await Promise.all(
      ['by-list', 'by-folder'].map((out) => readFile(at(out, 'student.onnx'))),
    );
    expect(list.equals(folder)).toBe(true);
    expect(measured.pictures).toBe(12);
    await writeFile(at('list.csv'), lines.toReversed().join('').replace('0.png,ring', '0.png,cross'));
    await expect(
      train({ ...options, data: at('list.csv'), out: at('by-list'), resume: true }),
    ).rejects.toThrow('holds another run, which differs in the inputs');
  });

  test('a list that says what pictures are for is trained on, chosen by and measured on as it says', async () => {
    const partFor = (n: number) => (n < 24 ? 'train' : n < 30 ? 'val' : 'test');
    const lines = drawnClasses.flatMap((name) =>
      Array.from({ length: 40 }, (_, n) => `data/${name}/${n}.png,${name},${partFor(n)}\n`),
    );
    const list = async (rows: readonly string[]) => {
      await writeFile(at('parts.csv'), `path,label,split\n${rows.join('')}`);
      return at('parts.csv');
    };
    const notes: string[] = [];
    const options = {
      ...small,
      epochs: 1,
      seeds: 1,
      validation: 0,
      onNote: (note: string) => notes.push(note),
    };
    const { measured } = await train({ ...options, data: await list(lines), out: at('by-parts') });
    expect(measured).toEqual({ on: 'test', pictures: 3 * 10 });
    expect(notes).toContain('"data": 72 for train, 18 for validation, 30 for test.');
    const [epoch] = (await readFile(at('by-parts', 'log.jsonl'), 'utf8')).split('\n');
    expect(JSON.parse(epoch).validation).toBeTypeOf('number');
    const results = JSON.parse(await readFile(at('by-parts', 'results.json'), 'utf8'));
    expect(results.measured).toEqual({ on: 'test', pictures: 30 });

    const other = { ...options, data: at('data'), test: at('parts.csv'), validation: 0.1 };
    expect((await train({ ...other, out: at('tested-by-parts') })).measured.pictures).toBe(30);
    const without = (part: string) => lines.filter((line) => !(line.includes('ring') && line.includes(part)));
    const refused = async (rows: readonly string[], message: RegExp) =>
      expect(train({ ...options, data: await list(rows), out: at('no-parts') })).rejects.toThrow(message);
    await refused(without(',train'), /no pictures of class "ring" to train on, only for validation or test/);
    await refused(without(',test'), /no pictures of class "ring" for test/);
    const noTest = lines.map((line) => line.replace(',test', ',train'));
    const chosen = await train({ ...options, data: await list(noTest), out: at('no-test') });
    expect(chosen.measured).toEqual({ on: 'validation', pictures: 18 });
  });
});

describe('train on pictures of several classes', () => {
  test('learns each by itself, from a list', async () => {
    const lines = drawnClasses.flatMap((name) =>
      Array.from(
        { length: 20 },
        (_, n) => `data/${name}/${n}.png,${name === 'ring' ? 'round ring' : name}\n`,
      ),
    );
    await writeFile(at('several.csv'), ['image,labels\n', ...lines].join(''));
    const found = await train({ ...small, epochs: 1, data: at('several.csv'), out: at('several') });
    expect(found).toMatchObject({ metric: 'mAP', classes: ['cross', 'ring', 'round', 'square'] });
  });
});

describe('train with masks', () => {
  test('keeps maps inside of them, where the ground gives the class away', async () => {
    const grounds = { circle: [40, 60, 200], square: [200, 90, 40] };
    for (const [name, ground] of Object.entries(grounds))
      for (const folder of ['biased', 'masks']) {
        await mkdir(at(folder, name), { recursive: true });
        for (let n = 0; n < 40; n++) {
          const { picture, mask } = draw(name, ['biased', n], ground);
          if (folder === 'masks' && n === 0) continue; // may be looked at anywhere
          await writeFile(at(folder, name, `${n}.png`), encodePng(folder === 'masks' ? mask : picture));
        }
      }
    const options = { ...small, data: at('biased'), masks: at('masks'), batch: 16, epochs: 6 };
    const { arms } = await train({
      ...options,
      arms: { watched: { reasons: 1e-6 }, penalised: {} },
      reasons: 5,
      out: at('reasons'),
    });
    expect(arms.map(({ name }) => name)).toEqual(['watched', 'penalised']);
    const log = (await readFile(at('reasons', 'log.jsonl'), 'utf8')).trim().split('\n');
    const outside = log.map((line) => JSON.parse(line).terms['outside the masks']);
    expect(outside[11]).toBeLessThan(0.8 * outside[5]);
    await expect(train({ ...options, out: at('none') })).rejects.toThrow(
      '"reasons" must be above 0 where there are masks',
    );
    await expect(train({ ...small, data: at('biased'), reasons: 1, out: at('none') })).rejects.toThrow(
      '"masks" (--masks) is missing: give a folder of masks',
    );
    await expect(train({ ...options, masks: at('teacher'), reasons: 1, out: at('none') })).rejects.toThrow(
      /has no mask of any picture/,
    );
  }, 60_000);

  test('and from a layer on, what is before it stays as it is', async () => {
    const model = async (path: string) => graphOf(await readModel(path)).constants;
    const before = await model(at('teacher', 'student.onnx'));
    await copyFile(at('teacher', 'student.onnx'), at('tuned-from.onnx'));
    await copyFile(at('teacher', 'student.json'), at('tuned-from.json'));
    const student = at('tuned-from.onnx');
    await train({
      ...small,
      student,
      data: at('data'),
      epochs: 1,
      trainFrom: 'stage2.0/relu',
      out: at('from'),
    });
    const after = await model(at('from', 'student.onnx'));
    const changed = [...before].filter(
      ([name, { bytes }]) => !Buffer.from(bytes).equals(after.get(name)?.bytes ?? Buffer.alloc(0)),
    );
    const names = changed.map(([name]) => name);
    expect(names).toContain('stage3.0/1/conv.weight');
    expect(names).toContain('stage3.0/1/norm.mean');
    expect(names.filter((name) => /^(stem|stage[12])/.test(name))).toEqual([]);
    await expect(
      train({ ...small, student, data: at('data'), trainFrom: 'stage9', out: at('none') }),
    ).rejects.toThrow('"trainFrom" must be the name of a value of the student; received "stage9"');
  }, 60_000);
});

describe('a training that ends and is gone on with', () => {
  const labels = () => Array.from({ length: 120 }, (_, i) => [Math.floor(i / 40)]);
  const all = Array.from({ length: 120 }, (_, i) => i);

  async function plan(folder: string): Promise<{ plan: RunPlan; job: Job; data: JobData }> {
    const { input: preprocessing } = await checkSidecar({ input: { size: [16, 16] } });
    const sources = all.map((i) => {
      const file = at('data', drawnClasses[labels()[i][0]], `${i % 40}.png`);
      return { name: file, file };
    });
    const { name: pictures } = await decodePictures(sources, preprocessing, at('cache'));
    const settings = {
      student: 'resnet-8',
      width: 0.25,
      epochs: 2,
      batch: 30,
      optimizer: 'adamw',
      weightDecay: 1e-3,
      schedule: 'cosine',
      warmUp: 0.1,
      smoothing: 0.1,
      augment: ['crop', 'flip', 'colour', 'cutout'],
      loaders: 0,
    };
    await mkdir(at(folder, '.partial'), { recursive: true });
    return {
      plan: {
        settings: settings as never,
        learningRate: 0.01,
        classWeights: undefined,
        preprocessing,
        classes: drawnClasses,
        isMultiLabel: false,
        folder: at(folder),
        cache: at('cache'),
        checkpointEvery: 0,
        run: 'test',
        seed: 1,
        pictures,
        labels: labels(),
        train: all,
        validation: [],
        test: undefined,
        lessons: undefined,
        trunk: undefined,
        masks: undefined,
      },
      job: {
        arm: 'trained',
        seed: 1,
        folder: 'job',
        terms: { labels: 1, kd: 0, interpret: 0, attention: 0 } as never,
      },
      data: {
        pictures: await readPictures(at('cache'), pictures, [16, 16]),
        labels: labels(),
        train: all,
        validation: [],
        lessons: undefined,
        masks: undefined,
        kept: undefined,
      },
    };
  }

  test('has the same weights and the same log, wherever it ended', async () => {
    const whole = await plan('whole');
    const expected = await trainStudent(whole.plan, whole.job, whole.data, () => undefined);
    const steps = 2 * 4;
    for (const end of [1, 3, 4, 6]) {
      const own = await plan(`ended-${end}`);
      let seen = 0;
      const kill = (_: JobProgress) => {
        if (++seen > end) throw new Error('killed');
      };
      await expect(trainStudent(own.plan, own.job, own.data, kill)).rejects.toThrow('killed');
      let rest = 0;
      const gone = await trainStudent(own.plan, own.job, own.data, () => void rest++);
      expect(rest).toBeLessThan(steps + 2); // it did not begin again
      expect(gone.log).toEqual(expected.log);
      expect(gone.graph.constants).toEqual(expected.graph.constants);
    }
  }, 60_000);

  test('a checkpoint of another run is not gone on with', async () => {
    const own = await plan('ended-1');
    let steps = 0;
    await trainStudent({ ...own.plan, run: 'another' }, own.job, own.data, () => void steps++);
    expect(steps).toBe(2 * 4 + 2);
  });

  test('a learning rate that diverges is a sentence, and the last good checkpoint is kept', async () => {
    const own = await plan('diverged');
    const wild = { ...own.plan, learningRate: 1e30, settings: { ...own.plan.settings, optimizer: 'sgd' } };
    await expect(trainStudent(wild as never, own.job, own.data, () => undefined)).rejects.toThrow(
      /^Training diverged: the loss of "trained", seed 1, is no number in epoch \d, step \d, at a learning rate of .*--learning-rate/,
    );
    expect((await readFile(at('diverged', 'job', 'checkpoint.bin'))).length).toBeGreaterThan(1000);
  });
});

describe('what is wrong is said in a sentence', () => {
  let tries = 0;
  const wrong = async (options: Partial<DistillOptions>, sentence: RegExp | string) =>
    expect(distill({ ...common(), out: at(`wrong-${tries++}`), epochs: 1, ...options })).rejects.toThrow(
      sentence,
    );

  test('options', async () => {
    await wrong({ teacher: undefined }, '"teacher" (--teacher) is missing: give the path of an ONNX file');
    await wrong({ data: undefined }, '"data" (--data) is missing: give a folder with a folder of');
    const alone = (student: string) =>
      expect(train({ ...small, student, data: at('data'), out: at('wrong-student') })).rejects;
    await alone(at('no.onnx')).toThrow(/Cannot read model ".*no\.onnx": there is no such file/);
    await copyFile(at('teacher', 'student.onnx'), at('bare.onnx'));
    await alone(at('bare.onnx')).toThrow(
      /needs a sidecar beside it, ".*bare\.json", which says how pictures/,
    );
    await wrong({ data: at('nowhere') }, /"data" ".*nowhere" cannot be read: there is no such file\./);
    await wrong({ student: 'resnet-9' }, /"student" must be one of resnet-DEPTH/);
    await wrong({ batch: 500 }, '"batch" is 500, and there are 108 pictures to train on');
    await wrong({ labels: 0, kd: 0, interpret: 0, baseline: false }, '"distilled" has no term to learn from');
    await wrong({ student: 'wrn-16-900' }, '"student" must be a network of at most 100 million weights');
    await wrong(
      { classWeights: [1, 2] },
      '"classWeights" has 2 numbers, and there are 3 classes: cross, ring,',
    );
    await wrong({ classWeights: [1, 2, 0] }, '"classWeights" must be balanced, or a number above 0 for each');
    await wrong({ method: 'score-cam' }, 'Maps of score-cam cannot be trained on: use one of grad-cam++,');
  });

  test('pictures and classes', async () => {
    const copy = async (name: string) => {
      await drawFolder(at(name), 2, 3);
      return at(name);
    };
    const broken = await copy('broken');
    await writeFile(join(broken, 'ring', '1.png'), 'no picture');
    await writeFile(join(broken, 'cross', '0.png'), '');
    await wrong(
      { data: broken, batch: 2, out: at('unreadable') },
      /^2 of 66 pictures cannot be read\. ".*cross.0\.png" cannot be read as a picture: it is empty\. ".*ring.1\.png" cannot be read as .* --skip-unreadable\.$/,
    );
    expect((await readFile(at('unreadable', 'unreadable.txt'), 'utf8')).split('\n').length).toBe(3);
    const notes: string[] = [];
    const skipping = { data: broken, batch: 2, skipUnreadable: true, epochs: 1, out: at('unreadable') };
    const options = { ...common(), ...skipping, onNote: (note: string) => notes.push(note) };
    const skipped = await distill(options);
    expect([...skipped.pictures, ...skipped.notes]).toEqual(notes);
    expect(notes.at(-1)).toBe('2 of 66 pictures cannot be read and are left out; unreadable.txt lists them.');
    expect(skipped.trainedOn).toBe(3); // the square’s second is kept for validation
    const lone = await copy('lone');
    for (const name of drawnClasses) await rm(join(lone, name, '1.png'));
    await wrong(
      { data: lone, test: undefined, batch: 2 },
      'No class has a picture to spare for validation, and',
    );
    const dot = encodePng({ data: new Uint8Array(3), width: 1, height: 1, channels: 3 });
    await writeFile(join(lone, 'ring', '1.png'), dot);
    await distill({ ...common(), data: lone, test: lone, batch: 2, epochs: 1, out: at('dot') });
    await writeFile(join(broken, 'ring', '0.png'), 'no picture');
    await wrong(
      { ...skipping, out: at('gone') },
      /"data" has no picture of class "ring" that can be read; ".*cross/,
    );
    const empty = await copy('empty');
    await rm(join(empty, 'cross'), { recursive: true });
    await mkdir(join(empty, 'cross'));
    await wrong({ data: empty }, /"data" ".*empty" has no pictures of class "cross"/);
    await rm(join(empty, 'cross'), { recursive: true });
    await wrong({ data: empty }, /"data" ".*empty" has no folder for class "cross"/);
    const other = await copy('other');
    await mkdir(join(other, 'rings'));
    await wrong(
      { data: other },
      /has a folder "rings", which is no class: the classes are cross, ring, square\. Closest: "ring"\./,
    );
  });

  test.each(['distill', 'train'] as const)(
    'and %s leaves the results of an earlier run',
    async (command) => {
      const [data, out] = [at(`cut-${command}`), at(`kept-${command}`)];
      await drawFolder(data, 2, 3);
      const {
        teacher,
        test: _,
        ...others
      } = { ...common(), epochs: 1, batch: 2, validation: 0.4, data, out };
      const again = (more: object) =>
        command === 'train' ? train({ ...others, ...more }) : distill({ ...others, teacher, ...more });
      const { files } = await again({});
      const path = join(data, 'ring', '1.png');
      const whole = await readFile(path);
      await writeFile(path, whole.subarray(0, whole.length / 2));
      const before = await Promise.all(files.map((file) => readFile(file)));
      await expect(again({ overwrite: true })).rejects.toThrow(/ring.1\.png" cannot be read/);
      expect(await Promise.all(files.map((file) => readFile(file)))).toEqual(before);
      await expect(again({})).rejects.toThrow('holds a finished run');
      await writeFile(path, whole);
      await again({ overwrite: true, epochs: 2 });
      expect((await readFile(join(out, 'log.jsonl'))).length).toBeGreaterThan(before[2].length);
    },
    60_000,
  );

  test('a student of other dims, and one without normalisation', async () => {
    await wrong(
      { student: 'assets/shapes.onnx' },
      'Student "shapes.onnx" has scores of dims [N, 8], and [N, 3] is expected.',
    );
    await copyFile(at('teacher', 'student.onnx'), at('file.onnx'));
    const { notes } = await distill({ ...common(), student: at('file.onnx'), epochs: 1, out: at('tuned') });
    expect(notes.join(' ')).not.toContain('normalisation');
    const folded = bytesFrom({
      inputs: { x: ['N', 3, 16, 16] },
      outputs: ['scores'],
      nodes: [
        ['Conv', ['x', 'W', 'b'], ['conv'], { pads: [1, 1, 1, 1], strides: [2, 2] }],
        ['Relu', ['conv'], ['relu']],
        ['GlobalAveragePool', ['relu'], ['pool']],
        ['Flatten', ['pool'], ['features']],
        ['Gemm', ['features', 'V', 'c'], ['scores']],
      ],
      constants: {
        W: weights(1, [4, 3, 3, 3]),
        b: weights(2, [4]),
        V: weights(3, [4, 3]),
        c: weights(4, [3]),
      },
    });
    await writeFile(at('folded.onnx'), folded);
    const said: string[] = [];
    const onNote = (note: string) => said.push(note);
    const own = { ...common(), student: at('folded.onnx'), epochs: 1, baseline: false };
    const plain = await distill({ ...own, out: at('folded'), onNote });
    expect(said.at(-1)).toMatch(
      /^Student "folded\.onnx" has no normalisation: exporters fold it into convolutions\. .* --learning-rate, .* dynamo=False keeps it\.$/,
    );
    expect(plain.notes).toEqual([said.at(-1)]);
    expect(await readFile(at('folded', 'report.html'), 'utf8')).toContain('has no normalisation');
  }, 60_000);
});
