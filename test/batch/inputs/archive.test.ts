import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';
import { listArchive, type Listing } from '../../../src/batch/inputs/archive.js';
import { archiveEnd, encodeMember } from '../../../src/batch/inputs/tar.js';
import { typed, withHeader } from '../archives.js';

const folder = mkdtempSync(join(tmpdir(), 'gradcampp-archive-'));
afterAll(() => rmSync(folder, { recursive: true }));

const picture = (text: string) => Buffer.from(`${text} `.repeat(50));
const file = (name: string, text = name) => encodeMember(name, picture(text));
const hardLink = (name: string, target: string) => typed('1', name, undefined, target);
const softLink = (name: string, target: string) => typed('2', name, undefined, target);

async function list(bytes: Uint8Array, name = 'a.tar'): Promise<Listing> {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return listArchive(path, async () => join(folder, 'unpacked.tar'));
}

/** The first word of each picture, or what is wrong with it. */
function pictures({ file: from, pictures: members }: Listing): Record<string, string> {
  const bytes = existsSync(from) ? readFileSync(from) : Buffer.alloc(0);
  const wordOf = (place: Listing['pictures'][number]['place']) =>
    'problem' in place
      ? `! ${place.problem}`
      : bytes.toString('utf8', place.offset, place.offset + place.size).split(' ')[0];
  return Object.fromEntries(members.map(({ name, place }) => [name, wordOf(place)]));
}

describe('links', () => {
  test('are followed within the archive, forward and in chains', async () => {
    const listing = await list(
      Buffer.concat([
        softLink('early.png', 'dir/a.png'),
        file('dir/a.png', 'A'),
        hardLink('b.png', 'dir/a.png'),
        softLink('dir/c.png', '../b.png'),
        softLink('dir/d.png', './c.png'),
        hardLink('./e.png', './dir/a.png'),
        archiveEnd,
      ]),
    );
    expect(pictures(listing)).toEqual({
      'early.png': 'A',
      'dir/a.png': 'A',
      'b.png': 'A',
      'dir/c.png': 'A',
      'dir/d.png': 'A',
      './e.png': 'A',
    });
    expect(listing.problem).toBeUndefined();
  });

  test('that lead nowhere, out of it, or in a circle are listed with what is wrong', async () => {
    const listing = await list(
      Buffer.concat([
        file('a.png'),
        softLink('gone.png', 'b.png'),
        softLink('out.png', '/etc/passwd'),
        softLink('up.png', '../../a.png'),
        softLink('x.png', 'y.png'),
        softLink('y.png', 'x.png'),
        softLink('self.png', 'self.png'),
        hardLink('hard.png', 'nothing.png'),
        archiveEnd,
      ]),
    );
    const said = pictures(listing);
    expect(said['a.png']).toBe('a.png');
    for (const name of ['gone', 'out', 'up', 'hard'])
      expect(said[`${name}.png`]).toMatch(/^! it is a link to ".*", which the archive does not hold$/);
    for (const name of ['x', 'y', 'self'])
      expect(said[`${name}.png`]).toBe('! it is a link that leads back to itself');
  });
});

test('hidden files and those that macOS adds are no pictures; others are left out, and named', async () => {
  const names = [
    '._a.jpg',
    '__MACOSX/._a.jpg',
    '.hidden/a.jpg',
    'x/.a.jpg',
    './a.jpg',
    '..b.jpg',
    'a.cls',
    'x/notes.txt',
  ];
  const listing = await list(
    Buffer.concat([...names.map((name) => file(name)), typed('5', 'x/'), archiveEnd]),
  );
  expect(Object.keys(pictures(listing))).toEqual(['./a.jpg']);
  expect(listing.others.map(({ name }) => name)).toEqual(['a.cls', 'x/notes.txt']);
});

test('sparse files are listed as what they are', async () => {
  const pax = typed('x', 'PaxHeader', Buffer.from('22 GNU.sparse.major=1\n28 GNU.sparse.name=real.png\n'));
  const listing = await list(
    Buffer.concat([typed('S', 'old.png', picture('x')), pax, file('s.png'), archiveEnd]),
  );
  expect(pictures(listing)).toEqual({
    'old.png': '! it is stored as a sparse file, which is not read',
    'real.png': '! it is stored as a sparse file, which is not read',
  });
});

describe('damage', () => {
  test('costs what follows, and says where it is', async () => {
    const bad = withHeader('b.png', picture('B'), (header) => header.write('-0000001000', 124, 'latin1'));
    const listing = await list(Buffer.concat([file('a.png'), bad, file('c.png'), archiveEnd]));
    expect(pictures(listing)).toEqual({ 'a.png': 'a.png' });
    expect(listing.problem).toBe('damaged header at byte 1024');
  });

  test.each<[string, Uint8Array, RegExp]>([
    ['nothing', new Uint8Array(), /^$/],
    ['text', Buffer.from('no archive '.repeat(100)), /^damaged header at byte 0$/],
    ['xz', Buffer.from('\xfd7zXZ\0', 'latin1'), /^it is compressed with xz; unpack it first$/],
    ['zip', Buffer.from('PK\x03\x04'), /^it is a zip archive/],
  ])('%s is no archive', async (_, bytes, message) => {
    expect((await list(bytes)).problem ?? '').toMatch(message);
  });

  test('no file, a folder, a pipe', async () => {
    const problem = async (path: string) =>
      (await listArchive(path, () => Promise.reject(new Error('unpacked')))).problem;
    expect(await problem(join(folder, 'none.tar'))).toBe('there is no such file');
    expect(await problem(folder)).toBe('it is a folder');
    if (existsSync('/dev/zero')) expect(await problem('/dev/zero')).toBe('it is a device, not a file');
  });
});

describe('compressed', () => {
  const tar = Buffer.concat([file('a.png', 'A'), file('b.png', 'B'), archiveEnd]);

  test('is told by its first bytes, whatever it is called', async () => {
    for (const name of ['a.tar.gz', 'a.tgz', 'a.tar'])
      expect(pictures(await list(gzipSync(tar), name))).toEqual({ 'a.png': 'A', 'b.png': 'B' });
    const parts = Buffer.concat([gzipSync(tar.subarray(0, 700)), gzipSync(tar.subarray(700))]);
    expect(pictures(await list(parts))).toEqual({ 'a.png': 'A', 'b.png': 'B' });
  });

  test('what is there of one that is cut off is read', async () => {
    const noise = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * i * 31 + (i >> 3)) & 255));
    const bytes = gzipSync(Buffer.concat([file('a.png', 'A'), encodeMember('b.png', noise), archiveEnd]));
    const listing = await list(bytes.subarray(0, bytes.length - 100));
    expect(pictures(listing)['a.png']).toBe('A');
    expect(listing.problem).toBe('its compressed bytes are damaged or cut off');
  });
});
