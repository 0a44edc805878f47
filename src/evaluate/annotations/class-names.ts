import { readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { GradcamppError, messageOf, show } from '../../errors.js';
import { readText } from './read-annotation.js';

/** The class names of a YOLO data set, and how many numbers its key points take. */
export interface ClassNames {
  readonly names: readonly string[];
  /** Where they are from. */
  readonly path: string;
  /** Numbers of a line beyond class and box; 0 without key points. */
  readonly keyPoints: number;
}

/** Files that hold class names, the surest first; `*` stands for any name. */
export const classFiles = [
  'data.yaml',
  'data.yml',
  'classes.json',
  'classes.txt',
  'obj.names',
  '*.names',
  '_darknet.labels',
  '*.yaml',
  '*.yml',
];

/**
 * The class names that lie with YOLO labels, in their folder or one of the two above it: the `names` of a `data.yaml` (a
 * list, or a map from indexes), an array in JSON, or one a line. Undefined where there are none.
 *
 * @throws GradcamppError INVALID_OPTION where a file of them cannot be read
 */
export async function readClassNames(folder: string): Promise<ClassNames | undefined> {
  for (const place of [folder, dirname(folder), dirname(dirname(folder))]) {
    const found = await readdir(place, { withFileTypes: true }).catch(() => []);
    const files = found.flatMap((entry) => (entry.isDirectory() ? [] : [entry.name])).sort();
    for (const pattern of classFiles) {
      const matching = files.filter((file) =>
        pattern.startsWith('*') ? file.endsWith(pattern.slice(1)) : file === pattern,
      );
      for (const file of matching) {
        const names = await namesIn(join(place, file), pattern);
        if (names) return names;
      }
    }
  }
  return undefined;
}

async function namesIn(path: string, pattern: string): Promise<ClassNames | undefined> {
  const text = await readText(path, 'class names');
  if (/\.ya?ml$/.test(pattern)) return namesInYaml(text, path, pattern.startsWith('*'));
  if (pattern.endsWith('.json')) return { names: namesInJson(text, path), path, keyPoints: 0 };
  const names = text.split(/\r\n|\r|\n/).map((line) => line.trim());
  while (names.at(-1) === '') names.pop(); // within the list an empty line is a class without a name
  return { names, path, keyPoints: 0 };
}

/** `isAny`: the file may be about something else, and then it is passed over. */
async function namesInYaml(text: string, path: string, isAny: boolean): Promise<ClassNames | undefined> {
  const { parse } = await import('yaml');
  let content: unknown;
  try {
    content = parse(text, { logLevel: 'error' });
  } catch (error) {
    if (isAny) return undefined;
    throw fault(path, `is not YAML: ${messageOf(error).replace(/:$/, '')}`);
  }
  const { names, kpt_shape: keyPoints } = (content ?? {}) as { names?: unknown; kpt_shape?: unknown };
  if (names === undefined && isAny) return undefined;
  const list = asList(names);
  if (!list)
    throw fault(path, `must hold "names", a list or a map from indexes to names; received ${show(names)}`);
  return { names: list, path, keyPoints: sizeOfKeyPoints(keyPoints) };
}

function asList(names: unknown): string[] | undefined {
  const isName = (name: unknown) => ['string', 'number', 'boolean'].includes(typeof name);
  if (names === null || typeof names !== 'object') return undefined;
  const entries = Object.entries(names);
  const isMap = entries.every(([index, name]) => /^\d{1,6}$/.test(index) && isName(name));
  if (!isMap || entries.length === 0) return undefined;
  const list: string[] = Array(Math.max(...entries.map(([index]) => Number(index))) + 1).fill('');
  for (const [index, name] of entries) list[Number(index)] = String(name).trim();
  return list;
}

function sizeOfKeyPoints(shape: unknown): number {
  const isShape = Array.isArray(shape) && shape.every((length) => Number.isSafeInteger(length) && length > 0);
  return isShape ? shape.reduce((product, length) => product * length, 1) : 0;
}

function namesInJson(text: string, path: string): string[] {
  let names: unknown;
  try {
    names = JSON.parse(text);
  } catch (error) {
    throw fault(path, `is not JSON: ${messageOf(error)}`);
  }
  const list = asList(names);
  if (list) return list;
  throw fault(path, `must be an array of class names; received ${show(names)}`);
}

function fault(path: string, problem: string): GradcamppError {
  return new GradcamppError('INVALID_OPTION', `${show(path)} ${problem}.`);
}
