import { isMainThread } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { Patience } from '../src/patience.js';

it('has none in the main thread, which has others to answer', () => {
  expect(new Patience(false).lasts).toBe(false);
  expect(new Patience().lasts).toBe(!isMainThread);
});

it('gives back what the work does', () => {
  expect(new Patience().watch(() => 7)).toBe(7);
});

it('ends with the third file in a row that takes long', () => {
  let time = 0;
  const patience = new Patience(true, () => time);
  const lasts = [20, 20, 0, 20, 20, 20].map((milliseconds) => {
    patience.watch(() => {
      time += milliseconds;
    });
    return patience.lasts;
  });
  expect(lasts).toEqual([true, true, true, true, true, false]);
});
