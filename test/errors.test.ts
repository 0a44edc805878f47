import { mkdirSync, mkdtempSync, openSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { systemReason } from '../src/errors.js';

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
