import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { makeFolder } from '../../../src/batch/results/write-file.js';

const base = mkdtempSync(join(tmpdir(), 'gradcampp-folder-'));
afterAll(() => rmSync(base, { recursive: true }));

test('writers that make the same nested folder at the same time all succeed', async () => {
  for (let round = 0; round < 20; round++) {
    const paths = ['a', 'a/b', 'a/b/c', 'a/b/c/d', 'a/b/c/d'].map((path) => join(base, String(round), path));
    await Promise.all(paths.map(makeFolder));
    expect(statSync(paths[4]).isDirectory()).toBe(true);
  }
});

test('a file in the way is an error', async () => {
  writeFileSync(join(base, 'file'), '');
  await expect(makeFolder(join(base, 'file'))).rejects.toThrow('EEXIST');
  await expect(makeFolder(join(base, 'file', 'below'))).rejects.toThrow('ENOTDIR');
});
