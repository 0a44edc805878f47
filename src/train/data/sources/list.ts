import { access } from 'node:fs/promises';
import { basename, dirname, extname, isAbsolute, join } from 'node:path';
import { parseTable } from '../../../evaluate/annotations/delimited.js';
import { columnHeads } from '../../../evaluate/annotations/labels.js';
import { GradcamppError, messageOf, show } from '../../../errors.js';
import { decodeText } from '../../../decode-text.js';
import { readTextBytes, whyUnreadable } from '../../../files.js';
import { imageExtensions } from '../../../image/formats.js';
import type { Entry, Part, Wanted } from '../labelled.js';
import type { Place, Source } from './source.js';

/** A file that names pictures and their classes: a table (commas, semicolons, tabs), or an object in JSON a line. */
export const list: Source = {
  name: 'a list of pictures and classes (.csv, .tsv, .txt, .jsonl)',
  takes: ({ path, isFolder }) =>
    !isFolder && ['.csv', '.tsv', '.txt', '.jsonl', '.ndjson'].includes(extname(path).toLowerCase()),
  read: async (place, wanted) => {
    const text = await textOf(place);
    const isJson = /^\.(jsonl|ndjson)$/i.test(extname(place.path));
    const table = isJson ? fromJson(place, text) : fromTable(place, text);
    if (table.rows.length === 0) throw wrong(place, 'names no pictures');
    const found = await rootOf(place, table.rows);
    const { isMultiLabel, classesOf } = separation(table, wanted);
    const entries = table.rows.map((row): Entry => {
      const file = found.pathOf(row.picture);
      return {
        picture: { name: file, file },
        classes: classesOf(row),
        part: row.part,
        at: `line ${row.line}`,
      };
    });
    return {
      entries,
      classNames: table.classNames,
      isMultiLabel,
      notes: [noteOf(place, { table, entries, isMultiLabel, root: found.root })],
    };
  },
};

/** One line: a picture, and its classes, each by itself or in one text. */
interface Row {
  readonly picture: string;
  readonly classes: string | readonly string[];
  /** What the picture is for, where there is a column of that. */
  readonly part?: Part | undefined;
  readonly line: number;
}

interface Table {
  readonly rows: readonly Row[];
  /** Where picture and class were found, as `columns "file" and "label"`. */
  readonly how: string;
  /** Whether classes stand in arrays, or one for each is ticked. */
  readonly isListed?: boolean;
  /** Whether the head is one of several, as "labels". */
  readonly isPlural?: boolean;
  readonly classNames?: readonly string[];
}

async function textOf(place: Place): Promise<string> {
  let text: string;
  try {
    text = decodeText(await readTextBytes(place.path));
  } catch (cause) {
    throw wrong(place, `cannot be read: ${whyUnreadable(cause)}`);
  }
  if (text.includes('\0')) throw wrong(place, 'is no list: it is no text');
  if (text.trim() === '') throw wrong(place, 'is empty: a line for each picture with its class is expected');
  return text;
}

const plain = (head: string) => head.toLowerCase().replace(/[\s_-]+/g, '');
const isPictureHead = (head: string) => columnHeads.picture.test(plain(head));
const isLabelHead = (head: string) => columnHeads.label.test(plain(head)) || isPluralHead(head);
const isPartHead = (head: string) => /^(split|splits|subset|partition|set|usage|phase)$/.test(plain(head));
const isPluralHead = (head: string) => /^(labels|classes|tags|categories|targets)$/.test(plain(head));
const looksLikePicture = (cell: string) => imageExtensions.includes(extname(cell).toLowerCase());

