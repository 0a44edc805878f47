import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readMask } from '../../../src/evaluate/annotations/mask-region.js';
import { masks } from '../../../src/evaluate/annotations/mask-pictures.js';
import { pngFile } from '../../image/pictures.js';
import { openDataSets, picture } from '../data-set.js';

let sets: Awaited<ReturnType<typeof openDataSets>>;
beforeAll(async () => {
  sets = await openDataSets();
});
afterAll(() => sets.remove());

/** The left half of 4 × 2. */
const left = [1, 1, 0, 0, 1, 1, 0, 0];
const grey = (inside: number, outside: number) =>
  sharp(Buffer.from(left.map((value) => (value ? inside : outside))), {
    raw: { width: 4, height: 2, channels: 1 },
  });
const colours = (inside: readonly number[], outside: readonly number[]) =>
  sharp(Buffer.from(left.flatMap((value) => (value ? inside : outside))), {
    raw: { width: 4, height: 2, channels: inside.length as 3 },
  });
const png = (depth: 1 | 2 | 16, inside: number, outside = 0) => ({
  toBuffer: async () =>
    pngFile({ width: 4, height: 2, depth, colourType: 0, sample: (x) => (x < 2 ? inside : outside) }),
});

async function read(file: { toBuffer(): Promise<Buffer> }, name = 'mask.png') {
  await sets.write({ [name]: await file.toBuffer() });
  return readMask(join(sets.folder, name));
}

describe('masks', () => {
  it.each<[string, () => { toBuffer(): Promise<Buffer> }]>([
    ['black and white', () => grey(255, 0).png()],
    ['0 and 1', () => grey(1, 0).png()],
    ['0 and 7', () => grey(7, 0).png()],
    ['light and dark grey', () => grey(200, 90).png()],
    ['a JPEG', () => grey(250, 3).resize(40, 20, { kernel: 'nearest' }).jpeg()],
    ['a palette of one colour', () => colours([0, 128, 0], [0, 0, 0]).png({ palette: true })],
    ['dark red', () => colours([64, 0, 0], [0, 0, 0]).png()],
    ['16 bits', () => png(16, 65_535)],
    ['16 bits of 0 and 1', () => png(16, 1)],
    ['1 bit', () => png(1, 1)],
    ['2 bits of 0 and 1', () => png(2, 1)],
    ['white where it can be seen', () => colours([255, 255, 255, 255], [255, 255, 255, 0]).png()],
    ['black where it can be seen', () => colours([0, 0, 0, 255], [0, 0, 0, 0]).png()],
    ['white on black, nothing transparent', () => colours([255, 255, 255, 255], [0, 0, 0, 255]).png()],
    ['white on transparent black', () => colours([255, 255, 255, 255], [0, 0, 0, 0]).png()],
    ['a lossless WebP', () => colours([255, 255, 255], [0, 0, 0]).webp({ lossless: true })],
  ])('may be %s', async (_, file) => {
    const { data, width, height } = await read(file());
    const expected = Array.from({ length: width * height }, (_, p) => (p % width < width / 2 ? 1 : 0));
    expect([...data]).toEqual(expected);
    expect(width / height).toBe(2);
  });

  it('may mark nothing, or all', async () => {
    expect([...(await read(grey(0, 0).png())).data]).toEqual(left.map(() => 0));
    expect([...(await read(grey(255, 255).png())).data]).toEqual(left.map(() => 1));
    expect([...(await read(colours([9, 9, 9, 255], [9, 9, 9, 255]).png())).data]).toEqual(left.map(() => 1));
  });

  it('must be pictures', async () => {
    await sets.write({ 'text.png': 'no picture' });
    await expect(readMask(join(sets.folder, 'text.png'))).rejects.toMatchObject({
      code: 'INVALID_IMAGE',
      message: expect.stringContaining('text.png" cannot be read'),
    });
    await expect(readMask(join(sets.folder, 'none.png'))).rejects.toThrow('there is no such file');
  });
});

describe('folders of masks', () => {
  const entries = async (set: string, images: readonly string[]) => {
    const { classes, entries: found } = await masks.read(join(sets.folder, set, 'masks'), images);
    return {
      classes,
      found: await Promise.all(
        found.map(async ({ picture, read }) => [picture, Object.keys((await read()).masks ?? {})]),
      ),
    };
  };

  it('hold masks of any class, and of each class in its folder', async () => {
    await sets.write({
      'any/masks/a.png': picture,
      'any/masks/thing/a.png': picture,
      'any/masks/thing/b.jpg': picture,
      'any/masks/other/a.png': picture,
    });
    expect(await entries('any', ['any/images/a.jpg', 'any/images/b.jpg'])).toEqual({
      classes: ['', 'other', 'thing'],
      found: [
        ['a.*', ['', 'other', 'thing']],
        ['b.*', ['thing']],
      ],
    });
  });

  it('may lie as the pictures do, with classes above or without', async () => {
    await sets.write({ 'deep/masks/train/a.png': picture, 'deep/masks/thing/train/a.png': picture });
    expect(await entries('deep', ['deep/images/train/a.jpg', 'deep/images/val/a.jpg'])).toEqual({
      classes: ['thing', ''],
      found: [['train/a.*', ['thing', '']]],
    });
  });
});
