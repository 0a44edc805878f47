import { basename, dirname } from 'node:path';
import { didYouMean } from '../../check.js';
import { GradcamppError, show } from '../../errors.js';
import { readText } from './reading.js';

/**
 * The true class of each picture, as an index into `classes`:
 * `folder`: the name of the folder it lies in is a class name or index (`test/frog/0001.jpg`, `test/6/0001.jpg`);
 * `prefix`: the file name begins with the class index (`003_n01491361_tiger_shark.jpg`);
 * otherwise a CSV file of `picture,class` lines, matched by file name, the class by name or index.
 */
export async function labelsOf(
  pictures: readonly string[],
  classes: readonly string[],
  how: 'folder' | 'prefix' | (string & {}),
): Promise<number[]> {
  if (how === 'folder') return pictures.map((path) => classIndex(basename(dirname(path)), classes, path));
  if (how === 'prefix')
    return pictures.map((path) => classIndex(/^\d+/.exec(basename(path))?.[0] ?? '', classes, path));
  const table = new Map<string, string>();
  for (const line of (await readText(how, 'a table of labels')).split(/\r?\n/)) {
    const comma = line.indexOf(',');
    if (comma > 0) table.set(basename(line.slice(0, comma).trim()), line.slice(comma + 1).trim());
  }
  return pictures.map((path) => {
    const label = table.get(basename(path));
    if (label !== undefined) return classIndex(label, classes, path);
    throw new GradcamppError('INVALID_OPTION', `${show(how)} has no line "${basename(path)},<class>".`);
  });
}

function classIndex(label: string, classes: readonly string[], path: string): number {
  const named = classes.indexOf(label);
  if (named >= 0) return named;
  const index = Number(label);
  if (label !== '' && Number.isInteger(index) && index >= 0 && index < classes.length) return index;
  throw new GradcamppError(
    'INVALID_OPTION',
    `The label of ${show(path)} must be a class name or an index below ${classes.length}; received ${show(label)}. ${didYouMean(label, classes)}`.trim(),
  );
}
