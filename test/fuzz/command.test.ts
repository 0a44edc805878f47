import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ModelProto, ModelProtoSchema } from '../../src/onnx/onnx_pb.js';
import { damagedArchive } from '../batch/archives.js';
import { picture } from '../evaluate/data-set.js';
import { randomNumbers } from '../map/random.js';
import { bytesFrom, classifier } from '../support/network.js';
import { annotationFiles, damage, type Damageable } from './annotation-files.js';
import { modelFiles } from './model-files.js';
import { mutateModel, mutatePicture } from './mutate.mjs';
import { pictureFiles } from './picture-files.js';
import { hidden, raw } from './words.js';

/** Damaged models and pictures that the command is given, six times as many as of each other kind; `npm run fuzz` gives it 3,000. */
const count = Number(process.env.FUZZ_COMMAND ?? 18);
const few = Math.ceil(count / 6);
const first = Number(process.env.FUZZ_SEED ?? 0);
/** Seconds that a picture may take, and milliseconds a command, on a machine that does other things too. */
const mostSeconds = 60;
const mostTime = 240_000;
const mostMebibytes = 1000;
/** Commands at once. */
const together = 2;

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'gradcampp-fuzz-'));
const classes = ['left', 'right', 'up', 'down', 'in'];
beforeAll(() => {
  writeFileSync(join(folder, 'model.onnx'), bytesFrom(classifier({ tail: 'softmax' })));
  writeFileSync(join(folder, 'plain.onnx'), bytesFrom(classifier({ tail: 'softmax' })));
  writeFileSync(join(folder, 'model.json'), JSON.stringify({ input: { size: [8, 8] }, classes }));
  writeFileSync(join(folder, 'a.png'), picture);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs the command, and holds what it says to what people can read. */
async function gradcampp(args: readonly string[], what: string): Promise<{ code: number; said: string }> {
  const { code, said } = await new Promise<{ code: unknown; said: string }>((resolve) => {
    const options = { cwd: folder, timeout: mostTime, maxBuffer: 2 ** 28 };
    execFile(process.execPath, [main, ...args], options, (error, stdout, stderr) =>
      resolve({ code: error ? (error.signal ?? error.code) : 0, said: stdout + stderr }),
    );
  });
  const about = `${what}: gradcampp ${args.join(' ')}\n${said.slice(-3000)}`;
  // No crash, no fault of the program, no hang; a network without an end is stopped, and in a thread it takes the process along.
  const isEndless = said.includes(`took longer than ${mostSeconds} s; it still holds its thread`);
  expect(isEndless ? [1, 'SIGKILL'] : [0, 1, 3], about).toContain(code);
  for (const line of said.split('\n')) {
    expect(line, about).not.toMatch(hidden);
    expect(line, about).not.toMatch(
      /^\s+at .*:\d+|internal fault|ended its worker|\[object |(?<!received (?:\w+ )?)undefined/,
    );
    if (!line.startsWith('{')) expect(line, about).not.toMatch(raw);
  }
  const [, memory] = /^Peak memory (\d+) MB/m.exec(said) ?? [];
  if (memory) expect(Number(memory), about).toBeLessThan(mostMebibytes);
  return { code: code as number, said };
}

/** Does something with every number below `limit`, some at once. */
async function forEach(limit: number, work: (i: number) => Promise<void>): Promise<void> {
  let next = 0;
  const one = async () => {
    while (next < limit) await work(next++);
  };
  await Promise.all(Array.from({ length: together }, one));
}

function linesIn(out: string): { image: { path: string }; error?: { code: string; message: string } }[] {
  const text = readFileSync(join(folder, out, 'results.jsonl'), 'utf8');
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));
}

function write(path: string, content: string | Uint8Array): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), content);
}

const codec = {
  decode: (bytes: Uint8Array) => fromBinary(ModelProtoSchema, bytes),
  encode: (proto: ModelProto) => toBinary(ModelProtoSchema, proto),
};
const isBuilt = existsSync(main);
const explain = ['--model', 'model.onnx', '--backend', 'reference', '--overwrite'];
const timeout = 60_000 + count * 5000;

test.skipIf(!isBuilt)(
  `${count} damaged pictures, in threads and in processes (needs npm run build)`,
  { timeout },
  async () => {
    const files = await pictureFiles(folder);
    const originals = files.map((file) => readFileSync(file));
    for (let i = 0; i < count; i++) {
      const k = i % files.length;
      write(`pictures/${i}${extname(files[k])}`, mutatePicture(originals[k], first + i).bytes);
    }
    for (const more of [[], ['--isolate']]) {
      const out = `pictures-out${more.join('')}`;
      await gradcampp(['explain', 'pictures/*', ...explain, ...more, '--out', out], 'pictures');
      const lines = linesIn(out);
      expect(lines.length).toBeGreaterThanOrEqual(count);
      const failed = lines.flatMap(({ error }) => error ?? []);
      expect(new Set(failed.map(({ code }) => code))).toEqual(new Set(['INVALID_IMAGE']));
      expect(Math.min(failed.length, lines.length - failed.length)).toBeGreaterThan(count / 10);
    }
  },
);

