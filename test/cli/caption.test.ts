import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeNpy } from '../../src/image/npy.js';
import { encoder, stepDecoder, vocabulary } from '../caption/captioner.js';
import { values } from '../support/network.js';

/** The built command, as users run it; `npm test` builds before. */
const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gradcampp-caption-'));
  const put = (name: string, content: string | Uint8Array) => writeFile(join(folder, name), content);
  await put('encoder.onnx', encoder());
  await put('decoder.onnx', stepDecoder({ state: ['memory', 'after'] }));
  await put('words.json', JSON.stringify(vocabulary));
  await put('picture.npy', encodeNpy({ type: 'float32', dims: [3, 16, 16], data: values(4, [3, 16, 16]) }));
  await put('bad.npy', 'no tensor');
});
afterAll(() => rm(folder, { recursive: true }));

async function caption(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const models = ['--encoder', 'encoder.onnx', '--decoder', 'decoder.onnx', '--backend', 'reference'];
  const all = [main, 'caption', ...args, ...models];
  try {
    return { code: 0, ...(await promisify(execFile)(process.execPath, all, { cwd: folder })) };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, stdout, stderr };
  }
}

test('caption explains a text, and says how likely each word is; a picture that fails fails alone', async () => {
  const words = ['--tokenizer', 'words.json', '--state', 'memory=after'];
  const { code, stdout, stderr } = await caption(
    'picture.npy',
    'bad.npy',
    ...words,
    '--text',
    'a red cup',
    '--out',
    'text',
  );
  expect(stdout).toMatch(
    /^picture\.npy: a red cup \([\d.]+ % a token\): a [\d.]+ %, red [\d.]+ %, cup [\d.]+ % → picture\.strip\.png\n$/,
  );
  expect(stderr).toMatch(/bad\.npy/);
  expect(code).toBe(3);
  expect(await readFile(join(folder, 'text', 'index.html'), 'utf8')).toContain(
    '<span class="text">red</span>',
  );
});

test('caption takes ids where there is no tokenizer, several methods, and prints lines', async () => {
  const options = [
    '--ids',
    '0,2,3',
    '--state',
    'memory=after',
    '--method',
    'grad-cam++,grad-cam',
    '--save',
    'npy',
  ];
  const { code, stdout } = await caption('picture.npy', ...options, '--json', '--out', 'ids');
  const lines = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(lines.map(({ method, files }) => [method, files])).toEqual([
    ['grad-cam++', { npy: 'picture.grad-cam++.npy' }],
    ['grad-cam', { npy: 'picture.grad-cam.npy' }],
  ]);
  expect(lines[0].caption.text).toBe('2 3');
  expect(code).toBe(0);
});

test('what is wrong is one line, exit code 1', async () => {
  const { code, stdout, stderr } = await caption('picture.npy', '--ids', '0,x');
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toBe(
    'gradcampp: "ids" must be a list of token ids, whole numbers from 0; received [0, "x"].\n',
  );
});
