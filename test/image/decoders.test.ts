import zlib from 'node:zlib';
import sharp from 'sharp';
import { beforeAll, describe, expect, test } from 'vitest';
import { GradcamppError } from '../../src/errors.js';
import { decodeImage } from '../../src/image/decode.js';
import { encodePng } from '../../src/image/encode.js';
import type { Pixels } from '../../src/image/pixels.js';
import { digest, pattern, pngChunk, pngFile, pngHeader } from './pictures.js';
import { processorTime } from '../support/processor-time.js';

const colours = pattern(45, 34);
const make = ({ data, width, height, channels }: Pixels = colours) =>
  sharp(data, { raw: { width, height, channels } });

/** Several pictures one below the other, as the frames of an animation. */
const frames = (count: number) => {
  const all = Array.from({ length: count }, (_, i) =>
    Buffer.from(colours.data.map((value) => value ^ (i * 40))),
  );
  return sharp(Buffer.concat(all), {
    raw: { width: colours.width, height: colours.height * count, channels: 3, pageHeight: colours.height },
  });
};

/** Files that are written in other ways. */
const files: Record<string, () => Promise<Buffer>> = {
  PNG: async () => encodePng(colours),
  'PNG, interlaced': () => make().png({ progressive: true }).toBuffer(),
  'PNG with a palette': () => make().png({ palette: true }).toBuffer(),
  'PNG of 16 bits': () => make().toColourspace('rgb16').png().toBuffer(),
  'JPEG, baseline': () => make().jpeg({ optimiseCoding: false }).toBuffer(),
  'JPEG, progressive': () => make().jpeg({ progressive: true }).toBuffer(),
  'JPEG, grey': () => make().toColourspace('b-w').jpeg().toBuffer(),
  'JPEG with EXIF and a profile': () =>
    make().withMetadata({ orientation: 6 }).withIccProfile('p3').jpeg().toBuffer(),
  'JPEG, CMYK': () => make().toColourspace('cmyk').jpeg().toBuffer(),
  GIF: () => make().gif().toBuffer(),
  'GIF, interlaced': () => make().gif({ progressive: true }).toBuffer(),
  'GIF, animated': () =>
    frames(3)
      .gif({ delay: [50, 50, 50] })
      .toBuffer(),
  WebP: () => make().webp().toBuffer(),
  'WebP, lossless': () => make().webp({ lossless: true }).toBuffer(),
  'WebP with alpha': () => make().ensureAlpha(0.5).webp().toBuffer(),
  'WebP, animated': () =>
    frames(3)
      .webp({ delay: [50, 50, 50] })
      .toBuffer(),
  TIFF: () => make().tiff({ compression: 'none' }).toBuffer(),
  'TIFF, LZW': () => make().tiff({ compression: 'lzw' }).toBuffer(),
  'TIFF of JPEG tiles': () =>
    make().tiff({ compression: 'jpeg', tile: true, tileWidth: 16, tileHeight: 16 }).toBuffer(),
  'TIFF, BigTIFF': () => make().tiff({ compression: 'deflate', bigtiff: true }).toBuffer(),
  AVIF: () => make().avif({ effort: 0 }).toBuffer(),
};
const made = new Map<string, Buffer>();
beforeAll(async () => {
  for (const [kind, file] of Object.entries(files)) made.set(kind, await file());
});
const fileOf = (kind: string) => made.get(kind) as Buffer;

async function reasonOf(bytes: Uint8Array, options: object = {}): Promise<string> {
  const error = await decodeImage(bytes, { name: 'a', ...options }).catch((cause: unknown) => cause);
  expect(error).toBeInstanceOf(GradcamppError);
  const { code, message } = error as GradcamppError;
  expect(code).toBe('INVALID_IMAGE');
  const [, reason] = /^"a" cannot be read as a picture: ([^\n]+)\.$/.exec(message) ?? [];
  expect(reason, message).toBeDefined();
  return reason;
}

