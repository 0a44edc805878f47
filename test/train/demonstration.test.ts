import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { demonstrationOptions } from '../../src/train/demonstration/demonstration.js';
import { drawnClasses, drawPicture } from '../../src/train/demonstration/draw.js';
import { distill } from '../../src/train/run/run.js';

test('a picture is a function of its class and number', () => {
  expect(drawPicture('ring', 'test', 3)).toEqual(drawPicture('ring', 'test', 3));
  expect(drawPicture('ring', 'test', 3)).not.toEqual(drawPicture('ring', 'test', 4));
  expect(drawPicture('ring', 'test', 3)).not.toEqual(drawPicture('square', 'test', 3));
});

// docs/training.md, with fewer pictures.
test('without teacher and pictures both are made', async () => {
  const out = await mkdtemp(join(tmpdir(), 'gradcampp-demonstration-'));
  const given = { out, workers: 0, epochs: 2, seeds: 1 };
  const options = await demonstrationOptions(given, { teacher: 200, student: 12, test: 20 });
  const { teacher, arms, classes } = await distill(options);
  expect(classes).toEqual(drawnClasses);
  expect(teacher?.error).toBeLessThan(0.7); // 83 % by chance
  expect(arms.map(({ name }) => name)).toEqual(['labels alone', 'distilled']);
  expect((await readFile(join(out, 'report.html'), 'utf8')).length).toBeGreaterThan(50_000);
  await rm(out, { recursive: true });
}, 300_000);
