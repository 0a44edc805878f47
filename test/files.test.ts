import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { hashFile, look } from '../src/files.js';
import { Patience } from '../src/patience.js';

const folder = mkdtempSync(join(tmpdir(), 'gradcampp-files-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** 150 files of 0, 1, 2 … bytes; every seventh is missing, and one is a link to nothing. */
const paths = Array.from({ length: 150 }, (_, i) => join(folder, `${i}`));
const isMissing = (i: number) => i % 7 === 3;
paths.forEach((path, i) => {
  if (i === 10) symlinkSync(join(folder, 'nothing'), path);
  else if (!isMissing(i)) writeFileSync(path, Buffer.alloc(i));
});
const sizes = paths.map((_, i) => (isMissing(i) ? undefined : i));

async function sizesBy(patience: Patience): Promise<(number | undefined)[]> {
  const found: (number | undefined)[] = [];
  for await (const stats of look(paths, patience)) found.push(stats?.size);
  return found;
}

test('files are looked at in order, whether the disk is quick, slow, or slow at times', async () => {
  expect(await sizesBy(new Patience(true))).toEqual(sizes);
  expect(await sizesBy(new Patience(false))).toEqual(sizes);
  let now = 0;
  expect(await sizesBy(new Patience(true, () => (now += 10)))).toEqual(sizes);
});

test('the event loop has its turn between groups of files that are looked at', async () => {
  let turns = 0;
  const timer = setInterval(() => turns++, 0);
  const patience = new Patience(true);
  const end = performance.now() + 50;
  while (performance.now() < end) await sizesBy(patience);
  clearInterval(timer);
  expect(turns).toBeGreaterThan(2);
});

test('a file is hashed in pieces', async () => {
  const bytes = Buffer.alloc(600_001, 'gradcampp');
  const path = join(folder, 'large');
  writeFileSync(path, bytes);
  expect(await hashFile(path)).toBe(createHash('sha256').update(bytes).digest('hex'));
  await expect(hashFile(join(folder, 'nothing'))).rejects.toThrow('ENOENT');
});