describe.each(Object.keys(files))('%s', (kind) => {
  test('cut off anywhere, the file ends too early', async () => {
    const bytes = fileOf(kind);
    const step = Math.max(1, Math.floor(bytes.length / 150));
    for (let length = 16; length < bytes.length; length += step)
      expect(await reasonOf(bytes.subarray(0, length)), `${length} of ${bytes.length}`).toBe(
        'the file ends too early',
      );
    expect(await reasonOf(bytes.subarray(0, -1))).toBe('the file ends too early');
  });

  test('what follows the end is ignored', async () => {
    const bytes = fileOf(kind);
    const expected = await decodeImage(bytes);
    for (const more of [Buffer.of(0), Buffer.from('stray words'), bytes, Buffer.alloc(5000, 0xff)])
      expect(await decodeImage(Buffer.concat([bytes, more]))).toEqual(expected);
  });

  test('the limit of pixels is held, and named', async () => {
    const { width, height } = await decodeImage(fileOf(kind));
    expect(await reasonOf(fileOf(kind), { maxPixels: width * height - 1 })).toMatch(
      new RegExp(`^it has (${width} × ${height}|${height} × ${width}) pixels, and the limit maxPixels is`),
    );
    expect((await decodeImage(fileOf(kind), { maxPixels: width * height })).width).toBe(width);
  });

  test('the same file gives the same pixels, several at once', async () => {
    const all = await Promise.all([0, 1, 2, 3].map(() => decodeImage(fileOf(kind))));
    expect(new Set(all.map(({ data }) => digest(data))).size).toBe(1);
  });
});

test('of an animation the first frame is taken, and the others are counted', async () => {
  for (const kind of ['GIF, animated', 'WebP, animated']) {
    const picture = await decodeImage(fileOf(kind));
    expect([picture.width, picture.height, picture.frames]).toEqual([45, 34, 3]);
    const first = await sharp(fileOf(kind)).toColourspace('srgb').removeAlpha().raw().toBuffer();
    expect(digest(picture.data)).toBe(digest(first));
  }
  expect(await decodeImage(fileOf('GIF'))).not.toHaveProperty('frames');
  const pages = await frames(2).tiff({ compression: 'lzw' }).toBuffer();
  expect(await decodeImage(pages)).toEqual({ ...colours, frames: 2 });
  const animated = Buffer.concat([
    fileOf('PNG').subarray(0, 33),
    pngChunk('acTL', Buffer.from('0000000500000000', 'hex')),
    fileOf('PNG').subarray(33),
  ]);
  expect(await decodeImage(animated)).toEqual({ ...colours, frames: 5 });
});

test('data that stop before the last row, with an end behind them, end too early', async () => {
  for (const kind of ['JPEG, baseline', 'JPEG, progressive', 'JPEG, grey', 'JPEG, CMYK']) {
    const bytes = fileOf(kind);
    const cut = Buffer.concat([bytes.subarray(0, Math.floor(bytes.length * 0.7)), Buffer.of(0xff, 0xd9)]);
    expect(await reasonOf(cut), kind).toBe('the file ends too early');
  }
  for (const kind of ['GIF', 'GIF, interlaced', 'GIF, animated']) {
    const bytes = fileOf(kind);
    const data = bytes.indexOf(',', 13 + 3 * 2 ** ((bytes[10] & 7) + 1)) + 11; // behind the first frame's code size
    const first = bytes.subarray(0, data + 1 + bytes[data]); // its first sub-block alone
    const cut = Buffer.concat([first, Buffer.of(0, 0x3b)]);
    expect(await reasonOf(cut), kind).toBe('the file ends too early');
  }
});

