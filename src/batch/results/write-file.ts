import { mkdir, open, opendir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { GradcamppError, messageOf } from '../../errors.js';

/** What the system's codes mean to someone who named an output folder. */
const problems: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  ENOTDIR: 'a part of the path is a file',
  EEXIST: 'it is a file',
  ENOENT: 'a part of the path does not exist',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  ENAMETOOLONG: 'the name is too long',
};

/** `"path" cannot be written: reason.` */
export function unwritable(path: string, cause: unknown): GradcamppError {
  if (cause instanceof GradcamppError) return cause;
  const reason = problems[(cause as NodeJS.ErrnoException).code ?? ''] ?? messageOf(cause);
  return new GradcamppError('OUTPUT', `${JSON.stringify(path)} cannot be written: ${reason}.`, { cause });
}

/** Errors that no other picture would escape: the run stops, and can be resumed. */
export function isFatal({ cause }: GradcamppError): boolean {
  const code = (cause as NodeJS.ErrnoException | undefined)?.code;
  return code !== undefined && ['ENOSPC', 'EDQUOT', 'EROFS', 'EIO'].includes(code);
}

/** Puts a file into a folder, its parts one behind another. */
export type Write = (name: string, parts: readonly Uint8Array[]) => Promise<void>;

/** Gives a file that is whole its name in a folder. */
export type Place = (partial: string, name: string) => Promise<void>;

/** Where files are before they have their names. */
export const partialFolder = '.partial';

/** How folders begin, within that of a run, in which what replaces its results is gathered. */
export const stagingPrefix = '.merging-';

/** Makes a folder and those above it. (Node's own `recursive` does not end on file systems that refuse, as /proc.) */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'EEXIST' && (await stat(path)).isDirectory()) return;
    const above = dirname(path);
    if (code !== 'ENOENT' || above === path) throw cause;
    await makeFolder(above);
    await mkdir(path).catch((again: NodeJS.ErrnoException) => {
      if (again.code !== 'EEXIST') throw again; // another worker was faster
    });
  }
}

/** Names that a run may give to files, and that were taken when it began: JSON. Absent where there are none. */
export const othersFile = `${partialFolder}/others.json`;

const outputName =
  /\.(overlay|map|cutout|sheet|strip|attention)\.[a-z0-9]+$|\.(npy|tar)$|^index(-\d+)?\.html$/i;

/** Writes down which files of the folder are none of the run that begins, so that it does not replace them. */
export async function noteOthers(out: string): Promise<void> {
  const names: string[] = [];
  const look = async (folder: string): Promise<void> => {
    for await (const entry of await opendir(join(out, folder))) {
      const name = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory()) {
        if (name !== partialFolder && !name.startsWith(stagingPrefix)) await look(name);
      } else if (outputName.test(entry.name)) names.push(name);
    }
  };
  await look('');
  if (names.length > 0) await writeFile(join(out, othersFile), JSON.stringify(names), { flush: true });
}

/** What `noteOthers` has written down. */
export async function othersIn(out: string): Promise<ReadonlySet<string>> {
  const text = await readFile(join(out, othersFile), 'utf8').catch(() => '[]');
  return new Set(JSON.parse(text) as string[]);
}

/** The error where a run would replace somebody else's file. */
export function takenBefore(path: string): GradcamppError {
  return new GradcamppError(
    'OUTPUT',
    `${JSON.stringify(path)} was there before the run and is not replaced. Name another output folder, or move the file.`,
  );
}

/**
 * Writes files under a temporary name, then renames them: what has its name is whole. The process is part of the
 * temporary name: a worker process may outlive a killed run for the length of a write.
 */
export function folderWriter(out: string, writer: string | number): Write {
  const place = folderPlacer(out);
  let count = 0;
  return async (name, parts) => {
    const partial = partialPath(out, `${writer}-${count++}`);
    try {
      await writeAll(partial, parts);
    } catch (cause) {
      await rm(partial, { force: true }).catch(() => undefined);
      throw unwritable(join(out, name), cause);
    }
    await place(partial, name);
  };
}

/** Where a file of this process is before it has its name. */
export function partialPath(out: string, own: string): string {
  return join(out, partialFolder, `${process.pid}-${own}`);
}

/** Moves whole files into a folder; what cannot be moved is removed. */
export function folderPlacer(out: string): Place {
  const made = new Set<string>();
  let others: Promise<ReadonlySet<string>> | undefined;
  return async (partial, name) => {
    const path = join(out, name);
    try {
      const folder = dirname(path);
      if (!made.has(folder)) await makeFolder(folder);
      made.add(folder);
      others ??= othersIn(out);
      if ((await others).has(name)) throw takenBefore(path);
      await rename(partial, path);
    } catch (cause) {
      await rm(partial, { force: true }).catch(() => undefined);
      throw unwritable(path, cause);
    }
  };
}

async function writeAll(path: string, parts: readonly Uint8Array[]): Promise<void> {
  const file = await open(path, 'w');
  try {
    for (const part of parts) await file.writeFile(part);
  } finally {
    await file.close();
  }
}
