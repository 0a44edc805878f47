import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { GradcamppError } from '../../errors.js';

/** The names of classes in `classes.txt` (one a line) or `classes.json` (an array) beside a file; undefined where there is neither. */
export async function namesBeside(path: string): Promise<readonly string[] | undefined> {
  for (const name of ['classes.txt', 'classes.json']) {
    const file = join(dirname(path), name);
    const text = await readFile(file, 'utf8').catch(() => undefined);
    if (text === undefined) continue;
    const names = name.endsWith('.txt') ? text.split(/\r\n|\r|\n/).map((line) => line.trim()) : arrayIn(text);
    while (names?.at(-1) === '') names.pop();
    if (names && names.length > 0 && names.every((own) => typeof own === 'string' && own !== ''))
      return names;
    throw new GradcamppError(
      'INVALID_OPTION',
      `${JSON.stringify(file)} must hold the names of the classes, ${name.endsWith('.txt') ? 'one a line' : 'an array of them'}.`,
    );
  }
  return undefined;
}

function arrayIn(text: string): string[] | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
