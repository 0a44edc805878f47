import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GradcamppError } from '../../src/errors.js';
import { decodeImage, type ImageSource } from '../../src/image/decode.js';
import { encodePng } from '../../src/image/encode.js';
import type { AnyPixels } from '../../src/image/pixels.js';
import { digest, pattern } from './pictures.js';

async function messageOf(source: unknown, options: object = {}): Promise<string> {
  const error = await decodeImage(source as ImageSource, options).then(
    () => undefined,
    (cause: unknown) => cause,
  );
  expect(error).toBeInstanceOf(GradcamppError);
  expect((error as GradcamppError).code).toBe('INVALID_IMAGE');
  expect((error as GradcamppError).message).not.toContain('\n');
  return (error as GradcamppError).message;
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gradcampp-decode-'));
});
afterAll(() => rm(folder, { recursive: true }));

// 24×16 pixels: red x·255/23, green y·255/15, blue a chequerboard. Saved and decoded by Pillow 12.3
// (quality 80, optimize), decoded as RGB there; the second with EXIF orientation 6 and `exif_transpose`.
const jpeg = Buffer.from(
  '/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAYEBQYFBAYGBQYHBwYIChAKCgkJChQODwwQFxQYGBcUFhYaHSUfGhsjHBYWICwgIyYnKSopGR8tMC0oMCUoKSj/2wBDAQcHBwoIChMKChMoGhYaKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCj/wAARCAAQABgDASIAAhEBAxEB/8QAGAAAAgMAAAAAAAAAAAAAAAAAAAcEBgj/xAAZEAABBQAAAAAAAAAAAAAAAAAABAYiMaH/xAAWAQEBAQAAAAAAAAAAAAAAAAAFAwf/xAApEQAAAgQPAQAAAAAAAAAAAAAAEQQFBhMBAxIWISIjMTNBYYKRotHi/9oADAMBAAIRAxEAPwBLoG3UML8gbdQwZCBt1DCQgbdQwolL2bWbx5tKTyZnpcBlE0r4qSILdA26hgGhkDbqGABRiurY/X6GroTW2UHo/9k=',
  'base64',
);
const turned = Buffer.from(
  '/9j/4AAQSkZJRgABAQAAAQABAAD/4QAiRXhpZgAATU0AKgAAAAgAAQESAAMAAAABAAYAAAAAAAD/2wBDAAYEBQYFBAYGBQYHBwYIChAKCgkJChQODwwQFxQYGBcUFhYaHSUfGhsjHBYWICwgIyYnKSopGR8tMC0oMCUoKSj/2wBDAQcHBwoIChMKChMoGhYaKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCj/wAARCAAQABgDASIAAhEBAxEB/8QAGAAAAgMAAAAAAAAAAAAAAAAAAAcEBgj/xAAZEAABBQAAAAAAAAAAAAAAAAAABAYiMaH/xAAWAQEBAQAAAAAAAAAAAAAAAAAFAwf/xAApEQAAAgQPAQAAAAAAAAAAAAAAEQQFBhMBAxIWISIjMTNBYYKRotHi/9oADAMBAAIRAxEAPwBLoG3UML8gbdQwZCBt1DCQgbdQwolL2bWbx5tKTyZnpcBlE0r4qSILdA26hgGhkDbqGABRiurY/X6GroTW2UHo/9k=',
  'base64',
);
// 8×8 pixels of CMYK (0, 200, 255, 20), as Photoshop stores them (inverted), by Pillow 12.3.
const cmyk = Buffer.from(
  '/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwADAgIDAgIDAwMDBAMDBAUIBQUEBAUKBwcGCAwKDAwLCgsLDQ4SEA0OEQ4LCxAWEBETFBUVFQwPFxgWFBgSFBUU/8AAFAgACAAIBEMRAE0RAFkRAEsRAP/EABUAAQEAAAAAAAAAAAAAAAAAAAkI/8QAFBABAAAAAAAAAAAAAAAAAAAAAP/aAA4EQwBNAFkASwAAPwBU0eCqI6//2Q==',
  'base64',
);

