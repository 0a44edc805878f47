import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GradcamppError } from '../../src/errors.js';
import { naturalOrder } from '../../src/image/natural-order.js';
import { expandSources } from '../../src/image/sources.js';

const files = [
  'photos/img10.png',
  'photos/img2.jpg',
  'photos/IMG1.JPEG',
  'photos/notes.txt',
  'photos/map.npy',
  'photos/.hidden.png',
  'photos/.cache/a.png',
  'photos/b/x.webp',
  'photos/b/deep/er/y.tiff',
  'photos/a.avif',
  'photos/c[1].gif',
  'empty/readme.md',
  'tensors/2.npy',
  'tensors/10.npy',
  'odd {name}.png',
];
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gradcampp-sources-'));
  for (const file of files) {
    await mkdir(join(folder, file, '..'), { recursive: true });
    await writeFile(join(folder, file), '');
  }
});
afterAll(() => rm(folder, { recursive: true }));

/** The expansion of arguments under the folder, as paths under the folder with slashes. */
async function expand(...sources: string[]): Promise<string[]> {
  const found = await all(sources.map((source) => (source === '-' ? source : `${folder}/${source}`)));
  return found.map((path) => path.slice(folder.length + 1).replaceAll('\\', '/'));
}

async function all(sources: string[], stdin?: Iterable<string | Uint8Array>): Promise<string[]> {
  const found: string[] = [];
  for await (const path of expandSources(sources, { stdin: stdin && Readable.from(stdin) })) found.push(path);
  return found;
}

describe('results of an earlier run', () => {
  const names = ['cat.png', 'cat.overlay.png', 'out/run.json', 'out/cat.overlay.png', 'out/b/cat.0.map.png'];
  beforeAll(async () => {
    for (const name of [...names, 'out/other.png']) {
      await mkdir(join(folder, 'again', name, '..'), { recursive: true });
      await writeFile(join(folder, 'again', name), '');
    }
  });
  const pictures = ['again/cat.overlay.png', 'again/cat.png', 'again/out/other.png'];

  test('are no pictures to explain, in folders and under **', async () => {
    expect(await expand('again')).toEqual(pictures);
    expect((await expand('again/**/*.png')).sort()).toEqual(pictures);
  });

  test('are taken where they are named', async () => {
    expect(await expand('again/out/*.overlay.png')).toEqual(['again/out/cat.overlay.png']);
    expect(await expand('again/out/b/cat.0.map.png')).toEqual(['again/out/b/cat.0.map.png']);
  });
});

describe('naturalOrder', () => {
  test('numbers by value, letters by code, zeros in front last of all', () => {
    const names = [
      'b',
      'img10',
      'img2',
      'img02',
      'a10b',
      'a9z',
      'a',
      '',
      'é',
      'Z',
      '2',
      '10',
      '010',
      '9007199254740993',
      '9007199254740992',
    ];
    expect(names.toSorted(naturalOrder)).toEqual([
      '',
      '2',
      '010',
      '10',
      '9007199254740992',
      '9007199254740993',
      'Z',
      'a',
      'a9z',
      'a10b',
      'b',
      'img02',
      'img2',
      'img10',
      'é',
    ]);
    for (const a of names)
      for (const b of names) expect(Math.sign(naturalOrder(a, b)) + Math.sign(naturalOrder(b, a))).toBe(0);
  });
});

