import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { sha256 } from '../src/sha256.js';

test.each([0, 1, 3, 55, 56, 63, 64, 65, 119, 120, 1000])("is the system's, of %i bytes", (length) => {
  const text = 'é🙂'.slice(0, length % 2) + 'x'.repeat(length);
  const expected = createHash('sha256').update(text).digest();
  expect(Array.from(sha256(text))).toEqual(Array.from({ length: 8 }, (_, i) => expected.readInt32BE(4 * i)));
});
