import { extname, join } from 'node:path';
import { listArchive, type Member } from '../../../batch/inputs/archive.js';
import { Unpacked } from '../../../batch/inputs/unpacked.js';
import { GradcamppError, messageOf, show } from '../../../errors.js';
import { openFile, readInto } from '../../../files.js';
import { imageExtensions } from '../../../image/formats.js';
import { filesMatching, isGlob, naturalOrder } from '../../../image/listing.js';
import { namesBeside } from '../class-names.js';
import type { Entry } from '../labelled.js';
import type { Place, Source } from './source.js';

const isArchive = (name: string) => /\.(tar|tar\.gz|tgz)$/i.test(name);

/** Tar archives as of webdataset: `key.jpg` beside `key.cls` or `key.json`. One, a folder of them, or a pattern. */
export const shards: Source = {
  name: 'tar shards (.tar, a folder of them, or a pattern as shard-{000..009}.tar)',
  takes: ({ path, isFolder, names }) =>
    isFolder
      ? names.some(({ name, isFolder }) => !isFolder && isArchive(name)) && !names.some((own) => own.isFolder)
      : isArchive(path),
  read: async (place, { several }) => {
    const files = await filesOf(place);
    const samples: Sample[] = [];
    for (const file of files) samples.push(...(await samplesIn(place, file)));
    if (samples.length === 0) throw wrong(place, 'holds no pictures');
    const isMultiLabel = several ?? samples.some(({ isListed }) => isListed);
    const keys = new Set(samples.map(({ how }) => how));
    return {
      entries: samples.map(({ entry }) => entry),
      classNames: await namesBeside(files[0]),
      isMultiLabel,
      notes: [
        `${place.of}: ${samples.length} pictures of ${files.length} ${files.length === 1 ? 'archive' : 'archives'}, classes from ${[...keys].join(' and ')}, ${isMultiLabel ? 'several classes' : 'one class'} a picture.`,
      ],
    };
  },
};

interface Sample {
  readonly entry: Entry;
  /** Whether its classes are in an array. */
  readonly isListed: boolean;
  /** Where they were found, as `.cls`. */
  readonly how: string;
}

async function filesOf(place: Place): Promise<string[]> {
  const { path, isFolder, names } = place;
  if (isFolder) {
    const own = names.map(({ name }) => name).filter(isArchive);
    return own.sort(naturalOrder).map((name) => join(path, name));
  }
  const range = /\{(\d+)\.\.(\d+)\}/.exec(path);
  if (range) {
    const [whole, first, last] = range;
    const count = Number(last) - Number(first) + 1;
    if (count < 1 || count > 1e6) throw wrong(place, `has a range ${whole} of no shards`);
    return Array.from({ length: count }, (_, i) =>
      path.replace(whole, String(Number(first) + i).padStart(first.length, '0')),
    );
  }
  if (!isGlob(path)) return [path];
  const { files } = await filesMatching(path);
  if (files.length === 0) throw wrong(place, 'matches no archives');
  return [...files];
}

/** Files of so many bytes tell a class at most. */
const longest = 2 ** 20;

const unpacked = new Unpacked();

async function samplesIn(place: Place, file: string): Promise<Sample[]> {
  const listing = await listArchive(file, () => unpacked.file());
  if (listing.problem !== undefined)
    throw wrong(place, `has an archive ${JSON.stringify(file)} that cannot be read: ${listing.problem}`);
  const beside = new Map<string, Map<string, Member>>();
  for (const member of listing.others) {
    const { key, extension } = partsOf(member.name);
    beside.set(key, (beside.get(key) ?? new Map()).set(extension, member));
  }
  const from = { file: listing.file, ...(listing.file === file ? {} : { origin: file }) };
  const opened = await openFile(listing.file);
  try {
    const textOf = async ({ name, place: at }: Member) => {
      if ('problem' in at || at.size > longest)
        throw wrong(place, `has ${show(`${file}/${name}`)}, which is no class`);
      const bytes = Buffer.alloc(at.size);
      await readInto(opened, bytes, at.offset);
      return bytes.toString('utf8').trim();
    };
    const samples: Sample[] = [];
    const pictures = listing.pictures.filter(({ name }) =>
      imageExtensions.includes(extname(name).toLowerCase()),
    );
    for (const { name, place: at } of pictures) {
      const own = beside.get(partsOf(name).key);
      const told = own?.get('.cls') ?? own?.get('.json');
      const path = `${file}/${name}`;
      if (!told)
        throw wrong(
          place,
          `has a picture ${show(path)} without a class beside it, as ${partsOf(name).key}.cls`,
        );
      const { classes, isListed, how } = classesOf(place, `${file}/${told.name}`, await textOf(told));
      const picture =
        'problem' in at ? { name: path, ...from, problem: at.problem } : { name: path, ...from, part: at };
      samples.push({ entry: { picture, classes, at: told.name }, isListed, how });
    }
    return samples;
  } finally {
    await opened.close();
  }
}

/** The key is what stands before the first dot of the name, in its folder. */
function partsOf(name: string): { key: string; extension: string } {
  const dot = name.indexOf('.', name.lastIndexOf('/') + 1);
  return dot < 0
    ? { key: name, extension: '' }
    : { key: name.slice(0, dot), extension: name.slice(dot).toLowerCase() };
}

/** Keys of JSON that tell a class, the surest first. */
const keys = ['cls', 'label', 'labels', 'class', 'classes', 'class_id', 'target', 'targets'];

function classesOf(
  place: Place,
  name: string,
  text: string,
): { classes: string[]; isListed: boolean; how: string } {
  if (!name.endsWith('.json'))
    return { classes: text === '' ? [] : [text], isListed: false, how: extname(name) };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw wrong(place, `has ${show(name)}, which is not JSON: ${messageOf(cause)}`);
  }
  const isObject = value !== null && typeof value === 'object' && !Array.isArray(value);
  const key = isObject ? keys.find((own) => own in (value as object)) : undefined;
  const found = isObject ? key && (value as Record<string, unknown>)[key] : value;
  const names: unknown[] = Array.isArray(found) ? found : [found];
  if (!names.every((own) => ['string', 'number', 'boolean'].includes(typeof own)))
    throw wrong(place, `has ${show(name)} without a class: one of ${keys.join(', ')} is expected in it`);
  const how = `.json${key === undefined ? '' : ` ("${key}")`}`;
  return { classes: names.map(String), isListed: Array.isArray(found), how };
}

function wrong({ of }: Place, what: string): GradcamppError {
  return new GradcamppError('INVALID_OPTION', `${of} ${what}${what.endsWith('.') ? '' : '.'}`);
}