describe('expandSources', () => {
  test('files are themselves, in the order given, whatever they are', async () => {
    const named = ['photos/notes.txt', 'photos/img2.jpg', 'missing.png', 'photos/img2.jpg', 'tensors/2.npy'];
    expect(await expand(...named)).toEqual(named);
    expect(await all([])).toEqual([]);
  });

  test('a folder is its pictures, with those of its folders, in natural order, without hidden names', async () => {
    expect(await expand('photos')).toEqual([
      'photos/IMG1.JPEG',
      'photos/a.avif',
      'photos/b/deep/er/y.tiff',
      'photos/b/x.webp',
      'photos/c[1].gif',
      'photos/img2.jpg',
      'photos/img10.png',
    ]);
    expect(await expand('photos/b/', 'photos/b')).toHaveLength(4);
  });

  test.each<[string, string[]]>([
    ['photos/*.png', ['photos/img10.png']],
    ['photos/img?.jpg', ['photos/img2.jpg']],
    ['photos/img*', ['photos/img2.jpg', 'photos/img10.png']],
    ['photos/*.{png,jpg}', ['photos/img10.png', 'photos/img2.jpg']],
    ['photos/img{2,10}.{jpg,png}', ['photos/img2.jpg', 'photos/img10.png']],
    ['photos/[a-b]*', ['photos/a.avif', 'photos/b/deep/er/y.tiff', 'photos/b/x.webp']],
    ['photos/[!a-z]*', ['photos/IMG1.JPEG']],
    ['photos/.h*', ['photos/.hidden.png']],
    ['**/*.tiff', ['photos/b/deep/er/y.tiff']],
    ['photos/**/x.webp', ['photos/b/x.webp']],
    [
      'photos/**',
      [
        'photos/IMG1.JPEG',
        'photos/a.avif',
        'photos/c[1].gif',
        'photos/img2.jpg',
        'photos/img10.png',
        'photos/map.npy',
        'photos/b/x.webp',
        'photos/b/deep/er/y.tiff',
      ],
    ],
    ['**/deep/**/*', ['photos/b/deep/er/y.tiff']],
    ['tensors/*.npy', ['tensors/2.npy', 'tensors/10.npy']],
    ['*/b/x.webp', ['photos/b/x.webp']],
    ['./photos/./b/*.webp', ['photos/b/x.webp']],
    ['photos/c[1].gif', ['photos/c[1].gif']], // there is a file of that very name
    ['photos/c\\[*.gif', ['photos/c[1].gif']],
    ['odd {name}.png', ['odd {name}.png']],
    ['odd {name}*', ['odd {name}.png']],
  ])('%s', async (pattern, expected) => {
    expect(await expand(pattern)).toEqual(expected);
  });

  test('what holds no picture is an error before anything else comes out', async () => {
    for (const [source, message] of [
      ['empty', 'holds no pictures (.png, .apng, .jpg,'],
      ['tensors', '.npy tensors are taken by name or pattern.'],
      ['photos/*.bmp', 'No picture matches'],
      ['photos/no*', 'No picture matches'],
      ['photos/[z-a]*', 'The pattern "[z-a]*" has a bad [set].'],
    ]) {
      const sources = [join(folder, 'photos/img2.jpg'), `${folder}/${source}`];
      const first = expandSources(sources).next();
      await expect(first).rejects.toThrow(message);
      await expect(expandSources(sources).next()).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    }
    await expect(expandSources(['-', '-']).next()).rejects.toBeInstanceOf(GradcamppError);
  });

  test('"-" is a list, in any pieces', async () => {
    const list = 'a.png\r\n\n  spaced .png\nü.jpg\nlast.png';
    const expected = ['a.png', '  spaced .png', 'ü.jpg', 'last.png'];
    expect(await all(['-'], [list])).toEqual(expected);
    expect(
      await all(
        ['-'],
        Array.from(Buffer.from(list), (byte) => Buffer.of(byte)),
      ),
    ).toEqual(expected);
    expect(await all(['x.png', '-', 'y.png'], ['b.png\n'])).toEqual(['x.png', 'b.png', 'y.png']);
    expect(await all(['-'], [])).toEqual([]);
  });

  test.skipIf(process.platform === 'win32')(
    'links are followed, circles are not, dangling ones are kept',
    async () => {
      const links = join(folder, 'links');
      await mkdir(join(links, 'sub'), { recursive: true });
      await writeFile(join(links, 'one.png'), '');
      await symlink(join(folder, 'photos/b'), join(links, 'elsewhere'));
      await symlink('..', join(links, 'sub', 'up'));
      await symlink('nowhere.png', join(links, 'dangling.png'));
      expect(await expand('links')).toEqual([
        'links/dangling.png',
        'links/elsewhere/deep/er/y.tiff',
        'links/elsewhere/x.webp',
        'links/one.png',
      ]);
      expect(await expand('links/**/*.png')).toEqual(['links/dangling.png', 'links/one.png']);
    },
  );
});
