import { isMainThread } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { Patience } from '../src/patience.js';

it('has none in the main thread, which has others to answer', () => {
  expect(new Patience(false).lasts()).toBe(false);
  expect(new Patience().lasts()).toBe(!isMainThread);
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
    return patience.lasts();
  });
  expect(lasts).toEqual([true, true, true, true, true, false]);
});

it('is tried again at every 50th file, and comes back with a quick one', () => {
  let time = 0;
  const patience = new Patience(true, () => time);
  const take = (milliseconds: number) =>
    patience.watch(() => {
      time += milliseconds;
    });
  for (let i = 0; i < 3; i++) take(20);
  const asked = (times: number) =>
    Array.from({ length: times }, () => patience.lasts()).filter(Boolean).length;
  expect(asked(49)).toBe(0);
  expect(asked(1)).toBe(1);
  take(20);
  expect(asked(49)).toBe(0);
  expect(asked(1)).toBe(1);
  take(1);
  expect(asked(100)).toBe(100);
});