function fromTable(place: Place, text: string): Table {
  refuseLoneWords(place, text);
  const [first, ...others] = parseTable(text);
  if (!first) throw wrong(place, 'has no line with a picture and a class');
  const heads = first.cells;
  const isHeaded = heads.some(isPictureHead) && !heads.some(looksLikePicture);
  const picture = pictureColumn(heads, others);
  if (isHeaded) {
    const part = partColumn(heads, picture, others);
    const ticked = tickedClasses(place, heads, { picture, part }, others);
    if (ticked) return ticked;
    const label = heads.findIndex((head, i) => i !== picture && isLabelHead(head));
    if (label >= 0)
      return {
        rows: others.map((row) => ({ ...rowOf(place, row, picture, label), part: partIn(place, row, part) })),
        how: `columns "${heads[picture]}" and "${heads[label]}"${partsOf(heads[part])}${unusedOf(heads, [picture, label, part])}`,
        isPlural: isPluralHead(heads[label]),
      };
  }
  const width = others.reduce((most, { cells }) => Math.max(most, cells.length), heads.length);
  if (width !== 2)
    throw wrong(
      place,
      `has ${width === 1 ? 'one column' : `${width} columns`}${isHeaded ? `, of which none is called label (${heads.join(', ')})` : ' and no header'}: two are expected, or a header that names them, as "path,label"`,
    );
  const all = [first, ...others];
  const own = pictureColumn(isHeaded ? heads : [], all);
  // A header in other words than ours: no picture in it, and pictures below.
  const isOtherHead =
    !looksLikePicture(heads[own]) && others.some(({ cells }) => looksLikePicture(cells[own] ?? ''));
  const rows = isOtherHead || isHeaded ? others : all;
  return {
    rows: rows.map((row) => rowOf(place, row, own, 1 - own)),
    how: isOtherHead || isHeaded ? `columns "${heads[own]}" and "${heads[1 - own]}"` : 'no header',
    isPlural: isOtherHead && isPluralHead(heads[1 - own]),
  };
}

interface Cells {
  readonly cells: readonly string[];
  readonly line: number;
}

/** How lists write what a picture is for. */
const partNames: Readonly<Record<string, Part>> = {
  train: 'train',
  training: 'train',
  fit: 'train',
  val: 'validation',
  valid: 'validation',
  validation: 'validation',
  dev: 'validation',
  test: 'test',
  testing: 'test',
};

/** The column that says what pictures are for; −1: none. Another may be called so, as a set of cards: its words are others. */
function partColumn(heads: readonly string[], picture: number, rows: readonly Cells[]): number {
  const known = (i: number) => rows.some(({ cells }) => plain(cells[i] ?? '') in partNames);
  return heads.findIndex((head, i) => i !== picture && isPartHead(head) && known(i));
}

function partIn(place: Place, { cells, line }: Cells, column: number): Part | undefined {
  return column < 0 ? undefined : partOf(place, cells[column] ?? '', line);
}

function partOf(place: Place, text: string, line: number): Part {
  const part = partNames[plain(text)];
  if (part) return part;
  throw wrong(
    place,
    `must say what each picture is for, train, validation or test, or leave that out; line ${line} has ${show(text)}`,
  );
}

function partsOf(head: string | undefined): string {
  return head === undefined ? '' : `, and what each is for from "${head}"`;
}

/** A column that says more than is read is named. */
function unusedOf(heads: readonly string[], used: readonly number[]): string {
  const others = heads.flatMap((head, i) => (used.includes(i) ? [] : [`"${head}"`]));
  const shown = [...others.slice(0, 8), ...(others.length > 8 ? ['…'] : [])];
  return others.length > 0 ? ` (not used: ${shown.join(', ')})` : '';
}

