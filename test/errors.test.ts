import { mkdirSync, mkdtempSync, openSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { GradcamppError, show, systemReason, visible } from '../src/errors.js';

function thrown(call: () => unknown): unknown {
  try {
    return call();
  } catch (error) {
    return error;
  }
}

test("the system's reason, without code, call and path", () => {
  const folder = mkdtempSync(join(tmpdir(), "gradcampp-it's, "));
  expect(systemReason(thrown(() => openSync(join(folder, 'none'), 'r')))).toBe('no such file or directory');
  expect(systemReason(thrown(() => renameSync(join(folder, 'none'), join(folder, 'b'))))).toBe(
    'no such file or directory',
  );
  expect(systemReason(thrown(() => mkdirSync(folder)))).toBe('file already exists');
  expect(systemReason(new Error('a, b'))).toBe('a, b');
  rmSync(folder, { recursive: true });
});

test('what was received, in a few words', () => {
  expect(
    [new Float32Array(3), new Blob(['abc']), [1, 'a'], { a: 1 }, 'b', undefined].map((value) => show(value)),
  ).toEqual(['Float32Array(3)', 'Blob(3)', '[1, "a"]', 'an object {a}', '"b"', 'undefined']);
});

test('what would move a cursor or turn the writing is written out', () => {
  const name = 'a\u001b]0;b\u0007\u009b31m\u202ec\nd\u2028e\ufeff';
  const shown = 'a\\u001b]0;b\\u0007\\u009b31m\\u202ec\\nd\\u2028e\\ufeff';
  expect(visible(name)).toBe(shown);
  expect(new GradcamppError('INVALID_LAYER', `"${name}" is none.`).message).toBe(`"${shown}" is none.`);
  expect(visible('Überholspur – 横 🐈 "x"')).toBe('Überholspur – 横 🐈 "x"');
});

test('a message is cut before it becomes a page', () => {
  const { message } = new GradcamppError('INVALID_MODEL', 'x'.repeat(100_000));
  expect(message).toHaveLength(2000);
  expect(message.endsWith('x...')).toBe(true);
});
