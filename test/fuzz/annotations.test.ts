import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { GradcamppError } from '../../src/errors.js';
import { labelsOf } from '../../src/evaluate/annotations/labels.js';
import { readMapping } from '../../src/evaluate/annotations/mapping.js';
import { evaluate } from '../../src/evaluate/evaluate.js';
import { measureHere } from '../../src/evaluate/measurer.js';
import { readSidecar } from '../../src/image/sidecar.js';
import { anyPicture, openDataSets, picture } from '../evaluate/data-set.js';
import { mutate, randomFrom } from './mutate.mjs';

/** Damaged files to read; `npm run fuzz` reads 2,000. */
const count = Number(process.env.FUZZ_ANNOTATIONS ?? 500);
const first = Number(process.env.FUZZ_SEED ?? 0);
/** Milliseconds that one may take, on a machine that does other things too. */
const mostTime = 10_000;

let sets: Awaited<ReturnType<typeof openDataSets>>;
beforeAll(async () => {
  sets = await openDataSets();
  for (const [name, { files }] of Object.entries(kinds))
    await sets.write(
      Object.fromEntries(Object.entries(files).map(([file, content]) => [`${name}/${file}`, content])),
    );
});
afterAll(() => sets.remove());

const label = '0 0.25 0.5 0.5 1\n1 0.1 0.1 0.9 0.1 0.5 0.9\n';
const xml = `<?xml version="1.0" encoding="UTF-8"?>
<annotation><folder>f</folder><filename>a.png</filename><size><width>400</width><height>300</height></size>
<object><name>left</name><difficult>0</difficult><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>200</xmax><ymax>300</ymax></bndbox></object>
<object><name>right</name><polygon><pt><x>1</x><y>2</y></pt><pt><x>9</x><y>2</y></pt><pt><x>5</x><y>8</y></pt></polygon></object>
</annotation>`;
const instances = JSON.stringify({
  images: [
    { id: 1, file_name: 'a.png', width: 400, height: 300 },
    { id: 'b', file_name: 'deep/b.png' },
  ],
  annotations: [
    {
      image_id: 1,
      category_id: 1,
      bbox: [0, 0, 200, 300],
      segmentation: [[0, 0, 200, 0, 200, 300]],
      iscrowd: 0,
    },
    { image_id: 'b', category_id: 1, segmentation: { size: [7, 5], counts: '62k0' }, iscrowd: 1 },
    { image_id: 'b', category_id: 2, segmentation: { size: [4, 3], counts: [5, 2, 5] } },
  ],
  categories: [
    { id: 1, name: 'left' },
    { id: 2, name: 'right' },
  ],
});

/** What is damaged, and who reads it. */
const kinds: Readonly<
  Record<
    string,
    { files: Record<string, string | Uint8Array>; damaged: string; read: (set: string) => Promise<unknown> }
  >
> = {
  'yolo labels': {
    files: { 'classes.txt': 'left\nright\n', 'images/a.png': picture, 'labels/a.txt': label },
    damaged: 'labels/a.txt',
    read: localize('yolo'),
  },
  'yolo classes': {
    files: { 'classes.txt': 'left\r\nright\r\n', 'images/a.png': picture, 'labels/a.txt': label },
    damaged: 'classes.txt',
    read: localize('yolo'),
  },
  'yolo yaml': {
    files: {
      'data.yaml': 'train: images\nnc: 2\nkpt_shape: [2, 3]\nnames:\n  0: left\n  1: "right"\n',
      'images/a.png': picture,
      'labels/a.txt': label,
    },
    damaged: 'data.yaml',
    read: localize('yolo'),
  },
  'yolo json': {
    files: { 'classes.json': '["left", "right"]', 'images/a.png': picture, 'labels/a.txt': label },
    damaged: 'classes.json',
    read: localize('yolo'),
  },
  voc: {
    files: { 'JPEGImages/a.png': picture, 'Annotations/a.xml': xml },
    damaged: 'Annotations/a.xml',
    read: localize('voc'),
  },
  coco: {
    files: { 'images/a.png': picture, 'images/deep/b.png': picture, 'annotations.json': instances },
    damaged: 'annotations.json',
    read: localize('coco'),
  },
  mask: {
    files: { 'images/a.png': picture, 'masks/left/a.png': picture },
    damaged: 'masks/left/a.png',
    read: localize('masks'),
  },
  labels: {
    files: { 'labels.csv': 'filename;label\n"a.png";left\nx/b.png;1\n' },
    damaged: 'labels.csv',
    read: async (set) =>
      labelsOf(
        ['a.png', 'x/b.png'],
        { classes: ['left', 'right'], wnids: ['n01440764', undefined] },
        join(set, 'labels.csv'),
      ),
  },
  mapping: {
    files: { 'mapping.json': '{"classes": {"thing": {"0": "left", "1": "right"}}}' },
    damaged: 'mapping.json',
    read: async (set) => readMapping(join(set, 'mapping.json'), ['left', 'right']),
  },
  sidecar: {
    files: {
      'model.json':
        '{"input": {"size": [32, 32], "mean": [0.5, 0.4, 0.3], "std": [0.1, 0.2, 0.3]}, "classes": [{"name": "left", "wnid": "n01440764"}, "right"]}',
    },
    damaged: 'model.json',
    read: async (set) => readSidecar(join(set, 'model.json')),
  },
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

const words = [
  'NaN',
  '1e999',
  '-1',
  '0',
  '',
  '99999999999999999999',
  '0x10',
  'null',
  '[]',
  '{}',
  '"',
  '<a>',
  '&x;',
  '\u001b[31m',
  '\u202e',
  '\0',
  '..',
  '~',
  '!!js/function',
  '*a',
  '&a [*a]',
  '\ud800',
];

/** Bytes that are damaged, or a text whose words are others. */
function damage(original: string | Uint8Array, seed: number): Uint8Array {
  const random = randomFrom(seed);
  const below = (limit: number) => Math.floor(random() * limit);
  if (typeof original !== 'string' || below(2) === 0)
    return mutate(Buffer.from(original as string), seed).bytes;
  const parts = original.split(/([\s,:;[\]{}<>"]+)/);
  for (let i = below(4); i >= 0; i--) {
    const at = below(parts.length);
    const kind = below(4);
    if (kind === 0) parts.splice(at, 1 + below(4));
    else if (kind === 1) parts.splice(at, 0, ...parts.slice(at, at + 1 + below(6)));
    else parts[at] = words[below(words.length)];
  }
  const text = parts.join('');
  return below(8) === 0 ? Buffer.from(`\ufeff${text}`, 'utf16le') : Buffer.from(text);
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
  const names = Object.keys(kinds);
  for (let i = 0; i < count; i++) {
    const { files, damaged, read } = kinds[names[i % names.length]];
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