describe('JPEG', () => {
  test('the pixels are those of Pillow, upright', async () => {
    const picture = await decodeImage(jpeg);
    expect([picture.width, picture.height, digest(picture.data)]).toEqual([24, 16, '39c99d9e59b767e9']);
    expect(picture.data.constructor).toBe(Uint8Array);
    const upright = await decodeImage(turned);
    expect([upright.width, upright.height, digest(upright.data)]).toEqual([16, 24, '5f69e3f8f9b5298e']);
  });

  test('a picture of more pixels than allowed names its size', async () => {
    expect(await messageOf(jpeg, { maxPixels: 383, name: 'big.jpg' })).toBe(
      '"big.jpg" cannot be read as a picture: it has 24 × 16 pixels, and the limit maxPixels is 383; make it smaller first.',
    );
    expect((await decodeImage(jpeg, { maxPixels: 384 })).width).toBe(24);
  });

  test('several at once', async () => {
    const all = await Promise.all(Array.from({ length: 8 }, (_, i) => decodeImage(i % 2 ? jpeg : turned)));
    expect(all.map(({ data }) => digest(data))).toEqual(
      all.map((_, i) => (i % 2 ? '39c99d9e59b767e9' : '5f69e3f8f9b5298e')),
    );
  });
});

describe('every format', () => {
  const make = (picture: AnyPixels) =>
    sharp(picture.data as Uint8Array, {
      raw: { width: picture.width, height: picture.height, channels: picture.channels },
    });
  const colours = pattern(31, 22);

  test('grey, progressive and large JPEGs have the pixels that sharp gives', async () => {
    const flat = { width: 5000, height: 6000, channels: 3, background: '#4080c0' } as const;
    for (const file of [
      make(colours).grayscale().jpeg(),
      make(colours).jpeg({ progressive: true, chromaSubsampling: '4:4:4' }),
      sharp({ create: flat }).jpeg(), // takes more memory than is kept
      make(colours).jpeg(),
    ]) {
      const bytes = await file.toBuffer();
      const { data } = await decodeImage(bytes);
      expect(Buffer.from(data).equals(await sharp(bytes).toColourspace('srgb').raw().toBuffer())).toBe(true);
    }
  });

  test.each([1, 2, 3, 4, 5, 6, 7, 8])(
    'EXIF orientation %i: JPEG, TIFF and WebP as PNG',
    async (orientation) => {
      const tagged = () => make(colours).withMetadata({ orientation });
      const png = await decodeImage(await tagged().png().toBuffer()); // held to a formula in png.test.ts
      expect([png.width, png.height]).toEqual(orientation > 4 ? [22, 31] : [31, 22]);
      expect(await decodeImage(await tagged().tiff({ compression: 'lzw' }).toBuffer())).toEqual(png);
      expect(await decodeImage(await tagged().webp({ lossless: true }).toBuffer())).toEqual(png);
      const lossy = await decodeImage(
        await tagged().jpeg({ quality: 100, chromaSubsampling: '4:4:4' }).toBuffer(),
      );
      expect([lossy.width, lossy.height]).toEqual([png.width, png.height]);
      const errors = lossy.data.map((value, i) => Math.abs(value - png.data[i]));
      expect(errors.reduce((sum, value) => sum + value, 0) / errors.length).toBeLessThan(2);
    },
  );

  test('lossless formats give back the pixels', async () => {
    for (const encoded of [
      make(colours).png({ progressive: true }),
      make(colours).png({ compressionLevel: 1, adaptiveFiltering: true }),
      make(colours).webp({ lossless: true }),
      make(colours).tiff({ compression: 'deflate' }),
      make(colours).avif({ lossless: true, chromaSubsampling: '4:4:4' }),
    ])
      expect(await decodeImage(await encoded.toBuffer())).toEqual(colours);
  });

  test('16 bits a channel, with and without alpha, in TIFF and PNG', async () => {
    for (const depth of ['rgb16', 'srgb'] as const) {
      expect(
        await decodeImage(await make(colours).toColourspace(depth).tiff({ compression: 'lzw' }).toBuffer()),
      ).toEqual(colours);
      expect(await decodeImage(await make(colours).toColourspace(depth).png().toBuffer())).toEqual(colours);
    }
    const half: AnyPixels = {
      data: Uint8Array.from({ length: 64 }, (_, i) => [200, 100, 0, 128][i % 4]),
      width: 4,
      height: 4,
      channels: 4,
    };
    const expected = (await decodeImage(half)).data;
    expect([...expected.subarray(0, 3)]).toEqual([227, 177, 127]);
    for (const encoded of [
      make(half).webp({ lossless: true }),
      make(half).tiff({ compression: 'lzw' }),
      make(half).toColourspace('rgb16').tiff({ compression: 'lzw' }),
      make(half).toColourspace('rgb16').png(),
    ])
      expect((await decodeImage(await encoded.toBuffer())).data).toEqual(expected);
  });

  test('grey, two levels, GIF with a transparent colour, and its first frame', async () => {
    const grey: AnyPixels = {
      data: Uint8Array.from({ length: 96 }, (_, i) => i * 2),
      width: 12,
      height: 8,
      channels: 1,
    };
    const expected = (await decodeImage(grey)).data;
    const tiff = await make(grey).toColourspace('b-w').tiff({ compression: 'lzw' }).toBuffer();
    expect((await decodeImage(tiff)).data).toEqual(expected);
    const bilevel = await make(grey)
      .toColourspace('b-w')
      .tiff({ bitdepth: 1, compression: 'none' })
      .toBuffer();
    expect(new Set((await decodeImage(bilevel)).data)).toEqual(new Set([0, 255]));
    const flag: AnyPixels = {
      data: Uint8Array.from({ length: 64 }, (_, i) => (i < 32 ? [255, 0, 0, 255] : [0, 0, 255, 0])[i % 4]),
      width: 4,
      height: 4,
      channels: 4,
    };
    const gif = await decodeImage(await make(flag).gif().toBuffer());
    expect([...gif.data.subarray(0, 3), ...gif.data.subarray(45)]).toEqual([255, 0, 0, 255, 255, 255]);
    const frames = await sharp(Buffer.concat([Buffer.alloc(48, 10), Buffer.alloc(48, 250)]), {
      raw: { width: 4, height: 8, channels: 3, pageHeight: 4 },
    })
      .gif({ delay: [100, 100] })
      .toBuffer();
    const first = await decodeImage(frames);
    expect([first.width, first.height, first.data[0]]).toEqual([4, 4, 10]);
  });

  test('CMYK is near what Pillow makes of it', async () => {
    const { data, width, height } = await decodeImage(cmyk);
    expect([width, height]).toEqual([8, 8]);
    // Pillow: (235, 51, 0), by formula; libvips' profile is of real inks.
    expect(data[0]).toBeGreaterThan(190);
    expect(data[1]).toBeGreaterThan(30);
    expect(data[1]).toBeLessThan(110);
    expect(data[2]).toBeLessThan(60);
  });

  test('an embedded profile changes nothing', async () => {
    const plain = await make(colours).webp({ lossless: true }).toBuffer();
    const tagged = await sharp(plain).withIccProfile('p3').webp({ lossless: true }).toBuffer();
    const raw = await sharp(tagged, { ignoreIcc: true }).raw().toBuffer();
    expect((await sharp(tagged).metadata()).icc).toBeDefined();
    expect(Buffer.from((await decodeImage(tagged)).data).equals(raw)).toBe(true);
  });
});

