import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodePng } from '../../src/image/encode.js';
import { encodeNpy } from '../../src/image/npy.js';
import { pattern } from '../image/pictures.js';
import { readMutants } from './reader.js';

/** Damaged files to read; `npm run fuzz` reads 10,000. */
const count = Number(process.env.FUZZ_PICTURES ?? 3000);
const first = Number(process.env.FUZZ_SEED ?? 0);
/** What the process may hold: a picture has 12 MiB at most, which several steps may hold at once. */
const mostMebibytes = 500;

const dist = fileURLToPath(new URL('../../dist', import.meta.url));
const reader = fileURLToPath(new URL('read-pictures.mjs', import.meta.url));
let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gradcampp-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** A file of every kind that is read. */
async function originals(): Promise<string[]> {
  const { data, width, height, channels } = pattern(45, 34);
  const make = () => sharp(data, { raw: { width, height, channels } });
  const two = Buffer.concat([data, data.map((value) => value ^ 99)]);
  const animated = () => sharp(two, { raw: { width, height: height * 2, channels, pageHeight: height } });
  const files: Record<string, Uint8Array> = {
    'a.png': encodePng({ data, width, height, channels }),
    'interlaced.png': await make().png({ progressive: true }).toBuffer(),
    'palette.png': await make().withMetadata({ orientation: 6 }).png({ palette: true }).toBuffer(),
    '16.png': await make().toColourspace('rgb16').ensureAlpha(0.4).png().toBuffer(),
    'baseline.jpg': await make().jpeg({ optimiseCoding: false }).toBuffer(),
    'progressive.jpg': await make().withMetadata({ orientation: 5 }).jpeg({ progressive: true }).toBuffer(),
    'cmyk.jpg': await make().toColourspace('cmyk').jpeg().toBuffer(),
    'animated.gif': await animated()
      .gif({ delay: [50, 50] })
      .toBuffer(),
    'a.gif': await make().gif({ progressive: true }).toBuffer(),
    'a.webp': await make().ensureAlpha(0.5).webp().toBuffer(),
    'lossless.webp': await make().webp({ lossless: true }).toBuffer(),
    'animated.webp': await animated()
      .webp({ delay: [50, 50] })
      .toBuffer(),
    'a.tif': await make().tiff({ compression: 'none' }).toBuffer(),
    'lzw.tif': await make().tiff({ compression: 'lzw', predictor: 'horizontal' }).toBuffer(),
    'tiles.tif': await make()
      .tiff({ compression: 'jpeg', tile: true, tileWidth: 16, tileHeight: 16 })
      .toBuffer(),
    'big.tif': await make().tiff({ compression: 'deflate', bigtiff: true }).toBuffer(),
    'a.avif': await make().avif({ effort: 0 }).toBuffer(),
    'a.npy': encodeNpy({ type: 'float32', dims: [3, 4, 5], data: new Float32Array(60) }),
  };
  const paths = Object.keys(files).map((name) => join(folder, name));
  await Promise.all(Object.values(files).map((bytes, i) => writeFile(paths[i], bytes)));
  return paths;
}

test.skipIf(!existsSync(dist))(
  `${count} damaged pictures are each read or refused, in bounded time and memory (needs npm run build)`,
  async () => {
    const { lines, end } = await readMutants(reader, [
      dist,
      String(first),
      String(first + count),
      ...(await originals()),
    ]);
    const done = lines.filter(({ outcome }) => outcome !== undefined);
    const last = lines.at(-1);
    expect(end, `the process ended at mutant ${last?.i} of ${last?.file} (${last?.kind})`).toBe('0');
    expect(done).toHaveLength(count);
    expect(done.filter(({ outcome }) => outcome === 'foreign')).toEqual([]);
    expect(Math.max(...done.map(({ mebibytes }) => mebibytes ?? 0))).toBeLessThan(mostMebibytes);
    // A file that is cut off says nothing else.
    const cut = done.filter(({ kind, outcome }) => kind === 'truncate' && outcome === 'refused');
    const reasons = new Set(cut.map(({ message = '' }) => message.replace(/^.*?: /, '')));
    expect([...reasons].filter((reason) => !/too early|not begin like|is empty/.test(reason))).toEqual([]);
    const of = (outcome: string) => done.filter((line) => line.outcome === outcome).length;
    // Both must happen, or nothing was tested.
    expect(Math.min(of('read'), of('refused'))).toBeGreaterThan(count / 20);
  },
  20 * 60_000,
);