describe('PNG', () => {
  const plain = encodePng(colours);
  const signature = plain.subarray(0, 8);
  const png = (header: Buffer, pixels: Uint8Array, ...chunks: Buffer[]) =>
    Buffer.concat([
      signature,
      pngChunk('IHDR', header),
      ...chunks,
      pngChunk('IDAT', pixels),
      pngChunk('IEND', Buffer.alloc(0)),
    ]);

  test.each([false, true])(
    'whole chunks whose data stop before the last row; interlaced: %s',
    async (interlaced) => {
      const rows = Buffer.alloc(40 * (40 * 3 + 1) + 200);
      const whole = zlib.deflateSync(rows);
      const header = pngHeader(40, 40, 8, 2, interlaced);
      expect((await decodeImage(png(header, whole))).width).toBe(40);
      const noise = zlib.deflateSync(rows.map((_, i) => (i % 121 === 0 ? 0 : (i * i * 31) >> 3)));
      for (const part of [0.1, 0.5, 0.9])
        expect(await reasonOf(png(header, noise.subarray(0, Math.floor(noise.length * part))))).toBe(
          'the file ends too early',
        );
      const short = zlib.deflateSync(rows.subarray(0, 2000)); // its stream is whole, and the rows are too few
      expect(await reasonOf(png(header, short))).toBe('the file ends too early');
    },
  );

  test('texts that are a thousand times larger than the file cost nothing', async () => {
    const bomb = Buffer.concat([Buffer.from('Comment\0\0'), zlib.deflateSync(Buffer.alloc(7_500_000, 'a'))]);
    const texts = Array.from({ length: 200 }, () => pngChunk('zTXt', bomb));
    const before = process.memoryUsage.rss();
    const [header, rest] = [plain.subarray(0, 33), plain.subarray(33)];
    expect(await decodeImage(Buffer.concat([header, ...texts, rest]))).toEqual(colours);
    expect(process.memoryUsage.rss() - before).toBeLessThan(2 ** 26);
  });

  test('too many chunks, and sides that are too long, are refused at once', async () => {
    const empty = pngChunk('IDAT', Buffer.alloc(0));
    expect(await reasonOf(png(pngHeader(4, 4), Buffer.alloc(9), ...Array<Buffer>(100_000).fill(empty)))).toBe(
      'it has more than 100000 chunks',
    );
    const start = processorTime();
    expect(await reasonOf(png(pngHeader(1, 70_000), zlib.deflateSync(Buffer.alloc(4 * 70_000))))).toBe(
      'it has 1 × 70000 pixels, and a side has at most 65535; make it smaller first',
    );
    expect(processorTime() - start).toBeLessThan(1000);
  });

  test('36 million pixels of 16 bits are read', async () => {
    const flat = { width: 6000, height: 6000, channels: 3, background: '#4080c0' } as const;
    const bytes = await sharp({ create: flat })
      .toColourspace('rgb16')
      .png({ compressionLevel: 1 })
      .toBuffer();
    const { width, data } = await decodeImage(bytes);
    expect([width, data.length, data[0], data[1], data.at(-1)]).toEqual([
      6000, 108_000_000, 0x40, 0x80, 0xc0,
    ]);
  });

  test('grey with alpha of 16 bits lies on white', async () => {
    const picture = pngFile({
      width: 3,
      height: 1,
      depth: 16,
      colourType: 4,
      sample: (x, _, c) => (c === 0 ? 0x2040 : [0, 0x8000, 0xffff][x]),
    });
    const { data } = await decodeImage(picture);
    expect([data[0], data[3], data[6]]).toEqual([255, 143, 0x20]);
  });
});

describe('JPEG', () => {
  test('more scans than any encoder writes are refused at once', async () => {
    const bytes = fileOf('JPEG, progressive');
    const [start, end] = lastScan(bytes);
    const scan = bytes.subarray(start, end);
    const many = Buffer.concat([
      bytes.subarray(0, end),
      ...Array<Buffer>(3000).fill(scan),
      bytes.subarray(end),
    ]);
    expect(await reasonOf(many)).toBe('it has more than 100 progressive scans');
  });

  test('a frame header of another kind says which', async () => {
    const at = fileOf('JPEG, baseline').indexOf(Buffer.of(0xff, 0xc0));
    const changed = (offset: number, value: number) => {
      const bytes = Buffer.from(fileOf('JPEG, baseline'));
      bytes[at + offset] = value;
      return bytes;
    };
    expect(await reasonOf(changed(4, 12))).toBe('its samples have 12 bits, and JPEGs of 8 are read');
    expect(await reasonOf(changed(1, 0xc3))).toBe(
      'it is a JPEG of a rare kind (lossless), which is not read',
    );
    expect(await reasonOf(changed(1, 0xc5))).toBe(
      'it is a JPEG of a rare kind (hierarchical), which is not read',
    );
    expect(await reasonOf(Buffer.from('ffd8ffd9', 'hex'))).toBe('it holds no pixels');
  });

  test('stray bytes between segments are passed over, as in Pillow', async () => {
    const bytes = fileOf('JPEG, baseline');
    const at = bytes.indexOf(Buffer.of(0xff, 0xc4));
    const stray = Buffer.concat([bytes.subarray(0, at), Buffer.of(1, 2, 3), bytes.subarray(at)]);
    expect(await decodeImage(stray)).toEqual(await decodeImage(bytes));
  });
});

/** Where the last scan of a JPEG begins, with its tables, and where it ends. */
function lastScan(bytes: Buffer): [start: number, end: number] {
  return [bytes.lastIndexOf(Buffer.of(0xff, 0xda)), bytes.length - 2];
}

