import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { GradcamppError, messageOf } from '../errors.js';

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

/** A file's bytes. Pipes are read to their end; folders and devices are refused. `fail` makes the error. */
export async function readBytes(
  path: string,
  fail: (reason: string, cause?: unknown) => GradcamppError,
): Promise<Buffer> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, constants.O_RDONLY);
    const stat = await file.stat();
    if (stat.isFile() || stat.isFIFO()) return await file.readFile();
    throw fail(stat.isDirectory() ? problems.EISDIR : 'it is not a file');
  } catch (cause) {
    if (cause instanceof GradcamppError) throw cause;
    throw fail(problems[(cause as NodeJS.ErrnoException).code ?? ''] ?? messageOf(cause), cause);
  } finally {
    await file?.close();
  }
}
