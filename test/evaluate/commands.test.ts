import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { random } from '../../src/random-stream.js';
import { encodePng } from '../../src/image/encode.js';
import { bytesFrom, classifier } from '../support/network.js';

/** The built command, as users run it; `npm test` builds before. */
const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const classes = ['ant', 'bee', 'cat', 'dog', 'eel'];
let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'evaluate-'));
  await writeFile(join(folder, 'model.onnx'), bytesFrom(classifier({ tail: 'softmax' })));
  await writeFile(join(folder, 'other.onnx'), bytesFrom(classifier({ head: 'pool' })));
  const sidecar = JSON.stringify({
    input: { size: [8, 8], mean: [0.5, 0.5, 0.5], std: [0.1, 0.1, 0.1] },
    classes,
  });
  for (const name of ['model', 'other']) await writeFile(join(folder, `${name}.json`), sidecar);
  for (const [c, name] of classes.entries()) {
    await mkdir(join(folder, 'data/images', name), { recursive: true });
    for (let i = 0; i < 4; i++) {
      const stream = random('picture', c, i);
      const data = Uint8Array.from({ length: 300 }, () => stream.below(256));
      await writeFile(
        join(folder, `data/images/${name}/${name}-${i}.png`),
        encodePng({ data, width: 10, height: 10, channels: 3 }),
      );
    }
  }
  await mkdir(join(folder, 'data/labels'));
  await writeFile(join(folder, 'empty.json'), '{"images": [], "annotations": [], "categories": []}');
  await writeFile(join(folder, 'data/classes.txt'), classes.join('\n'));
  for (const name of classes)
    for (let i = 0; i < 4; i++)
      await writeFile(
        join(folder, `data/labels/${name}-${i}.txt`),
        classes.map((_, c) => `${c} 0.5 0.5 0.6 0.6`).join('\n'),
      );
});
afterAll(() => rm(folder, { recursive: true }));

async function gradcampp(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  try {
    const done = await promisify(execFile)(process.execPath, [main, ...args], { cwd: folder });
    return { code: 0, ...done };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, stdout, stderr };
  }
}
const model = ['--model', 'model.onnx', '--backend', 'reference'];
const data = ['--data', 'data/images'];
const results = async (out: string) => JSON.parse(await readFile(join(folder, out, 'results.json'), 'utf8'));

