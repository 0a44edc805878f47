import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { GradcamppError, messageOf } from '../errors.js';

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

/** Where files are before they have their names. */
export const partialFolder = '.partial';

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

/**
 * Writes files under a temporary name, then renames them: what has its name is whole. The process is part of the
 * temporary name: a worker process may outlive a killed run for the length of a write.
 */
export function folderWriter(out: string, writer: string | number): Write {
  const made = new Set<string>();
  let count = 0;
  return async (name, parts) => {
    const path = join(out, name);
    const partial = join(out, partialFolder, `${process.pid}-${writer}-${count++}`);
    try {
      const folder = dirname(path);
      if (!made.has(folder)) await makeFolder(folder);
      made.add(folder);
      await writeAll(partial, parts);
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
