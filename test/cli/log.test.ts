import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';

/** The built command, as users run it; `npm test` builds before. */
const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const assets = fileURLToPath(new URL('../../assets/', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'gradcampp-log-'));
const broken = 'br\u202eo\nken.png';
afterAll(() => rmSync(folder, { recursive: true }));
beforeAll(() => {
  mkdirSync(join(folder, 'in'));
  writeFileSync(join(folder, 'in', broken), 'no picture');
  writeFileSync(join(folder, 'in', 'apples.png'), readFileSync(join(assets, 'pictures/apples-and-cups.png')));
});

interface Entry {
  readonly time: string;
  readonly level: 'info' | 'error';
  readonly event: string;
  readonly message?: string;
  readonly [fact: string]: unknown;
}

function gradcampp(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [main, ...args], { cwd: folder }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });
}

/** What is on standard error: every line an object. */
function entriesOf(stderr: string): Entry[] {
  const entries = stderr
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Entry);
  for (const { time, level, event } of entries) {
    expect(new Date(time).toISOString()).toBe(time);
    expect(level).toMatch(/^(info|error)$/);
    expect(event).toBeTruthy();
  }
  return entries;
}

const model = ['--model', join(assets, 'shapes.onnx')];

test('a run is logged as JSON: begun, what failed, and what it came to; results stay on standard output', async () => {
  const { code, stdout, stderr } = await gradcampp('explain', 'in', ...model, '--out', 'a', '--log', 'json');
  expect(code).toBe(3);
  expect(stdout).toMatch(/^in\/apples.png: apple \d+\.\d % → apples.overlay.jpg\n$/);
  const [begun, failed, ended, ...others] = entriesOf(stderr);
  expect(begun).toMatchObject({ event: 'started', images: 2, before: 0, layers: [expect.any(String)] });
  const path = `in/${broken}`;
  expect(failed).toMatchObject({ level: 'error', event: 'picture', code: 'INVALID_IMAGE', path });
  expect(ended).toMatchObject({ event: 'finished', images: 2, explained: 1, failed: 1, stopped: false });
  expect(ended.message).toMatch(/^1 of 2 pictures explained in [^]*\nPeak memory \d+ MB\.$/);
  expect(others).toEqual([]);
  const none = await gradcampp('explain', 'in', ...model, '--out', 'b', '--log', 'none');
  expect(none.stderr).toMatch(/^gradcampp: .*cannot be read as a picture.*\n$/);
  expect(none.stdout).toBe(stdout);
});

test('what is wrong with a command is an entry too, also where the flag comes last', async () => {
  const wrong: [string[], string | undefined, RegExp][] = [
    [['explain', 'in', '--model', 'none.onnx'], 'INVALID_MODEL', /none.onnx/],
    [['explain', 'in', ...model, '--topp', '2'], undefined, /unknown option '--topp'/],
    [['explain', 'in'], undefined, /--model/],
    [['shard', 'run', 'nowhere'], 'INVALID_OPTION', /nowhere/],
    [['train', '--data', 'nowhere', '--test', 'nowhere'], 'INVALID_OPTION', /nowhere/],
    [['serve', '--model', 'none.onnx'], 'INVALID_MODEL', /none.onnx/],
  ];
  for (const [args, code, message] of wrong) {
    const { code: exit, stderr } = await gradcampp(...args, '--log', 'json');
    expect(exit).toBe(1);
    expect([args, entriesOf(stderr)]).toEqual([
      args,
      expect.arrayContaining([expect.objectContaining({ message: expect.stringMatching(message) })]),
    ]);
    const [entry] = entriesOf(stderr);
    expect(entry).toMatchObject({ level: 'error', event: code ? 'error' : 'usage', ...(code && { code }) });
  }
  const { code, stderr } = await gradcampp('explain', 'in', ...model, '--log', 'xml');
  expect([code, stderr]).toEqual([1, expect.stringMatching(/"log" must be one of text, json, none.*"xml"/)]);
});

test('shards and captions are logged as runs are', async () => {
  const picture = join('in', 'apples.png');
  await gradcampp('shard', 'plan', picture, ...model, '--size', '1', '--out', 'plan');
  const shard = entriesOf((await gradcampp('shard', 'run', 'plan', '--index', '0', '--log', 'json')).stderr);
  expect(shard.map(({ event }) => event)).toEqual(['started', 'shard']);
  expect(shard[1]).toMatchObject({ index: 0, shards: 1, images: 1, failed: 0, outcome: 'done' });
  const [encoder, decoder, tokenizer] = ['encoder_model.onnx', 'decoder_model.onnx', 'vocabulary.json'].map(
    (file) => join(assets, 'captioner', file),
  );
  const parts = ['--encoder', encoder, '--decoder', decoder, '--tokenizer', tokenizer, '--layer', 'relu5'];
  const said = await gradcampp('caption', picture, ...parts, '--out', 'captions', '--log', 'json');
  expect(entriesOf(said.stderr).map(({ event }) => event)).toEqual(
    expect.arrayContaining(['started', 'finished']),
  );
});
