import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { demonstrationOptions } from '../../src/train/demonstration/demonstration.js';
import { draw, drawnClasses } from '../../src/train/demonstration/draw.js';
import { distill } from '../../src/train/run/run.js';

test('a picture is a function of its class and number', () => {
  expect(draw('ring', ['test', 3])).toEqual(draw('ring', ['test', 3]));
  expect(draw('ring', ['test', 3])).not.toEqual(draw('ring', ['test', 4]));
  expect(draw('ring', ['test', 3])).not.toEqual(draw('square', ['test', 3]));
  expect(new Set(draw('ring', ['test', 3]).mask.data)).toEqual(new Set([0, 255]));
});

// docs/training.md, with fewer pictures.
test('without teacher and pictures both are made', async () => {
  const out = await mkdtemp(join(tmpdir(), 'gradcampp-demonstration-'));
  const given = { out, workers: 0, epochs: 2, seeds: 1 };
  const options = await demonstrationOptions(given, { teacher: 200, student: 12, test: 20 });
  const { teacher, arms, classes } = await distill(options);
  expect(classes).toEqual(drawnClasses);
  expect(teacher?.value).toBeLessThan(0.7); // 83 % by chance
  expect(arms.map(({ name }) => name)).toEqual(['labels alone', 'distilled']);
  expect((await readFile(join(out, 'report.html'), 'utf8')).length).toBeGreaterThan(50_000);
  await rm(out, { recursive: true });
}, 300_000);
