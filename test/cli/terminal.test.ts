import { execFile, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodePng } from '../../src/image/encode.js';
import { bytesFrom, classifier } from '../support/network.js';

/** The built command, as users run it; `npm test` builds before. */
const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'gradcampp-terminal-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Moves the cursor, rings, rewrites the title, turns the writing, breaks the line. */
const evil = 'x\x1b[2J\x07\x1b]0;title\x07\u202e\u009b31m\u2028\n\ry';
/** What a terminal must not get. */
const hidden = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/u;

const picture = encodePng({ data: new Uint8Array(192).fill(99), width: 8, height: 8, channels: 3 });
beforeAll(() => {
  writeFileSync(join(folder, 'model.onnx'), bytesFrom(classifier({ tail: 'softmax' })));
  const classes = [evil, 'bee', 'cat', 'dog', evil];
  writeFileSync(join(folder, 'model.json'), JSON.stringify({ input: { size: [8, 8] }, classes }));
  mkdirSync(join(folder, evil));
  writeFileSync(join(folder, evil, `${evil}.png`), picture);
  writeFileSync(join(folder, evil, `${evil}-bad.png`), 'no picture');
  writeFileSync(join(folder, evil, `${evil}.txt`), 'text');
});

interface Said {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}
function gradcampp(...args: string[]): Promise<Said> {
  return new Promise((resolve) => {
    execFile(process.execPath, [main, ...args], { cwd: folder }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });
}
const linesOf = (text: string) => text.split('\n').slice(0, -1);

describe('control characters from files never reach a terminal', () => {
  test.each<[string, string[]]>([
    [
      'results, failures, and what is left out',
      ['explain', evil, '--model', 'model.onnx', '--top', '5', '--out', `${evil}-out`],
    ],
    ['JSON lines', ['explain', evil, '--model', 'model.onnx', '--json', '--out', 'json']],
    ['a class that is not there', ['explain', evil, '--model', 'model.onnx', '--class', `${evil}z`]],
    ['a model that is not there', ['explain', evil, '--model', evil]],
    ['a flag that is not there', ['explain', `--${evil}`]],
    ['a command that is not there', [evil]],
    [
      'an evaluation',
      [
        'evaluate',
        'faithfulness',
        '--model',
        'model.onnx',
        '--data',
        evil,
        '--steps',
        '0',
        '--out',
        'evaluated',
      ],
    ],
    ['a layer', ['inspect', 'model.onnx', '--layer', evil]],
    ['an output file', ['export', 'model.onnx', '--out', join('nowhere', evil)]],
    ['answers', ['study', 'score', evil]],
  ])('%s', async (_, args) => {
    const { stdout, stderr } = await gradcampp(...args);
    const lines = [...linesOf(stdout), ...linesOf(stderr)];
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines) expect(line).not.toMatch(hidden);
  });

  test('JSON stays JSON, with the very names', async () => {
    const out = join(folder, 'names');
    const { stdout } = await gradcampp('explain', evil, '--model', 'model.onnx', '--json', '--out', out);
    const printed = linesOf(stdout).map((line) => JSON.parse(line));
    expect(printed).toEqual(
      linesOf(readFileSync(join(out, 'results.jsonl'), 'utf8')).map((line) => JSON.parse(line)),
    );
    expect(printed.map(({ image }) => image.path)).toContain(join(evil, `${evil}.png`));
  });
});

describe('standard output', () => {
  const full = '/dev/full';
  test.skipIf(!existsSync(full))('that is full is a sentence', () => {
    for (const args of [
      ['ops'],
      ['explain', join(evil, `${evil}.png`), '--model', 'model.onnx', '--out', 'full', '--quiet', '--json'],
    ]) {
      const { status, stderr } = spawnSync(process.execPath, [main, ...args], {
        cwd: folder,
        stdio: ['ignore', openSync(full, 'w'), 'pipe'],
        encoding: 'utf8',
      });
      expect([status, stderr]).toEqual([
        1,
        'gradcampp: Standard output cannot be written: the disk is full.\n',
      ]);
    }
  });

  test('results are there, all else is on standard error, in whole lines', async () => {
    const { stdout, stderr } = await gradcampp('explain', evil, '--model', 'model.onnx', '--out', 'apart');
    expect(linesOf(stdout)).toHaveLength(1);
    expect(stdout).toMatch(/ → .*overlay/);
    expect(stderr).toMatch(/^1 file left out: .*\.txt\n/);
    expect(stderr).toMatch(/\n1 failed, 1 other file left out: 1 \.txt\.\n/);
    expect(stderr.endsWith('\n')).toBe(true);
    expect(stderr).not.toContain('\r');
  });
});
