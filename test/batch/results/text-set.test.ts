import { expect, test } from 'vitest';
import { TextSet } from '../../../src/batch/results/text-set.js';

test('texts that were added are there, others are not, while it grows', () => {
  const set = new TextSet();
  for (let i = 0; i < 5000; i++) {
    expect(set.has(`picture ${i}`)).toBe(false);
    set.add(`picture ${i}`);
    set.add(`picture ${i}`);
  }
  for (let i = 0; i < 5000; i++) expect(set.has(`picture ${i}`)).toBe(true);
  for (let i = 5000; i < 10_000; i++) expect(set.has(`picture ${i}`)).toBe(false);
});
