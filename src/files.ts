import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { decodeText } from './decode-text.js';
import { systemReason } from './errors.js';

/** What the system's codes mean to someone who typed a file name. */
const problems: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'there is no such file',
  EISDIR: 'it is a folder',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  ELOOP: 'its symbolic links run in a circle',
  ENAMETOOLONG: 'the name is too long',
  ERR_INVALID_ARG_VALUE: 'the name holds a null character',
};

/** Why a file could not be read, in words that follow `cannot be read: `. */
export function whyUnreadable(cause: unknown): string {
  return problems[(cause as NodeJS.ErrnoException)?.code ?? ''] ?? systemReason(cause);
}

/**
 * Opens a file for reading. Folders, pipes, sockets and devices are refused before they are opened: a pipe that nobody writes
 * into would be waited for, and a device never ends.
 */
export async function openFile(path: string): Promise<FileHandle> {
  refuseOthers(await stat(path));
  return open(path, fs.constants.O_RDONLY | (fs.constants.O_NONBLOCK ?? 0)); // in case it has just become a pipe
}

function refuseOthers(stats: fs.Stats): void {
  if (stats.isFile()) return;
  const kinds: [boolean, string][] = [
    [stats.isDirectory(), 'a folder'],
    [stats.isFIFO(), 'a pipe'],
    [stats.isSocket(), 'a socket'],
  ];
  const kind = kinds.find(([is]) => is)?.[1] ?? 'a device';
  throw new Error(`it is ${kind}${stats.isDirectory() ? '' : ', not a file'}`);
}

/** A file's bytes. @param limit files of more bytes are refused */
export async function readBytes(path: string, limit = Number.POSITIVE_INFINITY): Promise<Buffer> {
  const file = await openFile(path);
  try {
    const { size } = await file.stat();
    if (size > limit) throw new Error(`it is larger than ${sizeName(limit)}`);
    if (size === 0) return await file.readFile(); // the system says nothing of the size of files as in /proc
    const bytes = Buffer.allocUnsafeSlow(size);
    const filled = await readInto(file, bytes, 0);
    return filled === size ? bytes : bytes.subarray(0, filled);
  } finally {
    await file.close();
  }
}

function sizeName(bytes: number): string {
  return bytes % 2 ** 30 === 0 ? `${bytes / 2 ** 30} GiB` : `${bytes / 2 ** 20} MiB`;
}

/** Files of text of more bytes are refused: a text of more than 512 MiB does not fit a string. */
const mostText = 500 * 2 ** 20;

/** The text of a file in UTF-8 or UTF-16, without its byte-order mark. */
export async function readText(path: string): Promise<string> {
  return decodeText(await readTextBytes(path));
}

/** The bytes of a file that is text in whatever encoding. */
export function readTextBytes(path: string): Promise<Buffer> {
  return readBytes(path, mostText);
}

/** The path of a file that another one names: relative to its folder. */
export function besideFile(path: string, name: string): string {
  return join(dirname(path), name);
}

/** Most bytes that the system gives at once. */
const most = 2 ** 30;

/** Fills `bytes` from the file's byte `position` on. @returns how many there were */
export async function readInto(file: FileHandle, bytes: Uint8Array, position: number): Promise<number> {
  let filled = 0;
  while (filled < bytes.length) {
    const wanted = Math.min(most, bytes.length - filled);
    const { bytesRead } = await file.read(bytes, filled, wanted, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled;
}

/** Files that the system is asked about together. */
const together = 512;

// Of many files; that of node:fs/promises takes three times the processor's time.
const statOf = promisify(fs.stat);

/** What the system knows of each file, in order; undefined where there is none. */
export async function* statsOf(paths: Iterable<string>): AsyncGenerator<fs.Stats | undefined> {
  const ask = (group: readonly string[]) =>
    Promise.all(group.map((path) => statOf(path).catch(() => undefined)));
  let group: string[] = [];
  for (const path of paths) {
    group.push(path);
    if (group.length < together) continue;
    yield* await ask(group);
    group = [];
  }
  yield* await ask(group);
}

/** Size and time of change of a file, as text: what is equal for two looks at a file that nobody has changed. */
export function stateOf(stats: fs.Stats | undefined): string {
  return stats ? `${stats.size} ${Math.trunc(stats.mtimeMs)}` : '-';
}

/** SHA-256 of a file, a piece at a time. */
export async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  const piece = Buffer.allocUnsafeSlow(1 << 18);
  const file = await openFile(path);
  try {
    for (let size: number; (size = (await file.read(piece)).bytesRead) > 0; )
      hash.update(piece.subarray(0, size));
  } finally {
    await file.close();
  }
  return hash.digest('hex');
}
