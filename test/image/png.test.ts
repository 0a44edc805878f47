import zlib from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { GradcamppError } from '../../src/errors.js';
import { decodeImage } from '../../src/image/decode.js';
import { encodePng } from '../../src/image/encode.js';
import type { Pixels } from '../../src/image/pixels.js';
import { exif, pattern, pngChunk, pngFile, pngHeader, type PngParts } from './pictures.js';

const [width, height] = [13, 11];

/** What every PNG below must decode to: a pixel's RGB by the samples' meaning. */
function pixelsBy(colour: (x: number, y: number) => readonly number[]): number[] {
  const out: number[] = [];
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) out.push(...colour(x, y));
  return out;
}
const sample = (x: number, y: number, c: number) => x * 37 + y * 101 + c * 59 + x * y * 7;
const toByte = (value: number, depth: number) =>
  depth === 16 ? value >> 8 : Math.round((value * 255) / (2 ** depth - 1));
const overWhite = (value: number, alpha: number) => Math.round((value * alpha + 255 * (255 - alpha)) / 255);

describe.each([false, true])('interlaced: %s', (interlaced) => {
  const file = (parts: Omit<PngParts, 'width' | 'height' | 'interlaced'>) =>
    decodeImage(pngFile({ width, height, interlaced, ...parts }));

  test.each([1, 2, 4, 8, 16] as const)('grey of %i bits', async (depth) => {
    const most = 2 ** depth - 1;
    const picture = await file({ depth, colourType: 0, sample: (x, y) => sample(x, y, 0) & most });
    expect(picture).toMatchObject({ width, height, channels: 3 });
    expect([...picture.data]).toEqual(
      pixelsBy((x, y) => Array(3).fill(toByte(sample(x, y, 0) & most, depth))),
    );
  });

  test.each([8, 16] as const)('RGB of %i bits', async (depth) => {
    const shift = depth === 16 ? 4 : 0;
    const value = (x: number, y: number, c: number) => (sample(x, y, c) << shift) & (2 ** depth - 1);
    const { data } = await file({ depth, colourType: 2, sample: value });
    expect([...data]).toEqual(pixelsBy((x, y) => [0, 1, 2].map((c) => toByte(value(x, y, c), depth))));
  });

  test.each([1, 2, 4, 8] as const)('palette of %i bits with transparent entries', async (depth) => {
    const entries = 2 ** depth;
    const palette = Uint8Array.from({ length: entries * 3 }, (_, i) => (i * 83) & 255);
    const alpha = Uint8Array.from({ length: entries - 1 }, (_, i) => (i * 57) & 255); // the last is opaque
    const index = (x: number, y: number) => sample(x, y, 0) % entries;
    const { data } = await file({
      depth,
      colourType: 3,
      sample: index,
      chunks: [
        ['PLTE', palette],
        ['tRNS', alpha],
      ],
    });
    expect([...data]).toEqual(
      pixelsBy((x, y) => {
        const i = index(x, y);
        return [0, 1, 2].map((c) => overWhite(palette[3 * i + c], alpha[i] ?? 255));
      }),
    );
  });

  test('grey with alpha, RGB with alpha, and a transparent colour, on white', async () => {
    const value = (x: number, y: number, c: number) => sample(x, y, c) & 255;
    const greyAlpha = await file({ depth: 8, colourType: 4, sample: value });
    expect([...greyAlpha.data]).toEqual(
      pixelsBy((x, y) => Array(3).fill(overWhite(value(x, y, 0), value(x, y, 1)))),
    );
    const rgba = await file({ depth: 8, colourType: 6, sample: value });
    expect([...rgba.data]).toEqual(
      pixelsBy((x, y) => [0, 1, 2].map((c) => overWhite(value(x, y, c), value(x, y, 3)))),
    );
    const key = await file({
      depth: 8,
      colourType: 0,
      sample: (x) => (x % 2 ? 40 : 41),
      chunks: [['tRNS', Uint8Array.of(0, 40)]],
    });
    expect([...key.data]).toEqual(pixelsBy((x) => Array(3).fill(x % 2 ? 255 : 41)));
  });
});

/** The stored column and row that orientation n shows at the top left, to its right, and below. */
const corners: Record<number, { size: [number, number]; from: (x: number, y: number) => [number, number] }> =
  {
    1: { size: [3, 2], from: (x, y) => [x, y] },
    2: { size: [3, 2], from: (x, y) => [2 - x, y] },
    3: { size: [3, 2], from: (x, y) => [2 - x, 1 - y] },
    4: { size: [3, 2], from: (x, y) => [x, 1 - y] },
    5: { size: [2, 3], from: (x, y) => [y, x] },
    6: { size: [2, 3], from: (x, y) => [y, 1 - x] },
    7: { size: [2, 3], from: (x, y) => [2 - y, 1 - x] },
    8: { size: [2, 3], from: (x, y) => [2 - y, x] },
  };

test.each([1, 2, 3, 4, 5, 6, 7, 8])('eXIf orientation %i', async (orientation) => {
  for (const little of [false, true]) {
    const picture = await decodeImage(
      pngFile({
        width: 3,
        height: 2,
        depth: 8,
        colourType: 2,
        sample: (x, y, c) => 100 * y + 10 * x + c,
        chunks: [['eXIf', exif(orientation, little)]],
      }),
    );
    const { size, from } = corners[orientation];
    expect([picture.width, picture.height]).toEqual(size);
    const expected: number[] = [];
    for (let y = 0; y < size[1]; y++)
      for (let x = 0; x < size[0]; x++) {
        const [column, row] = from(x, y);
        expected.push(...[0, 1, 2].map((c) => 100 * row + 10 * column + c));
      }
    expect([...picture.data]).toEqual(expected);
  }
});

