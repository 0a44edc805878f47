import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { annotationFormat } from '../../../src/evaluate/annotations/annotation-formats.js';
import { readMapping } from '../../../src/evaluate/annotations/mapping.js';
import { labelsOf } from '../../../src/evaluate/annotations/labels.js';
import { readSidecar } from '../../../src/image/sidecar.js';

let folder: string;
let path: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'large-'));
  path = join(folder, 'large.json');
  await writeFile(path, '');
  await truncate(path, 500 * 2 ** 20 + 1); // takes no place on the disk
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test.each<[string, () => unknown]>([
  ['COCO instances', () => annotationFormat('coco').read(path, [])],
  ['labels', () => labelsOf([], { classes: [], wnids: [] }, path)],
  ['a mapping', () => readMapping(path, [])],
  ['a sidecar', () => readSidecar(path)],
])('a text that does not fit a string is refused before it is read: %s', async (_, read) => {
  await expect(async () => read()).rejects.toThrow(/cannot be read.*: it is larger than 500 MiB\./);
});
