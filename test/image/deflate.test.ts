import { inflateSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { codeLengths, deflateLiterals, filterAverage, packCodes } from '../../src/image/deflate.js';

/** Through our compressor and zlib's decompressor. */
function roundTrip(data: Uint8Array, row: number, channels: number): { filtered: Buffer; inflated: Buffer } {
  const rows = data.length / row;
  const filtered = Buffer.alloc((row + 1) * rows);
  const counts = new Uint32Array(256);
  const adler = filterAverage(data, row, rows, channels, filtered, counts);
  return { filtered, inflated: inflateSync(deflateLiterals(filtered, counts, adler, packCodes)) };
}

describe('deflateLiterals', () => {
  test.each([
    ['one byte', Uint8Array.of(7), 1],
    ['one value', new Uint8Array(999).fill(200), 27],
    ['every value', Uint8Array.from({ length: 4096 }, (_, i) => (i * 2_654_435_761) >>> 24), 64],
    [
      'rows that are not counted hold other bytes',
      Uint8Array.from({ length: 4096 }, (_, i) => (i < 64 ? 9 : i)),
      64,
    ],
    ['more than a checksum holds at once', new Uint8Array(60_000).fill(255), 60_000],
  ])('%s: zlib reads it back, checksum and all', (_, data, row) => {
    const { filtered, inflated } = roundTrip(data, row, 3);
    expect(inflated.equals(filtered)).toBe(true);
  });

  test('every length of the last byte', () => {
    for (let length = 1; length < 100; length++) {
      const data = Uint8Array.from({ length }, (_, i) => (i * i) % 251);
      const { filtered, inflated } = roundTrip(data, length, 1);
      expect(inflated.equals(filtered)).toBe(true);
    }
  });
});

test('the filter, by hand', () => {
  const [out, counts] = [new Uint8Array(6), new Uint32Array(256)];
  expect(filterAverage(Uint8Array.of(10, 20, 30, 40), 2, 2, 1, out, counts)).toBe(208 * 65_536 + 72);
  expect([...out]).toEqual([3, 10, 15, 3, 25, 15]);
  expect([counts[3], counts[10], counts[15], counts[25]]).toEqual([1, 1, 1, 0]); // of the first row
});

test('code lengths fill the code exactly and are at most 14, even of Fibonacci numbers', () => {
  const fibonacci = [1, 1];
  while (fibonacci.length < 30)
    fibonacci.push(fibonacci[fibonacci.length - 1] + fibonacci[fibonacci.length - 2]);
  for (const counts of [[1, 1], [5, 0, 1], [1, 2, 3, 4, 100], fibonacci]) {
    const lengths = [...codeLengths(counts)];
    expect(lengths.map((length) => length > 0)).toEqual(counts.map((count) => count > 0));
    expect(Math.max(...lengths)).toBeLessThanOrEqual(14);
    expect(lengths.reduce((sum, length) => sum + (length > 0 ? 2 ** -length : 0), 0)).toBe(1);
  }
  expect([...codeLengths([1, 2, 3, 4, 100])]).toEqual([4, 4, 3, 2, 1]);
});
