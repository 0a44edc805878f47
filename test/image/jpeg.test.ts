import { describe, expect, test } from 'vitest';
import { loadAddon } from '../../src/addon.js';
import { decodeJpeg, decodeNatively } from '../../src/image/jpeg.js';
import { decodeInWebAssembly } from '../../src/image/jpeg-wasm.js';
import type { Pixels } from '../../src/image/pixels.js';
import { openTurboJpeg, turboJpegLibraries } from '../../src/image/turbojpeg.js';
import { pattern } from './pictures.js';

const native = openTurboJpeg();
const required = (process.env.REQUIRE_BACKENDS ?? '').split(',').includes('native');
const sharp = (await import('sharp').catch(() => undefined))?.default;
const missing = !native ? 'no TurboJPEG library loads, or no addon' : !sharp ? 'sharp is not installed' : '';
const skipped = missing && ` (skipped: ${missing})`;

const natively = (bytes: Uint8Array) => decodeJpeg(bytes, 'a.jpg', 1e9, [decodeNatively]);
const inWebAssembly = (bytes: Uint8Array) => decodeJpeg(bytes, 'a.jpg', 1e9, [decodeInWebAssembly]);
const same = (a: Pixels | undefined, b: Pixels | undefined) =>
  a?.width === b?.width && a?.height === b?.height && Buffer.compare(a?.data ?? zero, b?.data ?? zero) === 0;
const zero = new Uint8Array();

const make = ({ data, width, height }: Pixels) => sharp!(data, { raw: { width, height, channels: 3 } });

describe.skipIf(!required && missing !== '')(
  `libjpeg-turbo as machine code and in WebAssembly${skipped}`,
  () => {
    test('give the same pixels of every size, quality, sampling and order of scans', async () => {
      let compared = 0;
      for (const [width, height] of [
        [1, 1],
        [7, 9],
        [16, 16],
        [17, 33],
        [640, 3],
        [3, 640],
        [211, 157],
      ])
        for (const chromaSubsampling of ['4:2:0', '4:4:4'])
          for (const progressive of [false, true])
            for (const quality of [20, 75, 100]) {
              const options = { chromaSubsampling, progressive, quality };
              const picture = pattern(width, height) as Pixels;
              for (const colours of [make(picture), make(picture).grayscale()]) {
                const file = await colours.jpeg(options).toBuffer();
                const [a, b] = [await natively(file), await inWebAssembly(file)];
                expect([a?.width, a?.height]).toEqual([width, height]);
                expect(same(a, b)).toBe(true);
                compared++;
              }
            }
      expect(compared).toBe(168);
    });

    test('turn a picture alike, and read one that takes more memory than WebAssembly keeps', async () => {
      const turned = await make(pattern(31, 22) as Pixels)
        .withMetadata({ orientation: 6 })
        .jpeg()
        .toBuffer();
      expect(await natively(turned)).toEqual(await inWebAssembly(turned));
      const flat = { width: 5000, height: 6000, channels: 3, background: '#4080c0' } as const;
      const large = await sharp!({ create: flat }).jpeg().toBuffer();
      expect(same(await natively(large), await inWebAssembly(large))).toBe(true);
      expect(await inWebAssembly(turned)).toEqual(await natively(turned)); // with the memory given up, and taken anew
    });

    test('1,000 damaged files: nothing is held against the next, and machine code gives the pixels of sharp', async () => {
      let state = 7;
      const random = (below: number) => {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
        return Math.floor((state / 2 ** 32) * below);
      };
      const whole = await make(pattern(40, 30) as Pixels)
        .jpeg()
        .toBuffer();
      const pixels = await natively(whole);
      const counts = { same: 0, different: 0, neither: 0, one: 0 };
      for (let round = 0; round < 1000; round++) {
        let file: Uint8Array = Buffer.from(whole);
        if (round % 4 === 0) file = file.subarray(0, random(file.length));
        else
          for (let flips = 1 + random(3); flips > 0; flips--)
            file[2 + random(file.length - 2)] ^= 1 << random(8);
        const decode = (run: typeof natively) => run(file).catch(() => undefined); // of more pixels than allowed
        const [a, b] = [await decode(natively), await decode(inWebAssembly)];
        if (a && b && !same(a, b)) {
          // Coefficients beyond all that a picture has: the library's vector code and its plain code round them apart.
          const { data } = await sharp!(file, { failOn: 'none' }).raw().toBuffer({ resolveWithObject: true });
          expect(Buffer.compare(a.data, data)).toBe(0);
          counts.different++;
        } else counts[a && b ? 'same' : a || b ? 'one' : 'neither']++;
        if (round % 10 === 0) expect(same(await natively(whole), pixels)).toBe(true);
      }
      expect(counts.same).toBeGreaterThan(200);
      expect(counts.neither).toBeGreaterThan(200);
      expect(counts.different + counts.one).toBeLessThan(100);
    });

    test('the addon reads nothing beyond its arguments', () => {
      const file = new Uint8Array(100);
      expect(native!.decode(file, 4, 4, new Uint8Array(48))).toBe(false);
      expect(native!.decode(file.subarray(0, 0), 4, 4, new Uint8Array(48))).toBe(false);
      expect(() => native!.decode(file, 4, 4, new Uint8Array(47))).toThrow(
        'out must have 48 elements; it has 47',
      );
      expect(() => native!.decode(file, 0, 4, new Uint8Array(48))).toThrow('width must be');
      expect(() => native!.decode('file' as never, 4, 4, new Uint8Array(48))).toThrow(
        'file must be a Uint8Array',
      );
    });

    test('a picture of another size than was said is refused', async () => {
      const file = await make(pattern(40, 30) as Pixels)
        .jpeg()
        .toBuffer();
      expect(native!.decode(file, 20, 15, new Uint8Array(900))).toBe(false);
      expect(native!.decode(file, 40, 30, new Uint8Array(3600))).toBe(true);
    });
  },
);

test('a library that is none, or not there, is passed over', () => {
  expect(openTurboJpeg([])).toBeUndefined();
  expect(openTurboJpeg(['/no/such/library.so', 'libc.so.6'])).toBeUndefined();
  expect(turboJpegLibraries().every((name) => name.includes('turbojpeg'))).toBe(true);
});

test.skipIf('problems' in loadAddon())('a library is named by a string', () => {
  const addon = loadAddon();
  if ('problems' in addon) throw new Error('unreachable');
  expect(() => new addon.TurboJpeg(7 as never)).toThrow('path must be a string');
  expect(() => new addon.TurboJpeg('/no/such.so')).toThrow(
    '/no/such.so is no TurboJPEG library that loads here',
  );
});
