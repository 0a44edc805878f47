import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { typed, withHeader } from '../archives.js';
import { openFile } from '../../../src/files.js';
import { archiveEnd, encodeMember, readEntries, type TarEntry } from '../../../src/batch/inputs/tar.js';

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
  for (const { name, kind, offset, size } of await entriesOf(path))
    if (kind === 'file') found[name.replace(/^\.\//, '')] = bytes.toString('utf8', offset, offset + size);
  return found;
}

async function entriesOf(path: string): Promise<TarEntry[]> {
  const file = await openFile(path);
  const entries: TarEntry[] = [];
  try {
    for await (const entry of readEntries(file)) entries.push(entry);
  } finally {
    await file.close();
  }
  return entries;
}

/** 600 bytes, under a header that says something else of their size. */
const sized = (change: (header: Buffer) => unknown) =>
  withHeader('a.png', Buffer.from('x'.repeat(600)), change);

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
    await expect(membersOf(path)).rejects.toThrow('it ends within "a.txt"');
    member[0] ^= 1;
    writeFileSync(path, member);
    await expect(membersOf(path)).rejects.toThrow('damaged header at byte 0');
  });

  test.each<[string, (header: Buffer) => void]>([
    ['negative', (header) => header.write('-0000001000', 124, 'latin1')],
    ['no number', (header) => header.write('zzzzzzzzzzz', 124, 'latin1')],
    ['negative in base 256', (header) => header.fill(0xff, 124, 136)],
    ['beyond what numbers hold', (header) => header.fill(0x80, 124, 136)],
    ['hexadecimal', (header) => header.write('0x000000100', 124, 'latin1')],
  ])('a size that is %s is damage', async (_, change) => {
    const path = join(folder, 'size.tar');
    writeFileSync(
      path,
      Buffer.concat([encodeMember('first.png', Buffer.from('1')), sized(change), archiveEnd]),
    );
    await expect(membersOf(path)).rejects.toThrow('damaged header at byte 1024');
  });

  test('a size in base 256, and one that pax gives', async () => {
    const path = join(folder, 'large.tar');
    const base256 = sized((header) => {
      header.fill(0, 124, 136);
      header[124] = 0x80;
      header.writeUInt16BE(600, 134);
    });
    const unsized = sized((header) => header.write('00000000000', 124, 'latin1'));
    const archiveWith = (record: string) =>
      Buffer.concat([base256, typed('x', 'PaxHeader', Buffer.from(record)), unsized, archiveEnd]);
    writeFileSync(path, archiveWith('12 size=600\n'));
    expect((await entriesOf(path)).map(({ size }) => size)).toEqual([600, 600]);
    for (const bad of ['12 size=-60\n', '12 size=abc\n', '99 size=1\n', 'x size=1\n', '3 size=1\n']) {
      writeFileSync(path, archiveWith(bad));
      await expect(entriesOf(path), bad).rejects.toThrow('damaged header at byte 1536');
    }
  });

  test('an extended header of absurd size is damage', async () => {
    const path = join(folder, 'absurd.tar');
    const member = typed('x', 'PaxHeader', Buffer.alloc(2 ** 21));
    writeFileSync(path, Buffer.concat([member, archiveEnd]));
    await expect(entriesOf(path)).rejects.toThrow('damaged header at byte 0');
  });

  test('links, folders, sparse files and devices have no bytes of their own', async () => {
    const source = join(folder, 'kinds');
    mkdirSync(join(source, 'below'), { recursive: true });
    writeFileSync(join(source, 'a.png'), 'x'.repeat(600));
    linkSync(join(source, 'a.png'), join(source, 'below', 'hard.png'));
    symlinkSync('../a.png', join(source, 'below', 'soft.png'));
    const path = join(folder, 'kinds.tar');
    execFileSync('tar', ['cf', path, '--sort=name', '-C', source, '.']);
    const entries = await entriesOf(path);
    expect(entries.map(({ name, kind, target }) => [name, kind, target])).toEqual([
      ['./', 'other', ''],
      ['./a.png', 'file', ''],
      ['./below/', 'other', ''],
      ['./below/hard.png', 'hard link', './a.png'],
      ['./below/soft.png', 'symbolic link', '../a.png'],
    ]);
  });
});
