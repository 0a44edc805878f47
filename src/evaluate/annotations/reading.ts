import { readdir, readFile } from 'node:fs/promises';
import { GradcamppError, show, systemReason } from '../../errors.js';

/** The entries of a folder of annotations, by name. */
export async function listFolder(folder: string, what: string) {
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause: unknown) => {
    throw unreadable(folder, what, cause);
  });
  return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** The text of a file. */
export async function readText(path: string, what: string): Promise<string> {
  return readFile(path, 'utf8').catch((cause: unknown) => {
    throw unreadable(path, what, cause);
  });
}

function unreadable(path: string, what: string, cause: unknown): GradcamppError {
  return new GradcamppError(
    'INVALID_OPTION',
    `${show(path)} cannot be read as ${what}: ${systemReason(cause)}.`,
    { cause },
  );
}