test.skipIf(!isBuilt)(
  `${count} damaged models, in every command (needs npm run build)`,
  { timeout },
  async () => {
    const paths = await modelFiles(folder);
    const originals = paths.map((path) => readFileSync(path));
    // The last ones take pictures; of the others, one an operator, commands that need none.
    const special = originals.slice(-7);
    const codes: number[] = [];
    await forEach(count, async (i) => {
      const commands = [
        (file: string) => [
          'explain',
          'a.png',
          '--model',
          file,
          '--backend',
          'reference',
          '--timeout',
          String(mostSeconds),
          '--overwrite',
          '--out',
          `out-${i}`,
        ],
        (file: string) => ['inspect', file],
        (file: string) => [
          'explain',
          'a.png',
          '--model',
          file,
          '--backend',
          'reference',
          '--timeout',
          String(mostSeconds),
          '--isolate',
          '--overwrite',
          '--out',
          `out-${i}`,
        ],
        (file: string) => [
          'differentiate',
          file,
          '--wrt',
          i % 8 < 4 ? 'x0' : 'image',
          '--out',
          `d-${i}.onnx`,
        ],
      ];
      const isExplained = i % 2 === 0;
      const from = isExplained ? special : originals;
      const file = `mutant-${i}.onnx`;
      const { kind, bytes } = mutateModel(from[(i >> 2) % from.length], first + i, codec);
      write(file, bytes);
      const { code } = await gradcampp(
        commands[i % 4](file),
        `mutant ${first + i} of model ${(i >> 2) % from.length} (${kind})`,
      );
      codes.push(code);
      for (const name of [file, `out-${i}`, `d-${i}.onnx`])
        rmSync(join(folder, name), { recursive: true, force: true });
    });
    for (const code of [0, 1]) expect(codes).toContain(code);
  },
);

test.skipIf(!isBuilt)(
  `${few} damaged archives, in threads and in processes (needs npm run build)`,
  { timeout },
  async () => {
    const random = randomNumbers(first + 1);
    const inputs = Array.from({ length: few }, (_, i) => {
      write(`archives/${i}.tar`, damagedArchive(i, random));
      return ['--input', `archives/${i}.tar`];
    }).flat();
    for (const more of [[], ['--isolate']]) {
      const out = `archives-out${more.join('')}`;
      await gradcampp(['explain', ...inputs, ...explain, ...more, '--out', out], 'archives');
      const lines = linesIn(out);
      const archives = new Set(lines.map(({ image }) => /archives\/(\d+)\.tar/.exec(image.path)?.[1]));
      expect(archives.size).toBe(few); // each is there, with its pictures or what is wrong with it
      for (const { error } of lines) if (error) expect(error.code).toBe('INVALID_IMAGE');
    }
  },
);

/** How the command is given each kind of annotation. */
const evaluations: Readonly<Record<string, (set: string) => string[]>> = {
  'yolo labels': (set) => ['localization', '--data', set, '--boxes', 'yolo'],
  'yolo classes': (set) => ['localization', '--data', set, '--boxes', 'yolo'],
  'yolo yaml': (set) => ['localization', '--data', set, '--boxes', 'yolo'],
  'yolo json': (set) => ['localization', '--data', set, '--boxes', 'yolo'],
  voc: (set) => ['localization', '--data', set, '--boxes', 'voc'],
  coco: (set) => ['localization', '--data', set, '--boxes', 'coco'],
  mask: (set) => ['localization', '--data', set, '--boxes', 'masks'],
  labels: (set) => [
    'generalization',
    '--train',
    `${set}/a.png`,
    '--test',
    `${set}/x`,
    '--labels',
    `${set}/labels.csv`,
  ],
  mapping: (set) => [
    'localization',
    '--data',
    `${set}/set`,
    '--boxes',
    'yolo',
    '--mapping',
    `${set}/mapping.json`,
  ],
};

test.skipIf(!isBuilt)(`${few} damaged annotations (needs npm run build)`, { timeout }, async () => {
  const names = Object.keys(evaluations);
  const codes: number[] = [];
  await forEach(few, async (i) => {
    const kind = names[i % names.length] as keyof typeof annotationFiles;
    const { files, damaged } = annotationFiles[kind] as Damageable;
    const set = `set-${i}`;
    if (kind === 'labels') for (const name of ['a.png', 'x/b.png']) write(`${set}/${name}`, picture);
    if (kind === 'mapping')
      for (const [name, content] of Object.entries(annotationFiles['yolo labels'].files))
        write(`${set}/set/${name}`, content);
    for (const [name, content] of Object.entries(files))
      write(`${set}/${name}`, name === damaged ? damage(content, first + i) : content);
    const args = [
      '--model',
      'model.onnx',
      '--backend',
      'reference',
      '--method',
      'grad-cam++',
      '--workers',
      '0',
    ];
    const { code } = await gradcampp(
      ['evaluate', ...evaluations[kind](set), ...args, '--out', `${set}-out`],
      `${kind} ${first + i}`,
    );
    codes.push(code);
    for (const name of [set, `${set}-out`]) rmSync(join(folder, name), { recursive: true, force: true });
  });
  expect(codes).toContain(1);
});

test.skipIf(!isBuilt)(`${few} damaged sidecars (needs npm run build)`, { timeout }, async () => {
  const { files, damaged } = annotationFiles.sidecar;
  const text = (files as Record<string, string>)[damaged].replace('[32, 32]', '[8, 8]');
  const codes: number[] = [];
  await forEach(few, async (i) => {
    const name = `sidecar-${i}.json`;
    write(name, damage(text, first + i));
    const isolate = i % 2 === 0 ? [] : ['--isolate'];
    const args = [
      'a.png',
      '--model',
      'plain.onnx',
      '--preprocess',
      name,
      '--backend',
      'reference',
      ...isolate,
      '--out',
      `${name}-out`,
    ];
    codes.push((await gradcampp(['explain', ...args], `sidecar ${first + i}`)).code);
    for (const own of [name, `${name}-out`]) rmSync(join(folder, own), { recursive: true, force: true });
  });
  expect(codes).toContain(1);
});
