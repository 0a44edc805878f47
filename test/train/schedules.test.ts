import { expect, test } from 'vitest';
import { schedules } from '../../src/train/schedules/index.js';
import { steps } from '../../src/train/schedules/step.js';
import { warmUp } from '../../src/train/schedules/warm-up.js';

const at = [0, 0.25, 0.5, 0.75, 1];

test('constant, step and cosine', () => {
  expect(at.map(schedules.constant())).toEqual([1, 1, 1, 1, 1]);
  expect(at.map(steps([0.5, 1], 0.5))).toEqual([1, 1, 0.5, 0.5, 0.25]);
  const expected = [1, 0.5 + Math.SQRT1_2 / 2, 0.5, 0.5 - Math.SQRT1_2 / 2, 0];
  for (const [i, value] of at.map(schedules.cosine()).entries()) expect(value).toBeCloseTo(expected[i], 12);
});

test('a warm-up rises in a straight line, then the schedule goes on', () => {
  expect([0, 0.25, 0.5, 1].map(warmUp(schedules.constant(), 0.5))).toEqual([0, 0.5, 1, 1]);
});