test('an EXIF block that is cut off, or says 0 or 9, changes nothing', async () => {
  for (const block of [exif(6).subarray(0, 15), exif(0), exif(9), Buffer.from('no exif at all')]) {
    const parts = { width: 3, height: 2, depth: 8, colourType: 0, sample: (x: number) => x } as const;
    const picture = await decodeImage(pngFile({ ...parts, chunks: [['eXIf', block]] }));
    expect([picture.width, picture.height]).toEqual([3, 2]);
  }
});

describe('PNG files that cannot be read are one INVALID_IMAGE sentence', () => {
  const good = pngFile({
    width: 5,
    height: 4,
    depth: 8,
    colourType: 2,
    sample: (x, y, c) => 9 * x + 31 * y + c,
  });
  const signature = good.subarray(0, 8);
  const messageFor = async (bytes: Uint8Array): Promise<string> => {
    const error = await decodeImage(bytes, { name: 'a.png' }).then(
      () => undefined,
      (cause: unknown) => cause,
    );
    expect(error).toBeInstanceOf(GradcamppError);
    expect((error as GradcamppError).code).toBe('INVALID_IMAGE');
    return (error as GradcamppError).message;
  };

  test('a header of 30,000 × 30,000 pixels costs no memory', async () => {
    const before = process.memoryUsage.rss();
    const header = Buffer.concat([signature, pngChunk('IHDR', pngHeader(30_000, 30_000))]);
    const expected =
      '"a.png" cannot be read as a picture: it has 30000 × 30000 pixels, and the limit maxPixels is 100000000; make it smaller first.';
    expect(await messageFor(Buffer.concat([header, good.subarray(33)]))).toBe(expected);
    expect(process.memoryUsage.rss() - before).toBeLessThan(256 * 2 ** 20);
  });

  test('damaged in ways that are told apart', async () => {
    const without = Buffer.concat([
      signature,
      pngChunk('IHDR', pngHeader(5, 4)),
      pngChunk('IEND', Buffer.alloc(0)),
    ]);
    expect(await messageFor(without)).toContain('no pixels');
    const impossible = Buffer.from(good);
    pngChunk('IHDR', pngHeader(5, 4, 4, 2)).copy(impossible, 8); // RGB of 4 bits
    expect(await messageFor(impossible)).toContain('header is damaged');
    const empty = Buffer.from(good);
    pngChunk('IHDR', pngHeader(0, 4)).copy(empty, 8);
    expect(await messageFor(empty)).toContain('header is damaged');
    const flipped = Buffer.from(good);
    flipped[good.length - 20] ^= 1; // in IDAT: the checksum tells
    expect(await messageFor(flipped)).toContain('its data are damaged');
  });

  test('an index beyond the palette is black, as in other readers', async () => {
    const indexed = pngFile({
      width: 2,
      height: 1,
      depth: 8,
      colourType: 3,
      sample: (x) => 7 * x,
      chunks: [['PLTE', Uint8Array.of(1, 2, 3)]],
    });
    expect([...(await decodeImage(indexed)).data]).toEqual([1, 2, 3, 0, 0, 0]);
  });

  test('of 64 MiB of zeros behind a small interlaced header, what the header declares is read', async () => {
    const zeros = zlib.deflateSync(Buffer.alloc(2 ** 26));
    const bomb = Buffer.concat([
      signature,
      pngChunk('IHDR', pngHeader(8, 8, 8, 2, true)),
      pngChunk('IDAT', zeros),
      pngChunk('IEND', Buffer.alloc(0)),
    ]);
    const before = process.memoryUsage.rss();
    expect((await decodeImage(bomb)).data).toEqual(new Uint8Array(8 * 8 * 3));
    expect(process.memoryUsage.rss() - before).toBeLessThan(2 ** 24);
  });

  test('bytes after the end are ignored, and a chunk that nobody knows', async () => {
    const picture = await decodeImage(Buffer.concat([good, Buffer.from('trailing')]));
    expect([picture.width, picture.height]).toEqual([5, 4]);
    const unknown = Buffer.concat([
      good.subarray(0, 33),
      pngChunk('abCd', Buffer.from('x')),
      good.subarray(33),
    ]);
    expect((await decodeImage(unknown)).data).toEqual(picture.data);
  });
});

describe('encodePng', () => {
  test.each([
    [1, 1],
    [1, 40],
    [40, 1],
    [64, 48],
    [333, 77],
  ])('%i×%i comes back', async (width, height) => {
    const picture = pattern(width, height);
    const bytes = encodePng(picture);
    expect(await decodeImage(bytes)).toEqual(picture);
    expect(encodePng(picture).equals(bytes)).toBe(true);
  });

  test('grey, grey with alpha and RGBA come back (on white)', async () => {
    const rgb = pattern(20, 9);
    const data = rgb.data.subarray(0, 180);
    const grey = await decodeImage(encodePng({ data, width: 20, height: 9, channels: 1 }));
    expect(grey.data).toEqual(Uint8Array.from(rgb.data, (_, i) => data[Math.floor(i / 3)]));
    for (const [channels, columns] of [
      [2, 10],
      [4, 5],
    ] as const) {
      const picture = { data, width: columns, height: 9, channels };
      const expected = await decodeImage(picture);
      expect(await decodeImage(encodePng(picture))).toEqual(expected);
    }
  });

  test('a flat picture is small, noise is not much larger than its pixels', () => {
    const flat: Pixels = { data: new Uint8Array(300_000).fill(77), width: 500, height: 200, channels: 3 };
    expect(encodePng(flat).length).toBeLessThan(5000);
    let state = 9;
    const noise = Uint8Array.from({ length: 300_000 }, () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state >>> 24;
    });
    expect(encodePng({ ...flat, data: noise }).length).toBeLessThan(301_500);
  });
});