describe('gradcampp evaluate', () => {
  it('measures faithfulness, the same in this thread and in workers', async () => {
    const run = (out: string, ...more: string[]) =>
      gradcampp('evaluate', 'faithfulness', ...model, ...data, '--steps', '4', '--out', out, ...more);
    const one = await run('one', '--workers', '0');
    expect(one).toMatchObject({ code: 0 });
    expect(one.stdout).toMatch(/^Average drop % ↓ +[\d.]+ \[/m);
    expect(one.stdout).toContain('grad-cam++ against random');
    const two = await run('two', '--workers', '2');
    expect(two.code).toBe(0);
    for (const file of ['results.json', 'images.csv', 'report.html'])
      expect(await readFile(join(folder, 'two', file), 'utf8')).toBe(
        await readFile(join(folder, 'one', file), 'utf8'),
      );
    const { images, metrics, provenance } = await results('one');
    expect(images).toBe(20);
    expect(Object.keys(metrics.averageDrop.values)).toEqual(['grad-cam++', 'grad-cam', 'random']);
    expect(provenance.layer).toBe('relu2 [4, 4]');
  });

  it('measures what is asked of the target that is named', async () => {
    const args = [...model, '--data', 'data/images/dog', '--workers', '0', '--out', 'contrast'];
    const typed = ['--target', 'contrast:dog:rivals=ant', '--metric', 'increase,road', '--percentile', '50'];
    const { code, stdout } = await gradcampp('evaluate', 'faithfulness', ...args, ...typed);
    expect(code).toBe(0);
    expect(stdout).toContain('4 pictures, the target "contrast" of each.');
    const { metrics, settings, classes } = await results('contrast');
    expect(settings.target).toEqual({ kind: 'contrast', class: 'dog', rivals: ['ant'] });
    expect(Object.keys(metrics)).toEqual([
      'averageDrop',
      'increaseInConfidence',
      'roadMostFirst',
      'roadLeastFirst',
      'roadDifference',
    ]);
    expect(JSON.stringify(classes)).toContain('dog against ant');
  });

  it('goes on after a broken picture: exit code 3', async () => {
    await writeFile(join(folder, 'broken.png'), 'no picture');
    const args = [
      'evaluate',
      'faithfulness',
      ...model,
      ...data,
      '--data',
      'broken.png',
      '--method',
      'grad-cam',
    ];
    const { code, stderr } = await gradcampp(
      ...args,
      '--steps',
      '0',
      '--out',
      'broken',
      '--table',
      'parquet',
    );
    expect(code).toBe(3);
    expect(stderr).toMatch(/broken\.png: .*it does not begin like a picture file/);
    expect((await results('broken')).failures.length).toBe(1);
    expect((await readFile(join(folder, 'broken/images.parquet'))).subarray(0, 4).toString()).toBe('PAR1');
  });

  it('says what it left out, and once that there is no addon, where there is none', async () => {
    await mkdir(join(folder, 'odd'));
    await writeFile(join(folder, 'odd/x.heic'), 'no picture that is read');
    await writeFile(join(folder, 'odd/a.png'), await readFile(join(folder, 'data/images/ant/ant-0.png')));
    const args = ['--model', 'model.onnx', '--data', 'odd', '--method', 'grad-cam', '--steps', '0'];
    const { code, stdout, stderr } = await gradcampp(
      'evaluate',
      'faithfulness',
      ...args,
      '--workers',
      '2',
      '--out',
      'odd-out',
    );
    expect(code).toBe(0);
    expect(stdout).toContain('\n1 file left out: odd/x.heic (a HEIC picture).\n');
    expect(stderr).not.toMatch(/\(node:|trace-warnings/);
    expect(stderr.split('"native" cannot run here').length).toBeLessThanOrEqual(2);
  });

  it('compares variants at several layers', async () => {
    const { code } = await gradcampp(
      'evaluate',
      'ablation',
      ...model,
      ...data,
      '--steps',
      '0',
      '--out',
      'ablation',
      '--workers',
      '1',
      '--variant',
      'exp,softmax',
      '--variant',
      'grad-cam',
      '--layer',
      'relu1,relu2',
    );
    expect(code).toBe(0);
    expect(Object.keys((await results('ablation')).metrics.averageDrop.values)).toEqual([
      'exp @ relu1',
      'softmax @ relu1',
      'grad-cam @ relu1',
      'exp @ relu2',
      'softmax @ relu2',
      'grad-cam @ relu2',
    ]);
    const { notes } = await results('ablation');
    expect(notes.join()).toContain('exp is Eq. 19 of the paper as it stands; softmax differentiates softmax');
    expect(await readFile(join(folder, 'ablation/report.html'), 'utf8')).toContain('<h1>Ablation</h1>');
  });

  it('measures localisation on a data set folder', async () => {
    const args = [
      'evaluate',
      'localization',
      ...model,
      '--workers',
      '1',
      '--data',
      'data',
      '--boxes',
      'yolo',
    ];
    const { code, stdout } = await gradcampp(...args, '--out', 'boxes', '--delta', '0.1,0.9');
    expect(code).toBe(0);
    expect(stdout).toContain('20 of 20 pictures count.');
    const { metrics } = await results('boxes');
    expect(Object.keys(metrics)).toEqual([
      'localization(0.1)',
      'localization(0.9)',
      'boxIoU',
      'boxFound',
      'pointing',
      'energy',
      'rankAccuracy',
    ]);
  });

  it('plays the grid game and checks sanity', async () => {
    const common = [...model, ...data, '--workers', '0'];
    const grid = ['evaluate', 'grid', ...common, '--min-probability', '0', '--size', '4', '--out', 'grid'];
    // Five classes are too few for sixteen different ones.
    expect((await gradcampp(...grid)).stdout).toContain('No grid could be drawn');
    expect((await results('grid')).metrics.gridScore.values.random).toEqual({
      mean: null,
      low: null,
      high: null,
      count: 0,
    });
    const sanity = ['evaluate', 'sanity', ...common, '--stages', '2', '--out', 'sanity'];
    expect(await gradcampp(...sanity)).toMatchObject({ code: 0 });
    const { curves } = await results('sanity');
    expect(curves['cascading.rank'].x).toEqual([0, 0.25, 1]);
    expect(curves['cascading.rank']['grad-cam++'].y[0]).toBe(1);
  });

  it('holds several networks against each other', async () => {
    const { code, stdout } = await gradcampp(
      'evaluate',
      'generalization',
      '--model',
      'model.onnx',
      '--model',
      'other.onnx',
      '--workers',
      '1',
      '--train',
      'data/images',
      '--test',
      'data/images/ant',
      '--test',
      'data/images/bee',
      '--method',
      'grad-cam++',
      '--backend',
      'reference',
      '--out',
      'generalization',
    );
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ +model\.onnx +other\.onnx$/m);
    expect(Object.keys((await results('generalization')).metrics)).toEqual([
      'trainAccuracy',
      'testAccuracy',
      'gap',
      'averageDrop(grad-cam++)',
    ]);
  });

  it.each([
    [['faithfulness', '--method', 'gradcam'], '"method" must be of grad-cam++'],
    [['faithfulness', '--steps', 'many'], '"steps" must be a whole number from 0 to 1000; received "many"'],
    [['faithfulness', '--layer', 'relu9'], 'Closest: "relu'],
    [['localization', '--boxes', 'csv'], '"boxes" must be one of yolo, voc, coco, masks'],
    [['localization', '--boxes', 'voc'], 'must hold voc annotations: Annotations/ beside JPEGImages/'],
    [
      ['localization', '--boxes', 'voc', '--annotations', 'none'],
      '"none" cannot be read as a folder of Pascal',
    ],
    [
      ['localization', '--boxes', 'masks', '--annotations', 'none'],
      '"none" cannot be read as a folder of masks',
    ],
    [
      ['localization', '--boxes', 'coco', '--annotations', 'empty.json'],
      'None of the 20 pictures is annotated in "empty.json"',
    ],
    [['localization', '--boxes', 'coco', '--annotations', 'model.json'], 'it has no "images"'],
    [['faithfulness', '--table', 'xlsx'], '"table" must be one of csv, parquet'],
    [['faithfulness', '--out', 'model.json'], '"model.json" cannot be written: a part of the path is a file'],
    [['ablation', '--layer', 'relu9'], '"layer" must name a tensor or node'],
    [['sanity', '--method', 'cam'], 'Method "cam" needs global average pooling'],
  ])('refuses %j with one line', async (args, message) => {
    const { code, stderr } = await gradcampp('evaluate', ...args, ...model, ...data, '--workers', '0');
    expect(code).toBe(1);
    expect(stderr).toContain(message);
    expect(stderr.trim().split('\n').length).toBe(1);
  });
});

describe('gradcampp study', () => {
  it('builds a study and refuses foreign answers', async () => {
    const { code, stdout } = await gradcampp(
      'study',
      'build',
      '--model',
      'model.onnx',
      ...data,
      '--classes',
      '2',
      '--per-class',
      '3',
      '--method',
      'xgrad-cam,grad-cam',
      '--out',
      'study',
      '--title',
      'A <b> study',
    );
    expect(code).toBe(0);
    expect(stdout).toMatch(/^\w+: F1 \d\.\d{3}, 3 pictures\n\w+: F1 \d\.\d{3}, 3 pictures\nHand out /);
    const key = JSON.parse(await readFile(join(folder, 'study/study.json'), 'utf8'));
    expect(key.items.length).toBe(6);
    expect(key.methods).toEqual(['xgrad-cam', 'grad-cam']);
    expect(await readFile(join(folder, 'study/study.html'), 'utf8')).toContain(
      '<title>A &lt;b&gt; study</title>',
    );
    await mkdir(join(folder, 'study/answers'));
    await writeFile(join(folder, 'study/answers/a.json'), '{}');
    const scored = await gradcampp('study', 'score', 'study/answers/a.json');
    expect(scored).toMatchObject({ code: 1, stderr: 'gradcampp: "a.json" is not a file of answers.\n' });
    const three = await gradcampp(
      'study',
      'build',
      ...model.slice(0, 2),
      ...data,
      '--method',
      'cam,grad-cam,xgrad-cam',
    );
    expect(three).toMatchObject({ code: 1, stdout: '' });
    expect(three.stderr).toContain('compares two methods side by side; received cam, grad-cam, xgrad-cam.');
  });

  it('has help with an example for every command', async () => {
    for (const name of ['evaluate', 'study']) {
      const { stdout } = await gradcampp(name, '--help');
      const commands = Array.from(stdout.matchAll(/^ {2}(\w+) /gm), ([, found]) => found).filter(
        (n) => n !== 'help',
      );
      expect(commands.length).toBeGreaterThanOrEqual(2);
      for (const command of commands)
        expect((await gradcampp(name, command, '--help')).stdout).toContain(`$ gradcampp ${name} ${command}`);
    }
  });
});
