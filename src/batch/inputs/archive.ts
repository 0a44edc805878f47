import { createReadStream, createWriteStream } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { extname, posix } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { messageOf } from '../../errors.js';
import { clipExtensions } from '../../clip/sources/index.js';
import { openFile, whyUnreadable } from '../../files.js';
import { imageExtensions } from '../../image/formats.js';
import { DamagedArchive, readEntries, type TarEntry } from './tar.js';

/** A file in an archive. */
export interface Member {
  readonly name: string;
  /** Where its bytes are; or why there are none. */
  readonly place: { readonly offset: number; readonly size: number } | { readonly problem: string };
}

/** What is in an archive. */
export interface Listing {
  /** The file that members are read from: the archive, or what it was unpacked to. */
  readonly file: string;
  readonly pictures: readonly Member[];
  readonly others: readonly Member[];
  /** Why not all of it could be read. */
  readonly problem?: string;
}

/** A compressed archive is unpacked to a file, since members are read in any order, by several workers: of so many bytes at most. */
export const maxUnpacked = 4 * 2 ** 30;

/** How files of other kinds begin. */
const others: readonly (readonly [string, string])[] = [
  ['\xfd7zXZ', 'it is compressed with xz; unpack it first'],
  ['BZh', 'it is compressed with bzip2; unpack it first'],
  ['\x28\xb5\x2f\xfd', 'it is compressed with zstd; unpack it first'],
  ['PK\x03\x04', 'it is a zip archive; unpack it, and give the folder'],
];

/**
 * Lists an archive. What is damaged in it costs no more than what cannot be read for it.
 *
 * @param unpacked where a compressed archive is unpacked to
 */
export async function listArchive(path: string, unpacked: () => Promise<string>): Promise<Listing> {
  let file: string = path;
  let problem: string | undefined;
  try {
    const beginning = await beginningOf(path);
    problem = others.find(([signature]) => beginning.startsWith(signature))?.[1];
    if (problem) return { file, pictures: [], others: [], problem };
    if (beginning.startsWith('\x1f\x8b')) {
      file = await unpacked();
      problem = await unpack(path, file);
    }
    const listing = await listTar(file);
    return { ...listing, file, problem: problem ?? listing.problem };
  } catch (cause) {
    return { file, pictures: [], others: [], problem: whyUnreadable(cause) };
  }
}

async function beginningOf(path: string): Promise<string> {
  const file = await openFile(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(8), 0, 8, 0);
    return buffer.toString('latin1', 0, bytesRead);
  } finally {
    await file.close();
  }
}

/** @returns why not all of it is there */
async function unpack(path: string, to: string): Promise<string | undefined> {
  let written = 0;
  const limited = new Transform({
    transform(piece: Buffer, _, done) {
      written += piece.length;
      if (written <= maxUnpacked) done(null, piece);
      else done(new Error(`it unpacks to more than ${maxUnpacked / 2 ** 30} GiB; unpack it first`));
    },
  });
  try {
    await pipeline(createReadStream(path), createGunzip(), limited, createWriteStream(to));
    return undefined;
  } catch (cause) {
    const isDamaged = (cause as NodeJS.ErrnoException).code?.startsWith('Z_');
    return isDamaged ? 'its compressed bytes are damaged or cut off' : messageOf(cause);
  }
}

async function listTar(path: string): Promise<Omit<Listing, 'file'>> {
  const file = await openFile(path);
  try {
    const { entries, problem } = await entriesOf(file);
    const files = new Map(
      entries.filter(({ kind }) => kind === 'file').map((entry) => [plain(entry.name), entry]),
    );
    const links = new Map(entries.filter(isLink).map((entry) => [plain(entry.name), entry]));
    const shown = entries.filter(
      ({ name, kind }) => !isHidden(name) && (kind !== 'other' || !name.endsWith('/')),
    );
    const member = (entry: TarEntry) => ({ name: entry.name, place: placeOf(entry, files, links) });
    return {
      pictures: shown.filter(isPicture).map(member),
      others: shown.filter((entry) => !isPicture(entry)).map(member),
      problem,
    };
  } finally {
    await file.close();
  }
}

async function entriesOf(file: FileHandle): Promise<{ entries: TarEntry[]; problem?: string }> {
  const entries: TarEntry[] = [];
  try {
    for await (const entry of readEntries(file)) entries.push(entry);
    return { entries };
  } catch (error) {
    if (error instanceof DamagedArchive) return { entries, problem: error.message };
    throw error;
  }
}

function isPicture({ name, kind }: TarEntry): boolean {
  const extension = extname(name).toLowerCase();
  return (
    kind !== 'other' &&
    ([...imageExtensions, ...clipExtensions, '.npy'] as readonly string[]).includes(extension)
  );
}

/** As in folders: names that begin with a dot, and what macOS adds. */
function isHidden(name: string): boolean {
  return name.split('/').some((part) => part === '__MACOSX' || /^\.[^./]|^\.\.[^/]/.test(part));
}

function isLink({ kind }: TarEntry): boolean {
  return kind === 'hard link' || kind === 'symbolic link';
}

/** The name as links give it: "../a/b" is "a/b". */
function plain(name: string): string {
  return posix.normalize(name);
}

/** Follows links, within the archive. */
function placeOf(
  entry: TarEntry,
  files: ReadonlyMap<string, TarEntry>,
  links: ReadonlyMap<string, TarEntry>,
): Member['place'] {
  if (entry.kind === 'sparse file') return { problem: 'it is stored as a sparse file, which is not read' };
  if (entry.kind === 'other') return { problem: 'it is no file' };
  const seen = new Set<string>();
  for (let at = entry; ; ) {
    if (at.kind === 'file') return { offset: at.offset, size: at.size };
    const to =
      at.kind === 'hard link' ? plain(at.target) : plain(posix.join(posix.dirname(at.name), at.target));
    const next = posix.isAbsolute(at.target) ? undefined : (files.get(to) ?? links.get(to));
    if (!next)
      return { problem: `it is a link to ${JSON.stringify(at.target)}, which the archive does not hold` };
    if (seen.has(to)) return { problem: 'it is a link that leads back to itself' };
    seen.add(to);
    at = next;
  }
}
