import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { GradcamppError, show } from '../../errors.js';
import {
  type AnnotatedBox,
  type AnnotatedObject,
  type AnnotationFormat,
  badAnnotation,
  boxAround,
} from './annotation.js';
import { classFiles, type ClassNames, readClassNames } from './class-names.js';
import { anyExtension } from './matching.js';
import { hasFolder, siblingFolder } from './places.js';
import { listFiles, readText } from './read-annotation.js';

/**
 * YOLO: a text file for each picture, a line for each object. Coordinates are fractions of the picture.
 * `class cx cy w h`, perhaps with a confidence or key points behind it (`kpt_shape` in data.yaml says how many), is a box;
 * `class x1 y1 x2 y2 x3 y3 …` a polygon or an oriented box: its box is taken. Lines of DOTA, `x1 y1 … x4 y4 name difficult` in
 * pixels, are oriented boxes too.
 */
export const yolo: AnnotationFormat = {
  name: 'yolo',
  layout:
    '`labels/` beside `images/`, with the same folders in both, or each in `train/`, `valid/` …, or `<picture>.txt` beside the picture; names in `data.yaml`, `classes.txt`, `classes.json` or `obj.names` there or above',
  find: async (folder) => {
    const labels = join(folder, 'labels');
    if (hasFolder(labels)) {
      const images = join(folder, 'images');
      return { images: hasFolder(images) ? images : folder, annotations: labels };
    }
    const sibling = siblingFolder(folder, 'images', 'labels');
    if (sibling) return { images: folder, annotations: sibling };
    const texts = existsSync(folder) ? await listFiles(folder, ['.txt'], 'YOLO labels') : [];
    const isLabel = (path: string) => path.split('/').includes('labels') || !isClassFile(path);
    return texts.some(isLabel) ? { images: folder, annotations: folder } : undefined;
  },
  read: async (folder) => {
    const files = (await listFiles(folder, ['.txt'], 'a folder of YOLO labels')).filter(
      (file) => !isClassFile(file),
    );
    if (files.length === 0)
      throw new GradcamppError(
        'INVALID_OPTION',
        `${show(folder)} must hold YOLO labels, one <picture>.txt a picture; received a folder without any.`,
      );
    const names = await readClassNames(folder);
    const entries = files.map((file) => {
      const path = join(folder, file);
      return {
        picture: anyExtension(file),
        source: path,
        files: names ? [path, names.path] : [path],
        read: async () => ({ objects: parseYolo(await readText(path, 'YOLO labels'), names, path) }),
      };
    });
    return { classes: names?.names, entries };
  },
};

function isClassFile(file: string): boolean {
  return classFiles.includes(basename(file));
}

/** The objects of one file of labels; `path` is for messages. */
export function parseYolo(text: string, names: ClassNames | undefined, path: string): AnnotatedObject[] {
  return text.split(/\r\n|\r|\n/).flatMap((line, i): AnnotatedObject[] => {
    const words = line.trim().split(/\s+/);
    if (words[0] === '' || /^(imagesource|gsd):/.test(words[0])) return []; // DOTA's head
    const place = `${path}:${i + 1}`;
    const [numbers, name] = [words.slice(0, 8).map(Number), words[8]];
    const isDota = name !== undefined && Number.isNaN(Number(name)) && numbers.every(Number.isFinite);
    if (isDota)
      return [
        { class: name, box: boxAround(pairs(numbers)), unit: 'pixel', place, isFlagged: words[9] === '1' },
      ];
    return [
      {
        class: nameOf(words[0], names, line, place),
        box: boxOf(words, names, line, place),
        unit: 'fraction',
        place,
      },
    ];
  });
}

function nameOf(index: string, names: ClassNames | undefined, line: string, place: string): string {
  if (!names)
    throw badAnnotation(
      `${place} names a class by its index, and there are no names: no ${classFiles.slice(0, 5).join(', ')} in ${show(dirname(place))} or the folders above it`,
    );
  const name = Number.isInteger(Number(index)) ? names.names[Number(index)] : undefined;
  if (name) return name;
  throw badAnnotation(
    `${place} must begin with a class below ${names.names.length} that has a name in ${names.path}; received ${show(line)}`,
  );
}

/** How far beyond the picture an edge may lie that was rounded. */
const slack = 0.01;

function boxOf(
  words: readonly string[],
  names: ClassNames | undefined,
  line: string,
  place: string,
): AnnotatedBox {
  const numbers = words.slice(1).map(Number);
  const isPolygon = numbers.length >= 6 && numbers.length % 2 === 0;
  const isBox = [4, 5, 4 + (names?.keyPoints ?? 0)].includes(numbers.length);
  if ((!isBox && !isPolygon) || !numbers.every(Number.isFinite))
    throw badAnnotation(
      `${place} must be "class cx cy w h" or "class x1 y1 x2 y2 x3 y3 …" in fractions of the picture; received ${show(line)}`,
    );
  const coordinates = isBox ? numbers.slice(0, 4) : numbers;
  if (coordinates.some((value) => value < -slack || value > 1 + slack))
    throw badAnnotation(
      `${place} must hold fractions of the picture, from 0 to 1; received ${show(line)}, which looks like pixels. Divide x and widths by the picture's width, y and heights by its height`,
    );
  if (!isBox) return boxAround(pairs(numbers));
  const [cx, cy, w, h] = coordinates;
  return { x0: cx - w / 2, y0: cy - h / 2, x1: cx + w / 2, y1: cy + h / 2 };
}

function pairs(numbers: readonly number[]): [number, number][] {
  return Array.from({ length: numbers.length / 2 }, (_, i) => [numbers[2 * i], numbers[2 * i + 1]]);
}
