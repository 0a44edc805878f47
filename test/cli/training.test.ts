import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { drawFolder } from '../train/drawn.js';

/** The built command, as users run it; `npm test` builds before. */
const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gradcampp-cli-train-'));
  await drawFolder(join(folder, 'data'), 12, 1);
});
afterAll(() => rm(folder, { recursive: true }));

async function gradcampp(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  try {
    return { code: 0, ...(await promisify(execFile)(process.execPath, [main, ...args], { cwd: folder })) };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, stdout, stderr };
  }
}

const small = ['--data', 'data', '--width', '0.25', '--batch', '10', '--epochs', '1', '--validation', '0.25'];

test('train, then distil from what was trained, in processes of their own', async () => {
  const trained = await gradcampp('train', ...small, '--out', 'teacher');
  expect(trained.stderr).toContain('student.onnx');
  expect(trained.stdout).toMatch(/^error on 9 validation pictures\ntrained +\d+\.\d %\n$/);
  const teacher = ['--teacher', 'teacher/student.onnx', '--views', '1', '--seeds', '2', '--workers', '2'];
  const { code, stdout } = await gradcampp(
    'distill',
    ...small,
    ...teacher,
    '--out',
    'run',
    '--interpret',
    '3',
  );
  expect(code).toBe(0);
  expect(stdout).toMatch(
    /^teacher .*\nlabels alone .*\ndistilled .*\ndistilled: \d+\.\d points (less|more) than labels alone( \(-?\d+\.\d to -?\d+\.\d\))?$/m,
  );
  const { settings } = JSON.parse(await readFile(join(folder, 'run', 'run.json'), 'utf8'));
  expect(settings.arms.distilled).toMatchObject({ labels: 1, interpret: 3, kd: 1, method: 'grad-cam++' });
  expect(settings.arms['labels alone']).toMatchObject({ labels: 1, interpret: 0, kd: 0 });
}, 60_000);

test('what is wrong is one sentence', async () => {
  const { code, stderr } = await gradcampp('train', ...small, '--student', 'resnet-9', '--out', 'wrong');
  expect(code).toBe(1);
  expect(stderr).toMatch(/^gradcampp: "student" must be one of resnet-DEPTH, .*received "resnet-9"\.\n$/);
});

test.each([
  [
    'train',
    [],
    '"data" (--data) is missing: give a folder with a folder of pictures for each class, a list, an array or shards.',
  ],
  [
    'distill',
    ['--data', 'data'],
    '"teacher" (--teacher) is missing: give the path of an ONNX file with its sidecar.',
  ],
  ['distill', ['--teacher', 'teacher/student.onnx'], '"data" (--data) is missing: give a folder with'],
])('%s %j lacks a flag, and says which', async (command, flags, sentence) => {
  const { code, stderr } = await gradcampp(command, ...flags, '--out', 'wrong');
  expect(code).toBe(1);
  expect(stderr).toContain(sentence);
});

test('Ctrl-C says that the run is kept, and --resume goes on with it', async () => {
  const flags = [
    'train',
    '--data',
    'data',
    '--width',
    '0.25',
    '--batch',
    '10',
    '--epochs',
    '60',
    '--out',
    'stopped',
  ];
  const child = spawn(process.execPath, [main, ...flags], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (text) => (said += text));
  const checkpoint = join(folder, 'stopped', 'trained', 'seed-1', 'checkpoint.bin');
  while (!existsSync(checkpoint) && child.exitCode === null) await wait(20);
  child.kill('SIGINT');
  const [, signal] = await once(child, 'exit');
  expect(signal).toBe('SIGINT');
  expect(said).toMatch(
    /^"data" "data": 36 pictures in 3 folders of classes, 12 in each\.\n(.*%.*\n)*Stopped\. What is done is kept in stopped: the same command with --resume goes on with it\.\n$/,
  );
  expect((await gradcampp(...flags)).stderr).toContain(
    '"stopped" holds an unfinished run. Continue it with --resume',
  );
  const other = await gradcampp(...flags, '--resume', '--learning-rate', '0.05');
  expect(other.stderr).toContain('holds another run, which differs in the settings');
  expect((await gradcampp(...flags, '--resume')).code).toBe(0);
}, 60_000);

test('a training that diverges is a sentence, and its last good checkpoint is kept', async () => {
  const wild = ['--learning-rate', '100', '--weight-decay', '1', '--schedule', 'constant', '--epochs', '20'];
  const { code, stderr } = await gradcampp('train', ...small, ...wild, '--out', 'wild');
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /gradcampp: Training diverged: the loss of "trained", seed 1, is no number in epoch \d, step \d, at a learning rate of 100\. .*; the last good checkpoint is kept\.\n$/,
  );
  expect(existsSync(join(folder, 'wild', 'trained', 'seed-1', 'checkpoint.bin'))).toBe(true);
}, 60_000);

test('the same weights, bit for bit, whatever the number of threads that make views', async () => {
  const flags = ['train', ...small, '--augment', 'crop,flip,colour,cutout', '--epochs', '3'];
  const students: Buffer[] = [];
  for (const loaders of ['0', '1', '3']) {
    const out = `loaders-${loaders}`;
    expect(await gradcampp(...flags, '--loaders', loaders, '--out', out)).toMatchObject({ code: 0 });
    students.push(await readFile(join(folder, out, 'student.onnx')));
  }
  expect(students[1].equals(students[0])).toBe(true);
  expect(students[2].equals(students[0])).toBe(true);
}, 60_000);
