import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { closest } from '../../check.js';
import { GradcamppError } from '../../errors.js';
import { whyUnreadable } from '../../files.js';
import { naturalOrder } from '../../image/listing.js';

/** Pictures whose classes are known. */
export interface Labelled {
  readonly files: readonly string[];
  /** The classes of each, indices into `classes`, ascending: exactly one unless there may be several. */
  readonly labels: readonly (readonly number[])[];
  readonly classes: readonly string[];
  /** Whether a picture may have several classes, or none. */
  readonly isMultiLabel: boolean;
}

/**
 * The pictures of a folder that has a folder for each class.
 *
 * @param option what messages call the folder
 * @param classes the classes in the order of the scores; default: the folders, sorted as people sort
 * @throws GradcamppError INVALID_OPTION where a class has no folder or no pictures, or a folder is no class
 */
export async function labelledFolder(
  option: string,
  folder: string,
  classes?: readonly string[],
): Promise<Labelled> {
  const found = await foldersIn(option, folder);
  if (found.length === 0)
    throw wrong(option, folder, 'holds no folders: it must hold one for each class, with the pictures in it');
  const wanted = classes ?? found;
  checkClasses(option, folder, found, wanted);
  const files: string[] = [];
  const labels: number[][] = [];
  for (const [label, name] of wanted.entries()) {
    const own = await filesIn(join(folder, name));
    if (own.length === 0)
      throw wrong(option, folder, `has no pictures of class "${name}": add some, or take the folder away`);
    for (const file of own) {
      files.push(join(folder, name, file));
      labels.push([label]);
    }
  }
  return { files, labels, classes: wanted, isMultiLabel: false };
}

function checkClasses(
  option: string,
  folder: string,
  found: readonly string[],
  wanted: readonly string[],
): void {
  const missing = wanted.find((name) => !found.includes(name));
  const unknown = found.find((name) => !wanted.includes(name));
  if (missing === undefined && unknown === undefined) return;
  if (unknown !== undefined) {
    const near = closest(unknown, wanted, 1).map((name) => ` Closest: "${name}".`);
    const known = `the classes are ${wanted.slice(0, 12).join(', ')}${wanted.length > 12 ? ', …' : ''}`;
    throw wrong(option, folder, `has a folder "${unknown}", which is no class: ${known}.${near.join('')}`);
  }
  throw wrong(option, folder, `has no folder for class "${missing}"`);
}

async function foldersIn(option: string, folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries
      .filter((entry) => !entry.name.startsWith('.') && (entry.isDirectory() || entry.isSymbolicLink()))
      .map(({ name }) => name)
      .sort(naturalOrder);
  } catch (cause) {
    throw wrong(option, folder, `cannot be read: ${whyUnreadable(cause)}`);
  }
}

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries
    .filter((entry) => !entry.name.startsWith('.') && !entry.isDirectory())
    .map(({ name }) => name)
    .sort(naturalOrder);
}

function wrong(option: string, folder: string, what: string): GradcamppError {
  return new GradcamppError(
    'INVALID_OPTION',
    `"${option}" ${JSON.stringify(folder)} ${what}${what.endsWith('.') ? '' : '.'}`,
  );
}