describe('sources', () => {
  test('paths, file URLs, bytes and pixels', async () => {
    const picture = pattern(3, 2);
    const path = join(folder, 'named like a.jpg'); // the bytes decide, not the name
    await writeFile(path, encodePng(picture));
    expect(await decodeImage(path)).toEqual(picture);
    expect(await decodeImage(pathToFileURL(path))).toEqual(picture);
    expect(await decodeImage(new Uint8Array(encodePng(picture)))).toEqual(picture);
    expect(await decodeImage(picture)).toEqual(picture);
  });

  test('one pixel', async () => {
    const pixel = { data: Uint8Array.of(1, 2, 3), width: 1, height: 1, channels: 3 } as const;
    expect(await decodeImage(encodePng(pixel))).toEqual(pixel);
  });

  test('pixels of 1 to 4 channels, clamped arrays and Buffers', async () => {
    const pixel = (channels: number, ...data: number[]) =>
      decodeImage({ data: Uint8ClampedArray.from(data), width: 1, height: 1, channels } as AnyPixels);
    expect([...(await pixel(1, 9)).data]).toEqual([9, 9, 9]);
    expect([...(await pixel(2, 9, 0)).data]).toEqual([255, 255, 255]);
    expect([...(await pixel(3, 1, 2, 3)).data]).toEqual([1, 2, 3]);
    expect([...(await pixel(4, 0, 100, 200, 51)).data]).toEqual([204, 224, 244]);
    const { data } = await decodeImage({ data: Buffer.from([1, 2, 3]), width: 1, height: 1, channels: 3 });
    expect(data.constructor).toBe(Uint8Array);
  });

  test('pixels that are not what they say', async () => {
    const base = { data: new Uint8Array(12), width: 2, height: 2, channels: 3 };
    expect(await messageOf({ ...base, width: 3 }, { name: 'mine' })).toBe(
      '"mine.data" must be 3 · 2 · 3 = 18 bytes long; received Uint8Array(12).',
    );
    expect(await messageOf({ ...base, width: 0 })).toContain('"pixels.width" must be a whole number from 1');
    expect(await messageOf({ ...base, channels: 5 })).toContain('"pixels.channels"');
    expect(await messageOf({ ...base, data: [1, 2] })).toContain('"pixels.data" must be a Uint8Array');
    expect(await messageOf(null)).toContain('received null');
    expect(await messageOf(7)).toContain('A picture must be a path');
  });

  test('files that are no pictures', async () => {
    const write = async (name: string, content: string | Uint8Array) => {
      await writeFile(join(folder, name), content);
      return messageOf(join(folder, name));
    };
    const path = (name: string) => JSON.stringify(join(folder, name));
    expect(await messageOf(join(folder, 'none.png'))).toBe(
      `${path('none.png')} cannot be read as a picture: there is no such file.`,
    );
    expect(await messageOf(folder)).toContain('it is a folder');
    expect(await write('empty.png', '')).toBe(
      `${path('empty.png')} cannot be read as a picture: it is empty.`,
    );
    expect(await write('text.png', 'hello, this is text')).toBe(
      `${path('text.png')} cannot be read as a picture: it does not begin like a picture file; PNG, JPEG, WebP, GIF, TIFF and AVIF are supported.`,
    );
    expect(await write('a.svg', '<svg xmlns="http://www.w3.org/2000/svg"/>')).toContain(
      'it is an SVG drawing',
    );
    expect(await write('a.bmp', 'BM......')).toContain('it is a BMP picture');
    expect(await write('a.heic', '\0\0\0\x18ftypheic\0\0\0\0mif1heic')).toContain('it is a HEIC picture');
    expect(await write('short', '\x89P')).toContain('does not begin like');
    expect(await messageOf('a\0b.png')).toContain('cannot be read as a picture');
    expect(await messageOf(new URL('https://example.org/cat.png'))).toContain('only file: URLs are read');
  });

  test.skipIf(process.platform === 'win32')('devices and pipes are refused at once', async () => {
    expect(await messageOf('/dev/null')).toContain('it is a device, not a file');
    const pipe = join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]); // nobody writes into it
    expect(await messageOf(pipe)).toContain('it is a pipe, not a file');
  });

  test('an unknown option is refused', async () => {
    await expect(decodeImage(jpeg, { maxPixel: 3 } as object)).rejects.toThrow('Closest: "maxPixels".');
  });
});