describe('TIFF', () => {
  /** One strip of plain samples. */
  const tiff = (bits: number, format: number, values: Buffer, width = 4, height = 2) => {
    const tags: [tag: number, type: number, value: number][] = [
      [256, 4, width],
      [257, 4, height],
      [258, 3, bits],
      [259, 3, 1],
      [262, 3, 1],
      [273, 4, 8],
      [277, 3, 1],
      [278, 4, height],
      [279, 4, values.length],
      [339, 3, format],
    ];
    const header = Buffer.from('49492a0000000000', 'hex');
    header.writeUInt32LE(8 + values.length, 4);
    const directory = Buffer.alloc(2 + 12 * tags.length + 4);
    directory.writeUInt16LE(tags.length);
    tags.forEach(([tag, type, value], i) => {
      directory.writeUInt16LE(tag, 2 + 12 * i);
      directory.writeUInt16LE(type, 4 + 12 * i);
      directory.writeUInt32LE(1, 6 + 12 * i);
      directory.writeUInt32LE(value, 10 + 12 * i);
    });
    return Buffer.concat([header, values, directory]);
  };
  const floats = (...values: number[]) => Buffer.from(Float32Array.from(values).buffer);
  const greys = ({ data }: Pixels) => [...data].filter((_, i) => i % 3 === 0);

  test('floats are colours from 0 to 1', async () => {
    const values = [0, 0.25, 0.5, 1, 0.1, 0.9, 0.75, 0.002];
    const expected = values.map((value) => Math.round(value * 255));
    const { data } = await decodeImage(tiff(32, 3, floats(...values)));
    const errors = greys({ ...colours, data }).map((grey, i) => Math.abs(grey - expected[i]));
    expect(Math.max(...errors)).toBeLessThanOrEqual(1);
  });

  test('other floats and wide samples have no white that is known', async () => {
    expect(await reasonOf(tiff(32, 3, floats(0, 1, 2, 3, 4, 5, 6, 117)))).toBe(
      'its samples are floats from 0 to 117, and floats are colours only from 0 to 1; scale them first',
    );
    expect(await reasonOf(tiff(32, 3, floats(-1, 1, 0, 0, 0, 0, 0, 0)))).toContain('floats from -1 to 1');
    expect(await reasonOf(tiff(32, 3, floats(0, 1, Number.NaN, 0, 0, 0, 0, 0)))).toContain(
      'not all are numbers',
    );
    const whole = (bytes: number) => Buffer.alloc(8 * bytes, 7);
    expect(await reasonOf(tiff(32, 2, whole(4)))).toContain('its samples are signed numbers of 32 bits');
    expect(await reasonOf(tiff(16, 2, whole(2)))).toContain('its samples are signed numbers of 16 bits');
    expect(await reasonOf(tiff(32, 1, whole(4)))).toContain('its samples are unsigned numbers of 32 bits');
    expect(await reasonOf(tiff(16, 3, whole(2)))).toContain('its samples are floats of 16 bits');
    expect(await reasonOf(tiff(64, 3, whole(8)))).toContain('its samples are floats of 64 bits');
    expect(await reasonOf(tiff(32, 5, whole(4)))).toContain('its samples are no plain numbers of 32 bits');
    expect(
      greys(
        await decodeImage(tiff(16, 1, Buffer.from(Uint16Array.of(0, 256, 512, 65_535, 0, 0, 0, 0).buffer))),
      ),
    ).toEqual([0, 1, 2, 255, 0, 0, 0, 0]);
  });

  test('pages that run in a circle', async () => {
    const bytes = tiff(8, 1, Buffer.alloc(8));
    bytes.writeUInt32LE(16, bytes.length - 4);
    expect(await reasonOf(bytes)).toContain('or they run in a circle');
  });
});

test.each([1, 2, 3, 4, 5, 6, 7, 8])(
  'EXIF orientation %i of a JPEG with 4:4:4 and with 4:2:0',
  async (orientation) => {
    for (const chromaSubsampling of ['4:4:4', '4:2:0']) {
      const bytes = await make().withMetadata({ orientation }).jpeg({ chromaSubsampling }).toBuffer();
      const { width, height, data } = await decodeImage(bytes);
      const expected = await sharp(bytes).autoOrient().raw().toBuffer();
      expect([width, height]).toEqual(orientation > 4 ? [34, 45] : [45, 34]);
      expect(digest(data)).toBe(digest(expected));
    }
  },
);
