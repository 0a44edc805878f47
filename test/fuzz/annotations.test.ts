import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { GradcamppError } from '../../src/errors.js';
import { labelsOf } from '../../src/evaluate/annotations/labels.js';
import { readMapping } from '../../src/evaluate/annotations/mapping.js';
import { evaluate } from '../../src/evaluate/evaluate.js';
import { measureHere } from '../../src/evaluate/measurer.js';
import { readSidecar } from '../../src/image/sidecar.js';
import { anyPicture, openDataSets } from '../evaluate/data-set.js';
import { annotationFiles, damage, type Damageable } from './annotation-files.js';

/** Damaged files to read; `npm run fuzz` reads 2,000. */
const count = Number(process.env.FUZZ_ANNOTATIONS ?? 500);
const first = Number(process.env.FUZZ_SEED ?? 0);
/** Milliseconds that one may take, on a machine that does other things too. */
const mostTime = 10_000;

let sets: Awaited<ReturnType<typeof openDataSets>>;
beforeAll(async () => {
  sets = await openDataSets();
  for (const [name, { files }] of Object.entries<Damageable>(annotationFiles))
    await sets.write(
      Object.fromEntries(Object.entries(files).map(([file, content]) => [`${name}/${file}`, content])),
    );
});
afterAll(() => sets.remove());

/** Who reads each kind. */
const readers: Readonly<Record<keyof typeof annotationFiles, (set: string) => Promise<unknown>>> = {
  'yolo labels': localize('yolo'),
  'yolo classes': localize('yolo'),
  'yolo yaml': localize('yolo'),
  'yolo json': localize('yolo'),
  voc: localize('voc'),
  coco: localize('coco'),
  mask: localize('masks'),
  labels: async (set) =>
    labelsOf(
      ['a.png', 'x/b.png'],
      { classes: ['left', 'right'], wnids: ['n01440764', undefined] },
      join(set, 'labels.csv'),
    ),
  mapping: async (set) => readMapping(join(set, 'mapping.json'), ['left', 'right']),
  sidecar: async (set) => readSidecar(join(set, 'model.json')),
};

function localize(boxes: 'yolo' | 'voc' | 'coco' | 'masks') {
  return async (set: string) => {
    const out = join(set, 'out');
    await rm(out, { recursive: true, force: true });
    const { failures } = await evaluate('localization', {
      model: measureHere(anyPicture()),
      images: [set],
      boxes,
      method: ['grad-cam++'],
      out,
    });
    for (const { error } of failures) checkMessage(error);
  };
}

/** One line, without what only a program's author reads, or what moves a cursor. */
function checkMessage(message: string): void {
  expect(message).toMatch(/^.{10,2100}$/);
  expect(message).not.toMatch(/\bat .*\.[jt]s:\d|\[object |undefined is not|Cannot read prop|\p{Cc}|\u202e/u);
}

test(`${count} damaged annotations, tables, mappings and sidecars: an answer, or one sentence each`, {
  timeout: 60_000 + count * 2000,
}, async () => {
  const seen = { read: 0, refused: 0 };
  const names = Object.keys(annotationFiles) as (keyof typeof annotationFiles)[];
  for (let i = 0; i < count; i++) {
    const { files, damaged }: Damageable = annotationFiles[names[i % names.length]];
    const read = readers[names[i % names.length]];
    const set = join(sets.folder, names[i % names.length]);
    await writeFile(join(set, damaged), damage(files[damaged], first + i));
    const start = performance.now();
    try {
      await read(set);
      seen.read++;
    } catch (error) {
      const what = `${names[i % names.length]}, seed ${first + i}: ${(error as Error).stack}`;
      if (!(error instanceof GradcamppError)) throw new Error(what, { cause: error });
      checkMessage(error.message);
      seen.refused++;
    }
    expect(performance.now() - start, `${names[i % names.length]}, seed ${first + i}`).toBeLessThan(mostTime);
  }
  expect(seen.read).toBeGreaterThan(count / 10);
  expect(seen.refused).toBeGreaterThan(count / 10);
});
