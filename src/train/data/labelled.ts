import { closest } from '../../check.js';
import { GradcamppError } from '../../errors.js';
import { naturalOrder } from '../../image/listing.js';
import type { PictureSource } from './picture-source.js';

/** What pictures are for: to train on, to choose by while training, to measure on at the end. */
export const parts = ['train', 'validation', 'test'] as const;
export type Part = (typeof parts)[number];

/** Pictures whose classes are known. */
export interface Labelled {
  readonly pictures: readonly PictureSource[];
  /** The classes of each, indices into `classes`, ascending: exactly one unless there may be several. */
  readonly labels: readonly (readonly number[])[];
  readonly classes: readonly string[];
  /** What each is for, where the source says it. */
  readonly parts?: readonly Part[] | undefined;
  /** Whether a picture may have several classes, or none. */
  readonly isMultiLabel: boolean;
  /** What was understood, a sentence each. */
  readonly notes: readonly string[];
}

/** A picture as a source names it. */
export interface Entry {
  readonly picture: PictureSource;
  /** Its classes as they are written: names, or indices into the classes that are known. */
  readonly classes: readonly string[];
  /** What it is for, where that is written. */
  readonly part?: Part | undefined;
  /** Where that is written, as messages say it: `line 3`. */
  readonly at: string;
}

/** What is in a source. */
export interface Read {
  readonly entries: readonly Entry[];
  /** The names of the classes in their order, where the source gives them. */
  readonly classNames?: readonly string[] | undefined;
  readonly isMultiLabel: boolean;
  readonly notes: readonly string[];
}

/** What is known of the classes before a source is read. */
export interface Wanted {
  /** In the order of the scores; undefined: those of the source. */
  readonly classes?: readonly string[] | undefined;
  /** Whether pictures have several classes; undefined: as the source says. */
  readonly several?: boolean | undefined;
}

/**
 * Classes by name, or by index.
 *
 * @param of what messages call the source, as `"data" "train.csv"`
 * @throws GradcamppError INVALID_OPTION for a class that is not known, a class without a picture, a picture without a class
 */
export function resolved(of: string, read: Read, { classes: wanted }: Wanted): Labelled {
  const classes = wanted ?? read.classNames ?? namesIn(read.entries);
  const byName = new Map(classes.map((name, i) => [name, i]));
  const {
    pictures,
    labels,
    parts: own,
    repeated,
  } = merged(of, read, (typed, at) => {
    const index = byName.get(typed) ?? indexIn(typed, classes.length);
    if (index !== undefined) return index;
    throw new GradcamppError('INVALID_OPTION', `${of}, ${at}, ${notKnown(typed, classes)}`);
  });
  const counts = Array<number>(classes.length).fill(0);
  for (const all of labels) for (const label of all) counts[label]++;
  const empty = counts.indexOf(0);
  if (empty >= 0)
    throw new GradcamppError(
      'INVALID_OPTION',
      `${of} has no pictures of class "${classes[empty]}": add some, or take the class away.`,
    );
  const notes =
    repeated > 0
      ? [
          ...read.notes,
          `${of} names ${repeated === 1 ? 'a picture' : `${repeated} pictures`} again with the same class: taken once.`,
        ]
      : read.notes;
  return { pictures, labels, classes, parts: own, isMultiLabel: read.isMultiLabel, notes };
}

/** The classes that are written, sorted as people sort. */
function namesIn(entries: readonly Entry[]): string[] {
  return [...new Set(entries.flatMap(({ classes }) => classes))].sort(naturalOrder);
}

function indexIn(typed: string, count: number): number | undefined {
  return /^\d{1,9}$/.test(typed) && Number(typed) < count ? Number(typed) : undefined;
}

function notKnown(typed: string, classes: readonly string[]): string {
  const near = closest(typed, classes, 1).map((name) => ` Closest: "${name}".`);
  const known = `the classes are ${classes.slice(0, 12).join(', ')}${classes.length > 12 ? ', …' : ''}`;
  if (/^-?\d+$/.test(typed))
    return `has class ${typed}, and indices go from 0 to ${classes.length - 1}: ${known}.`;
  return `has a class "${typed}", which is none: ${known}.${near.join('')}`;
}

/** One entry a picture: classes of several lines are those of one picture, where it may have several. */
function merged(
  of: string,
  { entries, isMultiLabel }: Read,
  indexOf: (typed: string, at: string) => number,
): { pictures: PictureSource[]; labels: number[][]; parts: Part[] | undefined; repeated: number } {
  const found = new Map<string, { picture: PictureSource; labels: number[]; entry: Entry }>();
  let repeated = 0;
  for (const entry of entries) {
    const { picture, classes, at } = entry;
    const own = [...new Set(classes.map((typed) => indexOf(typed, at)))].sort((a, b) => a - b);
    if (!isMultiLabel && own.length !== 1)
      throw new GradcamppError(
        'INVALID_OPTION',
        `${of}, ${at}, has ${own.length === 0 ? 'no class' : `${own.length} classes`} of ${JSON.stringify(picture.name)}, and one is expected; several are taken with --classes-per-picture several.`,
      );
    const known = found.get(picture.name);
    if (!known) {
      found.set(picture.name, { picture, labels: own, entry });
      continue;
    }
    if (known.entry.part !== entry.part)
      throw new GradcamppError(
        'INVALID_OPTION',
        `${of} names ${JSON.stringify(picture.name)} twice, for ${known.entry.part} (${known.entry.at}) and for ${entry.part} (${at}): leave one out.`,
      );
    const added = own.filter((label) => !known.labels.includes(label));
    if (added.length === 0) repeated++;
    else if (isMultiLabel) known.labels = [...known.labels, ...added].sort((a, b) => a - b);
    else
      throw new GradcamppError(
        'INVALID_OPTION',
        `${of} names ${JSON.stringify(picture.name)} twice, of class "${known.entry.classes[0]}" (${known.entry.at}) and of class "${classes[0]}" (${at}): leave one out, or take both with --classes-per-picture several.`,
      );
  }
  const all = [...found.values()];
  return {
    pictures: all.map(({ picture }) => picture),
    labels: all.map(({ labels }) => labels),
    parts: entries.some(({ part }) => part) ? all.map(({ entry }) => entry.part ?? 'train') : undefined,
    repeated,
  };
}
