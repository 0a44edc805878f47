import { picture } from '../evaluate/data-set.js';
import { mutate, randomFrom } from './mutate.mjs';

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

/** Files of a data set, and which of them is damaged. */
export interface Damageable {
  readonly files: Readonly<Record<string, string | Uint8Array>>;
  readonly damaged: string;
}

/** What is damaged, by what it is. */
export const annotationFiles = {
  'yolo labels': {
    files: { 'classes.txt': 'left\nright\n', 'images/a.png': picture, 'labels/a.txt': label },
    damaged: 'labels/a.txt',
  },
  'yolo classes': {
    files: { 'classes.txt': 'left\r\nright\r\n', 'images/a.png': picture, 'labels/a.txt': label },
    damaged: 'classes.txt',
  },
  'yolo yaml': {
    files: {
      'data.yaml': 'train: images\nnc: 2\nkpt_shape: [2, 3]\nnames:\n  0: left\n  1: "right"\n',
      'images/a.png': picture,
      'labels/a.txt': label,
    },
    damaged: 'data.yaml',
  },
  'yolo json': {
    files: { 'classes.json': '["left", "right"]', 'images/a.png': picture, 'labels/a.txt': label },
    damaged: 'classes.json',
  },
  voc: {
    files: { 'JPEGImages/a.png': picture, 'Annotations/a.xml': xml },
    damaged: 'Annotations/a.xml',
  },
  coco: {
    files: { 'images/a.png': picture, 'images/deep/b.png': picture, 'annotations.json': instances },
    damaged: 'annotations.json',
  },
  mask: {
    files: { 'images/a.png': picture, 'masks/left/a.png': picture },
    damaged: 'masks/left/a.png',
  },
  labels: {
    files: { 'labels.csv': 'filename;label\n"a.png";left\nx/b.png;1\n' },
    damaged: 'labels.csv',
  },
  mapping: {
    files: { 'mapping.json': '{"classes": {"thing": {"0": "left", "1": "right"}}}' },
    damaged: 'mapping.json',
  },
  sidecar: {
    files: {
      'model.json':
        '{"input": {"size": [32, 32], "mean": [0.5, 0.4, 0.3], "std": [0.1, 0.2, 0.3]}, "classes": [{"name": "left", "wnid": "n01440764"}, "right"]}',
    },
    damaged: 'model.json',
  },
} satisfies Readonly<Record<string, Damageable>>;

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
export function damage(original: string | Uint8Array, seed: number): Uint8Array {
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
