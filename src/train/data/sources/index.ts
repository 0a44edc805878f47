import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { GradcamppError } from '../../../errors.js';
import { whyUnreadable } from '../../../files.js';
import { isGlob } from '../../../image/listing.js';
import { type Labelled, resolved, type Wanted } from '../labelled.js';
import { arrays } from './arrays.js';
import { folder } from './folder.js';
import { list } from './list.js';
import { shards } from './shards.js';
import type { Place, Source } from './source.js';

/** Every form that labelled pictures may have; the first that takes a path reads it. */
export const sources: readonly Source[] = [shards, folder, list, arrays];

/**
 * Pictures and their classes, in whatever form.
 *
 * @param option what messages call it, as "data"
 * @throws GradcamppError INVALID_OPTION where it cannot be read, names a class that is none, or has a class without a picture
 */
export async function labelledPictures(option: string, path: string, wanted: Wanted = {}): Promise<Labelled> {
  const place = await placeOf(option, path);
  const source = sources.find((own) => own.takes(place));
  if (!source) throw wrong(place, `is none of these: ${sources.map(({ name }) => name).join('; ')}`);
  return resolved(place.of, await source.read(place, wanted), wanted);
}

async function placeOf(option: string, path: string): Promise<Place> {
  const place = { of: `"${option}" ${JSON.stringify(path)}`, path, isFolder: false, names: [] };
  try {
    const stats = await stat(path);
    if (!stats.isDirectory()) return place;
    return { ...place, isFolder: true, names: await namesIn(path) };
  } catch (cause) {
    if (isGlob(path)) return place;
    throw wrong(place, `cannot be read: ${whyUnreadable(cause)}`);
  }
}

/** Links to folders are folders. */
async function namesIn(path: string): Promise<Place['names']> {
  const entries = await readdir(path, { withFileTypes: true });
  const shown = entries.filter(({ name }) => !name.startsWith('.'));
  return Promise.all(
    shown.map(async (entry) => {
      const own = entry.isSymbolicLink() ? await stat(join(path, entry.name)).catch(() => entry) : entry;
      return { name: entry.name, isFolder: own.isDirectory() };
    }),
  );
}

function wrong({ of }: Place, what: string): GradcamppError {
  return new GradcamppError('INVALID_OPTION', `${of} ${what}${what.endsWith('.') ? '' : '.'}`);
}
