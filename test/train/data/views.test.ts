import { expect, test } from 'vitest';
import { checkSidecar } from '../../../src/image/sidecar.js';
import { random } from '../../../src/random-stream.js';
import { augmentations } from '../../../src/train/data/augmentations/index.js';
import type { Pictures } from '../../../src/train/data/pictures.js';
import { validationSplit } from '../../../src/train/data/split.js';
import { Views } from '../../../src/train/data/views.js';

const side = 16;
/** Every byte is its own place modulo 251. */
const data = Uint8Array.from({ length: side * side * 3 }, (_, i) => i % 251);
const named = (name: string) => augmentations.find((own) => own.name === name)!;

/** An augmentation with these draws, one after another. */
function applied(name: string, draws: readonly number[]): Uint8Array {
  const next = [...draws];
  const out = new Uint8Array(data.length).fill(77);
  const draw = () => next.shift() as number;
  named(name).apply({ data, height: side, width: side }, { below: draw, uniform: draw } as never, out);
  expect(next).toEqual([]);
  return out;
}
const pixel = (from: Uint8Array, x: number, y: number) => [
  ...from.subarray((y * side + x) * 3).subarray(0, 3),
];

test('crop moves a picture by up to an eighth of its side, black beyond the edge', () => {
  const moved = applied('crop', [4, 1]); // 2 down and 1 to the left, of 0 … 4
  expect(pixel(moved, 5, 3)).toEqual(pixel(data, 4, 5));
  expect(pixel(moved, 0, 3)).toEqual([0, 0, 0]);
  expect(pixel(moved, 5, 14)).toEqual([0, 0, 0]);
  expect(applied('crop', [2, 2])).toEqual(data);
});

test('flip exchanges left and right, or does nothing', () => {
  expect(applied('flip', [0])).toEqual(data);
  expect(pixel(applied('flip', [1]), 3, 7)).toEqual(pixel(data, 12, 7));
});

test('colour at the middle of its range changes nothing, and else brightness and contrast', () => {
  expect(applied('colour', [0.5, 0.5, 0.5, 0.5])).toEqual(data);
  const [red, green] = pixel(applied('colour', [1, 1, 0, 0.5]), 0, 0);
  expect(red).toBe(Math.max(0, Math.round(-127.5 * 1.2 + 127.5 + 25.5)));
  expect(green).toBe(Math.round((1 - 127.5) * 0.8 + 127.5 + 25.5));
});

test('cutout covers a square of a quarter of the side, also at the edge', () => {
  const out = applied('cutout', [0, 15]);
  expect(pixel(out, 14, 1)).toEqual([128, 128, 128]);
  expect(pixel(out, 12, 1)).toEqual(pixel(data, 12, 1));
  expect(pixel(out, 14, 2)).toEqual(pixel(data, 14, 2));
});

test('a view is a function of picture, view and seed, whatever was asked for before', async () => {
  const { input: preprocessing } = await checkSidecar({ input: { size: [side, side] } });
  const pictures: Pictures = { count: 2, size: [side, side], bytes: Uint8Array.of(...data, ...data) };
  const open = (seed: number) =>
    new Views(pictures, { preprocessing, augment: ['flip', 'crop', 'colour', 'cutout'], seed });
  const [views, other] = [open(1), open(1)];
  const view = (of: Views, picture: number, number: number | 'original') => of.batch([picture], number);
  const first = view(views, 0, 3);
  for (let i = 0; i < 5; i++) view(other, 1, i);
  expect(view(other, 0, 3)).toEqual(first);
  expect(view(other, 0, 4)).not.toEqual(first);
  expect(view(other, 1, 3)).not.toEqual(first);
  expect(view(open(2), 0, 3)).not.toEqual(first);
  const original = view(views, 0, 'original');
  expect(original[side * side]).toBeCloseTo(data[1] / 255, 6); // planes: the first green
});

test('augmentations draw as many numbers whatever they do', () => {
  for (const { apply } of augmentations) {
    const counts = new Set<number>();
    for (let seed = 0; seed < 20; seed++) {
      const numbers = random(seed);
      let count = 0;
      const counted = {
        below: (n: number) => (count++, numbers.below(n)),
        uniform: () => (count++, numbers.uniform()),
      };
      apply({ data, height: side, width: side }, counted as never, new Uint8Array(data.length));
      counts.add(count);
    }
    expect(counts.size).toBe(1);
  }
});

test('the validation split takes its share of every class, the same each time', () => {
  const labels = Array.from({ length: 100 }, (_, i) => [Number(i >= 90)]);
  const { train, validation } = validationSplit(labels, 0.2, 1);
  expect(validation.filter((i) => labels[i][0] === 1).length).toBe(2);
  expect(validation.length).toBe(20);
  expect([...train, ...validation].sort((a, b) => a - b)).toEqual(labels.map((_, i) => i));
  expect(validationSplit(labels, 0.2, 1).validation).toEqual(validation);
  expect(validationSplit(labels, 0, 1).validation).toEqual([]);
  expect(validationSplit([[0], [0], [1]], 0.9, 1).train.length).toBe(2); // a class keeps a picture to learn from
  const several = Array.from({ length: 50 }, (_, i) => [[0], [0, 1], [], [1, 2]][i % 4]);
  expect(validationSplit(several, 0.2, 1).validation.length).toBe(10);
});
