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
    if (patience.lasts()) {
      const about = fs.statSync(path);
      if (about.isFile()) return patience.watch(() => readNow(path, about.size));
    }
    return await readLater(path, fail);
  } catch (cause) {
    if (cause instanceof GradcamppError) throw cause;
    throw fail(problems[(cause as NodeJS.ErrnoException).code ?? ''] ?? messageOf(cause), cause);
  }
}

/** `readFileSync` asks for the size once more. */
function readNow(path: string, size: number): Buffer {
  const file = fs.openSync(path, 'r');
  try {
    const bytes = Buffer.allocUnsafeSlow(size);
    if (size > 0 && fs.readSync(file, bytes, 0, size, 0) === size) return bytes;
    return fs.readFileSync(file); // it shrank, or says nothing of its size, as in /proc
  } finally {
    fs.closeSync(file);
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
