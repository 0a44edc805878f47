import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { hashFile, readBytes, statsOf, whyUnreadable } from '../src/files.js';

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

test('files are asked about in order', async () => {
  const found: (number | undefined)[] = [];
  for await (const stats of statsOf(paths)) found.push(stats?.size);
  expect(found).toEqual(sizes);
});

test('a file is read whole, or refused when it is too large', async () => {
  const path = join(folder, 'some');
  writeFileSync(path, 'some bytes');
  expect((await readBytes(path)).toString()).toBe('some bytes');
  expect(await readBytes(paths[0])).toHaveLength(0);
  await expect(readBytes(path, 9)).rejects.toThrow('it is larger than');
});

test.skipIf(!existsSync('/proc/version'))(
  'files of which the system tells no size are read (needs /proc)',
  async () => {
    expect((await readBytes('/proc/version')).toString()).toMatch(/^Linux/);
  },
);

test.skipIf(process.platform === 'win32')('what is no file is refused before it is opened', async () => {
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]); // nobody writes into it: opening would wait
  const reasons = [pipe, '/dev/zero', folder, join(folder, 'nothing')].map((path) =>
    readBytes(path).catch(whyUnreadable),
  );
  expect(await Promise.all(reasons)).toEqual([
    'it is a pipe, not a file',
    'it is a device, not a file',
    'it is a folder',
    'there is no such file',
  ]);
});

test('a file is hashed in pieces', async () => {
  const bytes = Buffer.alloc(600_001, 'gradcampp');
  const path = join(folder, 'large');
  writeFileSync(path, bytes);
  expect(await hashFile(path)).toBe(createHash('sha256').update(bytes).digest('hex'));
  await expect(hashFile(join(folder, 'nothing'))).rejects.toThrow('ENOENT');
});
