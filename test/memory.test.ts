import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { release } from '../src/memory.js';

test('arrays become empty, and their memory is free without a collection', async () => {
  await setImmediate();
  const before = process.memoryUsage().arrayBuffers;
  for (let i = 0; i < 50; i++) {
    const arrays = [new Float32Array(1 << 20), new Uint8Array(1 << 20)];
    release([...arrays, undefined, arrays[0]]);
    expect(arrays.map(({ length }) => length)).toEqual([0, 0]);
    release(arrays); // once more does no harm
  }
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(50 << 20); // 250 MiB were made
});

test('what belongs to others is left alone', () => {
  const whole = new Float32Array(8).fill(1);
  const small = Buffer.from('of a buffer that all small ones share');
  const shared = new Uint8Array(new SharedArrayBuffer(8));
  release([whole.subarray(2), small, shared]);
  expect([whole.length, small.toString().length, shared.length]).toEqual([8, 37, 8]);
});
