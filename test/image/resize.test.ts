import { expect, test } from 'vitest';
import { type ResizePlan, resizePillow, resizeTorchBilinear } from '../../src/image/resize.js';
import { digest, pattern } from './pictures.js';

const whole = (width: number, height: number): ResizePlan => ({
  width,
  height,
  window: { x: 0, y: 0, width, height },
});

// Digests of `Image.fromarray(pattern).resize((w, h), BILINEAR | BICUBIC)`, Pillow 12.3.0.
const pillow = [
  [640, 480, 341, 256, 'ff5673b6970d6688', '82e49e270bdf1597'],
  [37, 23, 91, 64, '6f4216e61ddcc9be', '348d1db7f9f21c4b'],
  [500, 375, 224, 224, '64ce15c6242e8743', '01312800230846f8'],
  [64, 64, 64, 20, 'dbf7d46eaa489efd', 'ccedf0fd12ca9096'],
  [64, 64, 20, 64, '02608136fe08efb2', '02e3eccc42b29f20'],
  [3, 2, 8, 8, '93e644521b07bdfa', 'b466bf2e6d254e61'],
  [1, 1, 5, 4, '5dcc1b5872dd9ff1', '5dcc1b5872dd9ff1'],
  [5000, 7, 300, 227, '5eac2327c8afad94', 'f123fa53a0e2d469'],
] as const;

test('the pattern is the one that Pillow and torch were given', () => {
  expect(digest(pattern(37, 23).data)).toBe('f0e919d4f7e10f1f'); // by NumPy
});

test.each(pillow)('Pillow, bit for bit: %i×%i → %i×%i', (width, height, w, h, bilinear, bicubic) => {
  const { data } = pattern(width, height);
  expect(digest(resizePillow(data, width, height, 3, whole(w, h), 'bilinear'))).toBe(bilinear);
  expect(digest(resizePillow(data, width, height, 3, whole(w, h), 'bicubic'))).toBe(bicubic);
});

test('Pillow, by value: 5×4 → 3×2 bilinear and the first rows of 8×6 bicubic', () => {
  const { data } = pattern(5, 4);
  expect([...resizePillow(data, 5, 4, 3, whole(3, 2), 'bilinear')]).toEqual([
    14, 2, 5, 30, 6, 10, 47, 15, 15, 37, 7, 12, 67, 11, 17, 96, 20, 22,
  ]);
  expect([...resizePillow(data, 5, 4, 3, whole(8, 6), 'bicubic').subarray(0, 36)]).toEqual([
    0, 0, 0, 1, 0, 1, 6, 1, 3, 11, 3, 5, 14, 5, 7, 19, 9, 9, 24, 13, 11, 27, 17, 12, 5, 1, 2, 8, 1, 3, 15, 2,
    5, 21, 4, 7,
  ]);
});

test('one channel is resized like each of three', () => {
  const { data } = pattern(50, 40);
  const green = Uint8Array.from({ length: 2000 }, (_, i) => data[3 * i + 1]);
  for (const filter of ['bilinear', 'bicubic'] as const) {
    const colours = resizePillow(data, 50, 40, 3, whole(31, 57), filter);
    const expected = Uint8Array.from({ length: 31 * 57 }, (_, i) => colours[3 * i + 1]);
    expect(resizePillow(green, 50, 40, 1, whole(31, 57), filter)).toEqual(expected);
  }
  const colours = resizeTorchBilinear(data, 50, 40, 3, whole(31, 57));
  const expected = Float32Array.from({ length: 31 * 57 }, (_, i) => colours[3 * i + 1]);
  expect(resizeTorchBilinear(green, 50, 40, 1, whole(31, 57))).toEqual(expected);
});

test('a window is what cropping the whole gives', () => {
  const [width, height] = [60, 45];
  const { data } = pattern(width, height);
  for (const [w, h] of [
    [40, 30],
    [60, 30], // rows are left out
    [40, 45], // columns are left out
    [60, 45], // both
    [90, 77],
    [9, 8], // many taps
  ]) {
    const window = { x: w >> 2, y: h >> 2, width: w >> 1, height: (h >> 1) + 1 };
    const cut = (values: ArrayLike<number>) => {
      const out: number[] = [];
      for (let y = 0; y < window.height; y++)
        for (let i = 0; i < window.width * 3; i++)
          out.push(values[(window.y + y) * w * 3 + window.x * 3 + i]);
      return out;
    };
    const plan = { width: w, height: h, window };
    for (const filter of ['bilinear', 'bicubic'] as const)
      expect([...resizePillow(data, width, height, 3, plan, filter)]).toEqual(
        cut(resizePillow(data, width, height, 3, whole(w, h), filter)),
      );
    expect([...resizeTorchBilinear(data, width, height, 3, plan)]).toEqual(
      cut(resizeTorchBilinear(data, width, height, 3, whole(w, h))),
    );
  }
});

// `torch.nn.functional.interpolate(x.float(), size, mode='bilinear', align_corners=False)`, torch 2.13.0 (CPU, with
// fused multiply-add): the sum, Σ value_i · (7919 i mod 1009), and some values, [h, w, c] flat.
const torch = [
  [
    5,
    4,
    7,
    3,
    1522.5000540018082,
    823281.3134567142,
    { 0: 2.1666669845581055, 21: 19.5, 62: 26.166667938232422 },
  ],
  [
    37,
    23,
    91,
    64,
    2091769.0650257766,
    1053554975.8260683,
    { 5824: 163.40496826171875, 8736: 145.3359375, 17471: 50 },
  ],
  [
    640,
    480,
    341,
    256,
    33352575.235026598,
    16810133212.855354,
    { 0: 9.715450286865234, 130944: 108.13333892822266, 261887: 34.807342529296875 },
  ],
  [
    333,
    500,
    256,
    384,
    37595679.84676212,
    18950959092.20939,
    {
      1: 0.6035156846046448,
      75377: 62.27996063232422,
      98304: 130.56944274902344,
      294911: 217.79367065429688,
    },
  ],
] as const;

test.each(torch)(
  'torch within float32 rounding: %i×%i → %i×%i',
  (width, height, w, h, sum, weighted, samples) => {
    const out = resizeTorchBilinear(pattern(width, height).data, width, height, 3, whole(w, h));
    // Two units in the last place of 128…255. Value 75377 is off by 2e-3 where the coordinate is rounded twice.
    for (const [i, value] of Object.entries(samples))
      expect(Math.abs(out[Number(i)] - value)).toBeLessThanOrEqual(2 ** -15);
    let [total, mixed] = [0, 0];
    out.forEach((value, i) => {
      total += value;
      mixed += value * ((i * 7919) % 1009);
    });
    expect(Math.abs(total - sum)).toBeLessThan(out.length * 2 ** -20);
    expect(Math.abs(mixed - weighted)).toBeLessThan(out.length * 504 * 2 ** -20);
  },
);

test('neither kind writes its input or keeps it', () => {
  const { data } = pattern(8, 8);
  const before = data.slice();
  const same = resizePillow(data, 8, 8, 3, whole(8, 8), 'bilinear');
  resizeTorchBilinear(data, 8, 8, 3, whole(4, 4));
  expect(data).toEqual(before);
  expect(same).toEqual(before);
  expect(same.buffer).not.toBe(data.buffer);
});