/** What stands alone in its line has no class; a table's reader would pass it over. */
function refuseLoneWords(place: Place, text: string): void {
  for (const [i, line] of text.split(/\r\n|\r|\n/).entries())
    if (line.trim() !== '' && !/[\s,;"]/.test(line.trim()))
      throw wrong(place, `has no class in line ${i + 1}, which is ${show(line.trim())}`);
}

/** The column in which most cells are called like pictures; where none is, the one that is headed so. */
function pictureColumn(
  heads: readonly string[],
  rows: readonly { readonly cells: readonly string[] }[],
): number {
  const count = (i: number) => rows.filter(({ cells }) => looksLikePicture(cells[i] ?? '')).length;
  const columns = Array.from({ length: Math.max(heads.length, rows[0]?.cells.length ?? 0) }, (_, i) => i);
  const best = columns.reduce((most, i) => (count(i) > count(most) ? i : most), 0);
  return count(best) > 0 ? best : Math.max(heads.findIndex(isPictureHead), 0);
}

function rowOf(place: Place, { cells, line }: Cells, picture: number, label: number): Row {
  const path = cells[picture] ?? '';
  if (path === '') throw wrong(place, `names no picture in line ${line}`);
  const cell = cells[label] ?? '';
  return { picture: path, classes: arrayIn(cell) ?? cell, line };
}

/** `["cat", "dog"]` in a cell. */
function arrayIn(cell: string): string[] | undefined {
  if (!cell.startsWith('[')) return undefined;
  for (const text of [cell, cell.replaceAll("'", '"')]) // as Python writes it
    try {
      return (JSON.parse(text) as unknown[]).map(String);
    } catch {
      // not so
    }
  return undefined;
}

/** A column for each class, 1 where the picture has it and 0 where not; none of them is headed as the label. */
function tickedClasses(
  place: Place,
  heads: readonly string[],
  { picture, part }: { readonly picture: number; readonly part: number },
  rows: readonly Cells[],
): Table | undefined {
  const columns = heads.flatMap((_, i) => (i === picture || i === part ? [] : [i]));
  const isTicked = rows.every(({ cells }) => columns.every((i) => /^[01](\.0*)?$/.test(cells[i] ?? '')));
  if (columns.length < 2 || rows.length === 0 || !isTicked) return undefined;
  const isLabel = (head: string) => /^(label|class|category|target)(id|index|name)?$/.test(plain(head));
  if (columns.some((i) => isLabel(heads[i]))) return undefined;
  return {
    rows: rows.map((row) => ({
      picture: row.cells[picture] ?? '',
      classes: columns.filter((i) => Number(row.cells[i]) === 1).map((i) => heads[i]),
      part: partIn(place, row, part),
      line: row.line,
    })),
    how: `column "${heads[picture]}" and one of 0 and 1 for each class${partsOf(heads[part])}`,
    classNames: columns.map((i) => heads[i]),
  };
}

/** An object a line, with a picture and its class or classes; or an array of both. */
function fromJson(place: Place, text: string): Table {
  const heads = new Set<string>();
  let isListed = false;
  const read = text.split(/\r\n|\r|\n/).flatMap((content, i): (Row & { readonly said: unknown })[] => {
    if (content.trim() === '') return [];
    const line = i + 1;
    const value = jsonOf(place, content, line);
    const pairs: [string, unknown][] = Array.isArray(value)
      ? [
          ['path', value[0]],
          ['label', value[1]],
        ]
      : Object.entries(Object(value));
    const picture = pairs.find(([key]) => isPictureHead(key));
    const label = pairs.find(([key]) => isLabelHead(key));
    if (typeof picture?.[1] !== 'string' || picture[1] === '' || label === undefined)
      throw wrong(
        place,
        `must have an object with "path" and "label" in each line; line ${line} is ${show(content)}`,
      );
    heads.add(`"${picture[0]}" and "${label[0]}"`);
    const classes = Array.isArray(label[1]) ? label[1] : [label[1]];
    if (!classes.every((name) => ['string', 'number', 'boolean'].includes(typeof name)))
      throw wrong(place, `must have names or numbers as "${label[0]}"; line ${line} has ${show(label[1])}`);
    isListed ||= Array.isArray(label[1]);
    const part = pairs.find(([key]) => isPartHead(key));
    return [{ picture: picture[1], classes: classes.map(String), said: part?.[1], line }];
  });
  const isKnown = (said: unknown) => typeof said === 'string' && plain(said) in partNames;
  const hasParts = read.some(({ said }) => isKnown(said));
  const rows = read.map(({ said, ...row }): Row => {
    return hasParts ? { ...row, part: partOf(place, String(said ?? ''), row.line) } : row;
  });
  return { rows, how: `keys ${[...heads].join(', ')}`, isListed };
}

function jsonOf(place: Place, content: string, line: number): unknown {
  try {
    return JSON.parse(content);
  } catch (cause) {
    throw wrong(place, `is not JSON in line ${line}: ${messageOf(cause)}`);
  }
}

/** Whether pictures have several classes, and how these are parted. */
function separation(
  { rows, isListed, isPlural, classNames }: Table,
  { classes, several }: Wanted,
): { isMultiLabel: boolean; classesOf: (row: Row) => readonly string[] } {
  const known = classes ?? classNames;
  const whole = (row: Row) => (typeof row.classes === 'string' ? [row.classes].filter(Boolean) : row.classes);
  const parted = (row: Row) => {
    if (typeof row.classes !== 'string') return row.classes;
    if (known?.includes(row.classes)) return [row.classes];
    return row.classes.split(/[\s|;,]+/).filter(Boolean);
  };
  const isMultiLabel =
    several ??
    (rows.some(({ classes: own }) => typeof own !== 'string' && (isListed || own.length !== 1)) ||
      areParted(rows, known, isPlural));
  return { isMultiLabel, classesOf: isMultiLabel ? parted : whole };
}

/**
 * Whether texts as `cat dog` are several classes: where it is known which there are, by these; else where there is a `|` or `;` in
 * one, where the head says so (`labels`), and where fewer words than texts come alone and in company.
 */
function areParted(rows: readonly Row[], known: readonly string[] | undefined, isPlural = false): boolean {
  const texts = [...new Set(rows.flatMap(({ classes }) => (typeof classes === 'string' ? [classes] : [])))];
  if (texts.some((text) => /[|;]/.test(text))) return true;
  const words = texts.map((text) => text.split(/[\s,]+/).filter(Boolean));
  if (words.every((own) => own.length < 2)) return false;
  if (isPlural) return true;
  if (known) {
    const isKnown = (name: string) => known.includes(name);
    return texts.some((text, i) => !isKnown(text) && words[i].length > 1 && words[i].every(isKnown));
  }
  const vocabulary = new Set(words.flat());
  return vocabulary.size < texts.length && new Set(words.map((own) => own.length)).size > 1;
}

/** Pictures are looked for beside the list, and else in the working folder. */
async function rootOf(
  { path }: Place,
  rows: readonly Row[],
): Promise<{ root: string; pathOf: (picture: string) => string }> {
  const slashed = (picture: string) =>
    process.platform !== 'win32' && picture.includes('\\') ? picture.replaceAll('\\', '/') : picture;
  const under = (root: string) => (picture: string) =>
    isAbsolute(picture) ? picture : join(root, slashed(picture));
  const sample = rows.slice(0, 50);
  for (const root of [dirname(path), '.']) {
    const there = await Promise.all(
      sample.map(({ picture }) =>
        access(under(root)(picture)).then(
          () => true,
          () => false,
        ),
      ),
    );
    if (there.some(Boolean)) return { root, pathOf: under(root) };
  }
  return { root: dirname(path), pathOf: under(dirname(path)) };
}

function noteOf(
  { of, path }: Place,
  own: { table: Table; entries: readonly Entry[]; isMultiLabel: boolean; root: string },
): string {
  const { table, entries, isMultiLabel, root } = own;
  const most = entries.reduce((count, { classes }) => Math.max(count, classes.length), 0);
  const several = isMultiLabel ? `several classes a picture, ${most} at most` : 'one class a picture';
  const where =
    root === '.' && dirname(path) !== '.' ? 'paths from the working folder' : 'paths from its folder';
  return `${of}: ${entries.length} lines of ${basename(path)}, ${table.how}, ${where}, ${several}.`;
}

function wrong({ of }: Place, what: string): GradcamppError {
  return new GradcamppError('INVALID_OPTION', `${of} ${what}${what.endsWith('.') ? '' : '.'}`);
}
