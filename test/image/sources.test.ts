import { writeFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GradcamppError } from '../../src/errors.js';
import { naturalOrder } from '../../src/image/listing.js';
import { expandSources } from '../../src/image/sources.js';
import { processorTime } from '../support/processor-time.js';

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
  test('numbers by value, letters as people sort them, no two names equal', () => {
    const names = [
      'b',
      'img10',
      'Img2',
      'img02',
      'img2',
      'a10b',
      'a9z',
      'a',
      '',
      'é',
      'Z',
      '2',
      '10',
      '010',
      'A',
    ];
    expect(names.toSorted(naturalOrder)).toEqual([
      '',
      '2',
      '010',
      '10',
      'a',
      'A',
      'a9z',
      'a10b',
      'b',
      'é',
      'img02',
      'img2',
      'Img2',
      'img10',
      'Z',
    ]);
    for (const a of names)
      for (const b of names) {
        expect(Math.sign(naturalOrder(a, b)) + Math.sign(naturalOrder(b, a))).toBe(0);
        expect(naturalOrder(a, b) === 0).toBe(a === b);
      }
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
      'photos/a.avif',
      'photos/b/deep/er/y.tiff',
      'photos/b/x.webp',
      'photos/c[1].gif',
      'photos/IMG1.JPEG',
      'photos/img2.jpg',
      'photos/img10.png',
    ]);
    expect(await expand('photos/b/', 'photos/b')).toHaveLength(4);
  });

  test.each<[string, string[]]>([
    ['photos/*.png', ['photos/img10.png']],
    ['photos/img?.jpg', ['photos/img2.jpg']],
    ['photos/img*', ['photos/img2.jpg', 'photos/img10.png']],
    ['photos/*.{png,jpg}', ['photos/img2.jpg', 'photos/img10.png']],
    ['photos/img{2,10}.{jpg,png}', ['photos/img2.jpg', 'photos/img10.png']],
    ['photos/[a-b]*', ['photos/a.avif', 'photos/b/deep/er/y.tiff', 'photos/b/x.webp']],
    ['photos/[!a-z]*', ['photos/IMG1.JPEG']],
    ['photos/.h*', ['photos/.hidden.png']],
    ['**/*.tiff', ['photos/b/deep/er/y.tiff']],
    ['photos/**/x.webp', ['photos/b/x.webp']],
    [
      'photos/**',
      [
        'photos/a.avif',
        'photos/b/deep/er/y.tiff',
        'photos/b/x.webp',
        'photos/c[1].gif',
        'photos/IMG1.JPEG',
        'photos/img2.jpg',
        'photos/img10.png',
        'photos/map.npy',
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
      ['tensors', '2 files are left out, as'],
      ['photos/*.bmp', 'No picture matches'],
      ['photos/no*', 'No picture matches'],
      ['photos/[z-a]*', 'No picture matches'],
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

  test('a list without line breaks is refused before it is read to its end; a byte-order mark is none of a name', async () => {
    let given = 0;
    function* endless() {
      for (;;) {
        given++;
        yield Buffer.alloc(4096, 'x');
      }
    }
    await expect(all(['-'], endless())).rejects.toThrow(
      'Standard input must be a list of paths, one a line; it has a line of more than 32768 characters.',
    );
    expect(given).toBeLessThan(50);
    expect(await all(['-'], [Buffer.from('\uFEFFa.png\nb.png')])).toEqual(['a.png', 'b.png']);
  });

  test('what is left out of folders and patterns is told, with why', async () => {
    const mixed = join(folder, 'mixed');
    await mkdir(join(mixed, 'sub'), { recursive: true });
    for (const name of [
      'a.jpg',
      'IMG_1.HEIC',
      'b.bmp',
      'c.jp2',
      'd.pgm',
      'notes',
      'sub/e.svg',
      '.hidden',
      'f.npy',
    ])
      await writeFile(join(mixed, name), '');
    const skippedOf = async (source: string) => {
      const skipped: Record<string, string> = {};
      const onSkipped = (path: string, reason: string) =>
        void (skipped[path.slice(mixed.length + 1)] = reason);
      for await (const path of expandSources([source], { onSkipped }))
        expect(path).toMatch(/a\.jpg$|f\.npy$/);
      return skipped;
    };
    const named = {
      'b.bmp': 'it is a BMP picture, which is not read',
      'c.jp2': 'it is a JPEG 2000 picture, which is not read',
      'd.pgm': 'it is a Netpbm picture, which is not read',
      'IMG_1.HEIC': 'it is a HEIC picture, which is not read',
      notes: 'its name has no extension of a picture',
      'sub/e.svg': 'it is an SVG drawing, which is not read',
    };
    expect(await skippedOf(mixed)).toEqual({
      ...named,
      'f.npy': '.npy tensors are taken by name or pattern',
    });
    expect(await skippedOf(`${mixed}/*`)).toEqual(named);
    await expect(all([join(mixed, 'sub')])).rejects.toThrow(
      /holds no pictures \(\.png.*\); one file is left out, as ".*e\.svg": it is an SVG drawing, which is not read\.$/,
    );
  });

  test('many names are listed in seconds', async () => {
    const many = join(folder, 'many');
    await mkdir(many);
    for (let i = 0; i < 20_000; i++) writeFileSync(join(many, `${(i * 4_831) % 20_000}.jpg`), '');
    const start = processorTime();
    const found = await all([many]);
    expect(processorTime() - start).toBeLessThan(10_000); // a fraction of a second
    expect(found).toHaveLength(20_000);
    expect(found.slice(0, 12).map((path) => basename(path))).toEqual(
      Array.from({ length: 12 }, (_, i) => `${i}.jpg`),
    );
    await rm(many, { recursive: true });
  }, 120_000);

  test.skipIf(process.platform === 'win32')(
    'links are followed, circles are not, dangling ones are kept',
    async () => {
      const links = join(folder, 'links');
      await mkdir(join(links, 'sub'), { recursive: true });
      await writeFile(join(links, 'one.png'), '');
      await symlink(join(folder, 'photos/b'), join(links, 'elsewhere'));
      await symlink('..', join(links, 'sub', 'up'));
      await symlink('nowhere.png', join(links, 'dangling.png'));
      await symlink('../../links', join(links, 'sub', 'again'));
      expect(await expand('links')).toEqual([
        'links/dangling.png',
        'links/elsewhere/deep/er/y.tiff',
        'links/elsewhere/x.webp',
        'links/one.png',
      ]);
      expect(await expand('links/**/*.png')).toEqual(['links/dangling.png', 'links/one.png']);
      expect(await expand('links/*')).toEqual(await expand('links'));
      expect(await expand('links/*/x.webp')).toEqual(['links/elsewhere/x.webp']);
    },
  );

  test.skipIf(process.platform === 'win32' || process.getuid?.() === 0)(
    'a folder that may not be read is an error, below a pattern it is left out (skipped where the user may read all)',
    async () => {
      const closed = join(folder, 'closed');
      await mkdir(join(closed, 'in'), { recursive: true });
      await writeFile(join(closed, 'a.png'), '');
      await chmod(join(closed, 'in'), 0);
      await expect(all([closed])).rejects.toThrow('cannot be read: permission denied');
      const skipped: string[] = [];
      const onSkipped = (_: string, reason: string) => void skipped.push(reason);
      for await (const path of expandSources([`${closed}/**/*.png`], { onSkipped }))
        expect(path).toContain('a.png');
      expect(skipped).toEqual(['it cannot be read: permission denied']);
      await chmod(join(closed, 'in'), 0o755);
    },
  );

  test.skipIf(process.platform === 'win32')(
    'a folder whose name holds a line break is named, never passed over (skipped where names cannot)',
    async () => {
      const broken = join(folder, 'broken');
      await mkdir(join(broken, 'one\ntwo', 'in'), { recursive: true });
      await writeFile(join(broken, 'one\ntwo', 'in', 'a.png'), '');
      await writeFile(join(broken, 'b\nc.png'), '');
      const reason = 'a folder whose name holds a line break is not looked into; rename it';
      await expect(all([broken])).rejects.toThrow(`one\\ntwo" cannot be read: ${reason}.`);
      const skipped: string[] = [];
      const onSkipped = (_: string, why: string) => void skipped.push(why);
      const found: string[] = [];
      for await (const path of expandSources([`${broken}/**/*.png`], { onSkipped })) found.push(path);
      expect(found).toEqual([join(broken, 'b\nc.png')]);
      expect(skipped).toEqual([`it cannot be read: ${reason}`]);
    },
  );
});
