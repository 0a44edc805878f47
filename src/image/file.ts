import * as fs from 'node:fs';
import { promisify } from 'node:util';
import { GradcamppError, messageOf } from '../errors.js';
import { Patience } from '../patience.js';

/** What the system's codes mean to someone who typed a file name. */
const problems: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'there is no such file',
  EISDIR: 'it is a folder',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  ELOOP: 'its symbolic links run in a circle',
  ENAMETOOLONG: 'the name is too long',
  ERR_FS_FILE_TOO_LARGE: 'it is larger than 2 GiB',
  ERR_INVALID_ARG_VALUE: 'the name holds a null character',
};

// By number: a FileHandle costs more than all the rest of reading a small file.
const open = promisify(fs.open);
const stat = promisify(fs.fstat);
const readAll = promisify(fs.readFile);
const close = promisify(fs.close);

const patience = new Patience();

/** A file's bytes. Pipes are read to their end; folders and devices are refused. `fail` makes the error. */
export async function readBytes(
  path: string,
  fail: (reason: string, cause?: unknown) => GradcamppError,
): Promise<Buffer> {
  try {
    if (patience.lasts() && fs.statSync(path).isFile()) return patience.watch(() => fs.readFileSync(path));
    return await readLater(path, fail);
  } catch (cause) {
    if (cause instanceof GradcamppError) throw cause;
    throw fail(problems[(cause as NodeJS.ErrnoException).code ?? ''] ?? messageOf(cause), cause);
  }
}

async function readLater(path: string, fail: (reason: string) => GradcamppError): Promise<Buffer> {
  const file = await open(path, 'r');
  try {
    const about = await stat(file);
    if (about.isFile() || about.isFIFO()) return await readAll(file);
    throw fail(about.isDirectory() ? problems.EISDIR : 'it is not a file');
  } finally {
    await close(file);
  }
}
