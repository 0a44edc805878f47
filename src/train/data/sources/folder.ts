import { basename, join } from 'node:path';
import { closest } from '../../../check.js';
import { GradcamppError } from '../../../errors.js';
import { whyUnreadable } from '../../../files.js';
import { filesIn, naturalOrder } from '../../../image/listing.js';
import type { Entry } from '../labelled.js';
import type { Place, Source } from './source.js';

/** A folder that has a folder for each class, with its pictures. */
export const folder: Source = {
  name: 'a folder with a folder of pictures for each class',
  takes: ({ isFolder }) => isFolder,
  read: async (place, { classes }) => {
    const { of } = place;
    const found = place.names.filter(({ isFolder }) => isFolder).map(({ name }) => name);
    found.sort(naturalOrder);
    if (found.length === 0)
      throw wrong(place, 'holds no folders: it must hold one for each class, with the pictures in it');
    const wanted = classes ?? found;
    checkClasses(place, found, wanted);
    const entries: Entry[] = [];
    const counts: number[] = [];
    for (const name of wanted) {
      const own = await filesOf(place, name);
      if (own.length === 0)
        throw wrong(place, `has no pictures of class "${name}": add some, or take the folder away`);
      counts.push(own.length);
      for (const file of own)
        entries.push({ picture: { name: file, file }, classes: [name], at: `folder "${name}"` });
    }
    const range = [Math.min(...counts), Math.max(...counts)].filter((n, i, all) => n !== all[i - 1]);
    const note = `${of}: ${entries.length} pictures in ${wanted.length} folders of classes, ${range.join(' to ')} in each.`;
    return { entries, classNames: wanted, isMultiLabel: false, notes: [note] };
  },
};

function checkClasses(place: Place, found: readonly string[], wanted: readonly string[]): void {
  const missing = wanted.find((name) => !found.includes(name));
  const unknown = found.find((name) => !wanted.includes(name));
  if (missing === undefined && unknown === undefined) return;
  if (unknown !== undefined) {
    const near = closest(unknown, wanted, 1).map((name) => ` Closest: "${name}".`);
    const known = `the classes are ${wanted.slice(0, 12).join(', ')}${wanted.length > 12 ? ', …' : ''}`;
    throw wrong(place, `has a folder "${unknown}", which is no class: ${known}.${near.join('')}`);
  }
  throw wrong(place, `has no folder for class "${missing}"`);
}

/** What systems leave beside pictures. */
const noise = ['thumbs.db', 'desktop.ini'];

/** The files in the class's folder and in its folders. */
async function filesOf(place: Place, name: string): Promise<string[]> {
  const { files, closed } = await filesIn(join(place.path, name));
  if (closed.length > 0)
    throw wrong(place, `has a folder "${name}" that cannot be read: ${whyUnreadable(closed[0].cause)}`);
  return files.filter((file) => !noise.includes(basename(file).toLowerCase()));
}

function wrong({ of }: Place, what: string): GradcamppError {
  return new GradcamppError('INVALID_OPTION', `${of} ${what}${what.endsWith('.') ? '' : '.'}`);
}
