import type { GradcamppError } from '../errors.js';
import * as files from '../files.js';

/** Files of pictures and tensors of more bytes are refused. */
const limit = 2 * 2 ** 30;

/** A file's bytes; pipes, folders and devices are refused. `fail` makes the error. */
export async function readBytes(
  path: string,
  fail: (reason: string, cause?: unknown) => GradcamppError,
): Promise<Uint8Array> {
  return files.readBytes(path, limit).catch((cause: unknown) => {
    throw fail(files.whyUnreadable(cause), cause);
  });
}
