import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodePng } from '../../src/image/encode.js';
import { drawFolder, drawnClasses } from './drawn.js';

// docs/training.md, what is in it run by the built command, one after another; `npm test` builds before.
const at = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
let folder: string;
let text: string;

beforeAll(async () => {
  text = await readFile(at('docs/training.md'), 'utf8');
  folder = await mkdtemp(join(tmpdir(), 'gradcampp-docs-'));
  await drawFolder(join(folder, 'pictures/train'), 10, 1);
  await drawFolder(join(folder, 'pictures/test'), 4, 2);
  const mask = encodePng({ data: new Uint8Array(16 * 16 * 3).fill(255), width: 16, height: 16, channels: 3 });
  for (const name of drawnClasses) {
    await mkdir(join(folder, 'masks', name), { recursive: true });
    await writeFile(join(folder, 'masks', name, '1.png'), mask);
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const run = (args: readonly string[]) => promisify(execFile)(process.execPath, [...args], { cwd: folder });

/** So that they take seconds. */
const small = ['--width', '0.25', '--batch', '8', '--epochs', '1', '--seeds', '1', '--views', '1'];

test('the commands run as they stand, one after another', async () => {
  const commands = Array.from(text.matchAll(/^npx gradcampp (.+)$/gm), ([, line]) => line);
  const [first, ...others] = commands;
  expect(first).toBe('distill'); // demonstration.test.ts
  expect(others.map((line) => line.split(' ')[0])).toEqual(['train', 'distill', 'train']);
  for (const line of others) {
    const { stdout } = await run([at('dist/cli/main.js'), ...line.split(/ +/), ...small]);
    expect(stdout).toMatch(/^error on \d+ (test|validation) pictures\n/);
  }
}, 120_000);

test('the program runs', async () => {
  const [, code] = /```js\n([\s\S]*?)```/.exec(text) ?? [];
  const library = pathToFileURL(at('dist/train/index.js')).href;
  const given = `const tensor = (...dims) => ({ type: 'float32', dims, data: new Float32Array(dims.reduce((a, b) => a * b)).fill(0.1) });
const [image, labels, teacher] = [tensor(2, 3, 32, 32), tensor(2, 10), tensor(2, 1, 8, 8)];
`;
  await writeFile(
    join(folder, 'example.mjs'),
    `${given}${code.replace("'gradcampp/train'", `'${library}'`)}
console.log(loss, gradients.size > 10, 'zero maps' in fetched);`,
  );
  const { stdout } = await run([join(folder, 'example.mjs')]);
  expect(stdout).toMatch(/^\d+\.\d+ true true\n$/);
  expect((await readFile(join(folder, 'student.onnx'))).length).toBeGreaterThan(300_000);
}, 60_000);
