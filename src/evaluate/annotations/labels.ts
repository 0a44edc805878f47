import { basename, dirname, extname } from 'node:path';
import { didYouMean } from '../../check.js';
import { GradcamppError, show } from '../../errors.js';
import type { Subject } from '../subject.js';
import { parseTable, type Row } from './delimited.js';
import { isLayoutFolder, matchAnnotations } from './matching.js';
import { readText } from './read-annotation.js';

/** The class of a picture, or a sentence why it is not known. */
export type Label = number | { readonly problem: string };

/** The classes of a network, by name and by WordNet id. */
type Classes = Pick<Subject, 'classes' | 'wnids'>;

/**
 * The true class of each picture, as an index into the network's classes. A class is named by its name, its WordNet id or its
 * index.
 * `folder`: by the folder that the picture lies in (`test/frog/0001.jpg`, `n01440764/images/0001.jpg`);
 * `prefix`: by what the file name begins with, an index or a WordNet id (`003_tiger_shark.jpg`, `n01491361_2.JPEG`);
 * otherwise the path of a table of pictures and classes: cells between commas, semicolons, tabs or spaces, quoted or not, with
 * a head or not.
 *
 * @throws GradcamppError INVALID_OPTION where no picture has a label
 */
export async function labelsOf(
  pictures: readonly string[],
  classes: Classes,
  how: 'folder' | 'prefix' | (string & {}),
): Promise<Label[]> {
  const index = classIndex(classes);
  const labels =
    how === 'folder' || how === 'prefix'
      ? pictures.map((path) =>
          labelled(index, how === 'folder' ? folderOf(path) : prefixOf(path), show(path)),
        )
      : await labelsInTable(pictures, index, how);
  const [first] = labels;
  if (labels.length > 0 && labels.every((label) => typeof label === 'object'))
    throw new GradcamppError('INVALID_OPTION', (first as { problem: string }).problem);
  return labels;
}

function folderOf(path: string): string {
  const folder = dirname(path);
  return basename(isLayoutFolder(basename(folder)) ? dirname(folder) : folder);
}

function prefixOf(path: string): string {
  return /^(n\d{8}|\d+)/.exec(basename(path))?.[0] ?? '';
}

/** Finds a class; undefined where there is none, a sentence's part where there are several. */
type ClassIndex = ReturnType<typeof classIndex>;

function classIndex({ classes, wnids = [] }: Classes) {
  const byName = new Map<string, number[]>();
  const add = (name: string | undefined, i: number) => {
    if (name === undefined) return;
    const list = byName.get(name) ?? [];
    if (!list.includes(i)) byName.set(name, [...list, i]);
  };
  classes.forEach((name, i) => {
    add(name, i);
    add(alike(name), i);
    add(/^n\d{8}(?=\s)/.exec(name)?.[0], i); // "n01440764 tench, Tinca tinca"
  });
  wnids.forEach(add);
  return {
    classes,
    of: (label: string): readonly number[] => {
      const named = byName.get(label) ?? byName.get(alike(label));
      if (named) return named;
      return /^\d{1,9}$/.test(label) && Number(label) < classes.length ? [Number(label)] : [];
    },
  };
}

/** Names that differ in case, and in spaces that file systems do not like, are the same. */
function alike(name: string): string {
  return `\0${name
    .normalize('NFC')
    .toLowerCase()
    .replace(/[\s_]+/g, ' ')
    .trim()}`;
}

function labelled({ classes, of }: ClassIndex, label: string, what: string): Label {
  const found = of(label);
  if (found.length === 1) return found[0];
  const expected = `a class name, a WordNet id that the sidecar's "classes" give, or an index below ${classes.length}`;
  const advice =
    found.length > 1
      ? `Classes ${found.join(' and ')} are called so: give the index.`
      : didYouMean(label, classes);
  return {
    problem: `The label of ${what} must be ${expected}; received ${show(label)}. ${advice}`.trim(),
  };
}

async function labelsInTable(pictures: readonly string[], index: ClassIndex, path: string): Promise<Label[]> {
  const rows = parseTable(await readText(path, 'a table of labels'));
  const { picture, label } = columnsOf(rows, pictures, index);
  const seen = new Set<string>();
  const entries = rows.flatMap(({ cells, line }) => {
    const [name = '', value = ''] = [cells[picture], cells[label]];
    const row = JSON.stringify([name, value]);
    if (name === '' || seen.has(row)) return [];
    seen.add(row);
    return [
      { picture: name, source: `${path}:${line}`, files: [path], label: value, read: async () => ({}) },
    ];
  });
  const labels = new Map(entries.map((entry) => [entry.source, entry.label]));
  return matchAnnotations(pictures, entries).map((match, i): Label => {
    if (!match) return { problem: `${show(path)} has no line for ${show(pictures[i])}.` };
    if ('problem' in match) return match;
    return labelled(index, labels.get(match.source) as string, `${show(pictures[i])} in ${match.source}`);
  });
}

/** What columns of pictures and of classes are called, in lower case without spaces and marks. */
export const columnHeads = {
  picture: /^(image|img|picture|photo|file|filename|path|filepath|imagepath|imageid|imagename|id|name|key)$/,
  label:
    /^(label|labels|class|classname|classid|classindex|category|target|labelname|wnid|synset|species|breed|y)$/,
};

/** The columns of pictures and of classes: by their heads, else by what is in them. */
function columnsOf(rows: readonly Row[], pictures: readonly string[], index: ClassIndex) {
  const head = rows[0]?.cells.map((cell) => cell.toLowerCase().replace(/[\s_-]+/g, '')) ?? [];
  const named = (what: keyof typeof columnHeads) => head.findIndex((cell) => columnHeads[what].test(cell));
  const names = new Set(pictures.flatMap((path) => [basename(path), basename(path, extname(path))]));
  const sample = rows.slice(0, 2000);
  const width = sample.reduce((most, { cells }) => Math.max(most, cells.length), 0);
  const most = (count: (column: number) => number, otherThan = -1): number => {
    const columns = Array.from({ length: width }, (_, column) => column).filter(
      (column) => column !== otherThan,
    );
    return columns.reduce((best, column) => (count(column) > count(best) ? column : best), columns[0] ?? 0);
  };
  const isPicture = (cell = '') => names.has(basename(cell.replaceAll('\\', '/')));
  const isHeaded = named('picture') >= 0 && named('label') >= 0;
  const picture = isHeaded
    ? named('picture')
    : most((column) => sample.filter(({ cells }) => isPicture(cells[column])).length);
  const own = sample.filter(({ cells }) => isPicture(cells[picture])).slice(0, 200);
  const label = isHeaded
    ? named('label')
    : most((column) => own.filter(({ cells }) => index.of(cells[column] ?? '').length > 0).length, picture);
  return { picture, label };
}
