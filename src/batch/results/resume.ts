import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { openFile, readInto } from '../../files.js';
import type { Inputs } from '../inputs/inputs.js';
import { keepPieces, type Piece, readLines } from './lines.js';
import type { Done } from '../picture.js';
import { type RunFolder, resultsFile } from './run-folder.js';
import { readEntries, type TarEntry } from '../inputs/tar.js';

/** Of so many last pictures the content is compared, not only the size: after a power cut sizes can be right, content not. */
const compared = 2000;

/** What the journal says of a picture that is done. */
export interface DoneEntry {
  readonly index: number;
  /** Size and time of change of the picture when it was listed. */
  readonly state: string;
  readonly failed: boolean;
  /** Length and CRC-32 of its lines in `results.jsonl`. */
  readonly lines: readonly [length: number, checksum: number];
  /** The archive that its files are in. */
  readonly archive?: string;
  readonly files: Done['files'];
}

/** A picture that the journal lists, and where its line begins. */
interface Known extends DoneEntry {
  readonly start: number;
}

/**
 * Compares the journal of a folder with what is there, and leaves what is whole, in the order of the inputs: lines,
 * members of archives, and the journal's own lines. A picture is whole if it is the one that was explained, and all that
 * is its own is there as it was written.
 *
 * @returns what is done, by index: 1; 2 where the picture failed
 */
export async function keepWhole(folder: RunFolder<DoneEntry>, inputs: Inputs): Promise<Uint8Array> {
  const { out, journal } = folder;
  const noted = await notedPictures(folder, inputs);
  const recent = new Set([...noted.keys()].slice(-compared));
  const lines = await findLines(join(out, resultsFile), noted);
  const members = await findMembers(out, noted, recent);
  const damaged = await damagedFiles(out, noted, recent);
  const whole = [...noted.values()]
    .filter(({ index }) => lines.has(index) && members.has(index) && !damaged.has(index))
    .sort((a, b) => a.index - b.index);
  const piecesOf = (found: ReadonlyMap<number, Piece>, of: readonly Known[]) =>
    of.map(({ index }) => found.get(index) as Piece).filter(({ start, end }) => end > start);
  await keepPieces(join(out, resultsFile), piecesOf(lines, whole), folder.partial('results'));
  for (const archive of new Set(inputs.list.flatMap((input) => input.archive ?? []))) {
    const own = whole.filter((known) => known.archive === archive);
    await keepPieces(join(out, archive), piecesOf(members, own), folder.partial('archive'));
  }
  const starts = new Map(whole.map(({ index, start }) => [index, start]));
  await journal.keep(({ entry, start }) => starts.get(entry.index) === start);
  const done = new Uint8Array(inputs.list.length);
  for (const { index, failed } of whole) done[index] = failed ? 2 : 1;
  return done;
}

/** What the journal lists of pictures that are still the same, each once, in its order. */
async function notedPictures({ journal }: RunFolder<DoneEntry>, inputs: Inputs): Promise<Map<number, Known>> {
  const noted = new Map<number, Known>();
  for await (const { entry, start } of journal.read()) {
    const { index, state } = entry;
    if (index < inputs.list.length && !noted.has(index) && state === inputs.stateOf(index))
      noted.set(index, { ...entry, start });
  }
  return noted;
}

/** Where the lines of each picture are, if they are as the journal says. */
async function findLines(path: string, noted: ReadonlyMap<number, Known>): Promise<Map<number, Piece>> {
  const found = new Map<number, Piece>();
  let group: { index: number; start: number; end: number; checksum: number } | undefined;
  for await (const { bytes, start, hasLineFeed } of readLines(path)) {
    const index = Number(/^\{"index":(\d+),/.exec(bytes.toString('latin1', 0, 40))?.[1] ?? Number.NaN);
    const line = hasLineFeed ? Buffer.concat([bytes, Buffer.from('\n')]) : bytes;
    if (group?.index !== index) group = { index, start, end: start, checksum: 0 };
    group.end += line.length;
    group.checksum = crc32(line, group.checksum);
    const [length, checksum] = noted.get(index)?.lines ?? [];
    if (found.has(index) || group.end - group.start !== length) continue;
    if (group.checksum === checksum) found.set(index, group);
    group = undefined; // the next line of this number begins anew
  }
  return found;
}

/** Where the members of each picture are in its archive; an empty piece for those without. */
async function findMembers(
  out: string,
  noted: ReadonlyMap<number, Known>,
  recent: ReadonlySet<number>,
): Promise<Map<number, Piece>> {
  const found = new Map<number, Piece>();
  const inArchives = new Map<string, Known[]>();
  for (const known of noted.values()) {
    const { index, archive, files } = known;
    if (archive === undefined || files.length === 0) found.set(index, { start: 0, end: 0 });
    else inArchives.set(archive, [...(inArchives.get(archive) ?? []), known]);
  }
  for (const [archive, pictures] of inArchives) {
    const path = join(out, archive);
    const members = await membersOf(path);
    for (const { index, files } of pictures) {
      const own = files.map(([name]) => members.get(name));
      const isThere = own.every(
        (member, i) => member?.size === files[i][1] && (i === 0 || member.start === own[i - 1]?.end),
      );
      if (!isThere || (recent.has(index) && !(await areAsWritten(path, own as TarEntry[], files)))) continue;
      found.set(index, { start: (own[0] as TarEntry).start, end: (own.at(-1) as TarEntry).end });
    }
  }
  return found;
}

/** As far as the archive can be read. */
async function membersOf(path: string): Promise<Map<string, TarEntry>> {
  const members = new Map<string, TarEntry>();
  const file = await openFile(path).catch(() => undefined);
  try {
    if (file) for await (const entry of readEntries(file)) members.set(entry.name, entry);
  } catch {
    // what follows is written again
  } finally {
    await file?.close();
  }
  return members;
}

async function areAsWritten(
  path: string,
  members: readonly TarEntry[],
  files: DoneEntry['files'],
): Promise<boolean> {
  const file = await openFile(path);
  try {
    for (const [i, { offset, size }] of members.entries()) {
      const bytes = Buffer.alloc(size);
      await readInto(file, bytes, offset);
      if (crc32(bytes) !== files[i][2]) return false;
    }
    return true;
  } finally {
    await file.close();
  }
}

/** Pictures of whose own files one is not as it was written. */
async function damagedFiles(
  out: string,
  noted: ReadonlyMap<number, Known>,
  recent: ReadonlySet<number>,
): Promise<Set<number>> {
  const damaged = new Set<number>();
  const check = async ({ index, archive, files }: Known) => {
    if (archive === undefined && !(await areWhole(out, files, recent.has(index)))) damaged.add(index);
  };
  const list = [...noted.values()];
  for (let i = 0; i < list.length; i += together)
    await Promise.all(list.slice(i, i + together).map((known) => check(known)));
  return damaged;
}

/** Pictures whose files are looked at together. */
const together = 64;

async function areWhole(out: string, files: DoneEntry['files'], isRecent: boolean): Promise<boolean> {
  for (const [name, size, checksum] of files) {
    const path = join(out, name);
    if ((await stat(path).catch(() => undefined))?.size !== size) return false;
    if (isRecent && crc32(await readFile(path)) !== checksum) return false;
  }
  return true;
}
