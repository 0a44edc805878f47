import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { archiveEnd, encodeMember, readMembers } from '../../src/batch/tar.js';

const folder = mkdtempSync(join(tmpdir(), 'gradcampp-tar-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Names of every kind of length, and contents. */
const contents: Record<string, string> = {
  'a.txt': 'first',
  'dir/empty.bin': '',
  'dir/exact.bin': 'x'.repeat(512),
  'ü/Grüße.txt': 'umlauts',
  [`${'long/'.repeat(30)}name.txt`]: 'ustar prefix',
  [`${'x'.repeat(150)}.txt`]: 'pax',
};

async function membersOf(path: string): Promise<Record<string, string>> {
  const bytes = readFileSync(path);
  const found: Record<string, string> = {};
  for await (const { name, offset, size } of readMembers(path))
    found[name.replace(/^\.\//, '')] = bytes.toString('utf8', offset, offset + size);
  return found;
}

describe('tar', () => {
  test('what is written is read back, here and by the system’s tar', async () => {
    const path = join(folder, 'own.tar');
    const members = Object.entries(contents).map(([name, text]) => encodeMember(name, Buffer.from(text)));
    writeFileSync(path, Buffer.concat([...members, archiveEnd]));
    expect(readFileSync(path).length % 512).toBe(0);
    expect(await membersOf(path)).toEqual(contents);
    const out = join(folder, 'own');
    mkdirSync(out);
    execFileSync('tar', ['xf', path, '-C', out]);
    for (const [name, text] of Object.entries(contents))
      expect(readFileSync(join(out, name), 'utf8')).toBe(text);
  });

  test.each(['gnu', 'pax', 'ustar'])('an archive of the system’s tar, format %s', async (format) => {
    const source = join(folder, format);
    mkdirSync(source);
    const own = Object.entries(contents).filter(([name]) => format !== 'ustar' || !name.startsWith('xxx'));
    for (const [name, text] of own) {
      mkdirSync(join(source, name, '..'), { recursive: true });
      writeFileSync(join(source, name), text);
    }
    const path = join(folder, `${format}.tar`);
    execFileSync('tar', ['cf', path, `--format=${format}`, '-C', source, '.']);
    expect(await membersOf(path)).toEqual(Object.fromEntries(own));
  });

  test('the same bytes every time', () => {
    expect(encodeMember('a/b.png', Buffer.from('abc'))).toEqual(encodeMember('a/b.png', Buffer.from('abc')));
  });

  test('damage is said, with the place', async () => {
    const path = join(folder, 'damaged.tar');
    const member = encodeMember('a.txt', Buffer.from('x'.repeat(2000)));
    writeFileSync(path, member.subarray(0, 1000));
    await expect(membersOf(path)).rejects.toThrow(/damaged.tar" cannot be read: it ends within "a.txt"/);
    member[0] ^= 1;
    writeFileSync(path, member);
    await expect(membersOf(path)).rejects.toThrow(/the header at byte 0 is damaged/);
    await expect(readMembers(join(folder, 'none.tar')).next()).rejects.toThrow(/there is no such file/);
  });
});
