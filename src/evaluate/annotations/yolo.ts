import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { GradcamppError, messageOf, show } from '../../errors.js';
import { type AnnotatedObject, type Annotations, pictureKey } from './annotation.js';
import { listFolder, readText } from './reading.js';

/**
 * YOLO: a folder with one `<picture>.txt` a picture, lines of `class cx cy w h` as fractions of the picture
 * (further columns are ignored). Class names come from `classes.json` (an array) or `classes.txt` / `obj.names`
 * (one a line) in the folder or the one above it.
 */
export async function readYolo(folder: string): Promise<Annotations> {
  const entries = await listFolder(folder, 'a folder of YOLO labels');
  const classes = await readClasses(folder);
  const result = new Map<string, AnnotatedObject[]>();
  for (const { name } of entries) {
    if (!name.endsWith('.txt') || classFiles.includes(name)) continue;
    const path = join(folder, name);
    const lines = (await readText(path, 'YOLO labels')).split(/\r?\n/);
    const objects = lines.flatMap((line, i) =>
      line.trim() === '' ? [] : [parseLine(line, classes, `${path}:${i + 1}`)],
    );
    result.set(pictureKey(name), objects);
  }
  if (result.size === 0)
    throw new GradcamppError(
      'INVALID_OPTION',
      `${show(folder)} must hold YOLO labels, one <picture>.txt a picture; received a folder without any.`,
    );
  return result;
}

const classFiles = ['classes.json', 'classes.txt', 'obj.names'];

async function readClasses(folder: string): Promise<string[]> {
  for (const place of [folder, dirname(folder)])
    for (const name of classFiles) {
      let text: string;
      try {
        text = await readFile(join(place, name), 'utf8');
      } catch {
        continue;
      }
      if (!name.endsWith('.json')) return text.split(/\r?\n/).filter((line) => line.trim() !== '');
      return parseNames(text, join(place, name));
    }
  throw new GradcamppError(
    'INVALID_OPTION',
    `YOLO labels need their class names; no ${classFiles.join(', ')} in ${show(folder)} or the folder above it.`,
  );
}

function parseNames(text: string, path: string): string[] {
  let names: unknown;
  try {
    names = JSON.parse(text);
  } catch (error) {
    throw new GradcamppError('INVALID_OPTION', `${show(path)} is not JSON: ${messageOf(error)}.`);
  }
  if (Array.isArray(names) && names.every((name) => typeof name === 'string')) return names;
  throw new GradcamppError(
    'INVALID_OPTION',
    `${show(path)} must be an array of class names; received ${show(names)}.`,
  );
}

function parseLine(line: string, classes: readonly string[], where: string): AnnotatedObject {
  const [index, cx, cy, w, h] = line.trim().split(/\s+/).map(Number);
  const name = classes[index];
  if (name === undefined || !(w >= 0 && h >= 0) || Number.isNaN(cx + cy))
    throw new GradcamppError(
      'INVALID_OPTION',
      `${where} must be "class cx cy w h" with a class below ${classes.length}; received ${show(line)}.`,
    );
  return { class: name, box: { x0: cx - w / 2, y0: cy - h / 2, x1: cx + w / 2, y1: cy + h / 2 } };
}
