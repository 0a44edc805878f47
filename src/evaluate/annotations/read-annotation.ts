import { readdir, realpath, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { GradcamppError, show, systemReason } from '../../errors.js';
import { decodeText } from '../../decode-text.js';
import { readTextBytes, whyUnreadable } from '../../files.js';

/** The text of a file in UTF-8 or UTF-16, without its byte-order mark. */
export async function readText(path: string, what: string): Promise<string> {
  return decodeText(await readFileOf(path, what));
}

/** The bytes of a file. @throws GradcamppError INVALID_OPTION, saying what it should have been */
export async function readFileOf(path: string, what: string): Promise<Buffer> {
  return readTextBytes(path).catch((cause: unknown) => {
    throw unreadable(path, what, whyUnreadable(cause), cause);
  });
}

/** The files below a folder with one of some extensions, in order, relative to it, with `/` between names. Hidden ones are left out. */
export async function listFiles(
  folder: string,
  extensions: readonly string[],
  what: string,
): Promise<string[]> {
  const files: string[] = [];
  const visit = async (below: string, above: readonly string[]): Promise<void> => {
    const real = await realpath(join(folder, below));
    if (above.includes(real)) return; // a link back
    const entries = await readdir(real, { withFileTypes: true });
    entries.sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const entry of entries) {
      if (entry.name.startsWith('.')) continue;
      const path = below === '' ? entry.name : `${below}/${entry.name}`;
      const kind = entry.isSymbolicLink() ? await stat(join(folder, path)).catch(() => entry) : entry;
      if (kind.isDirectory()) await visit(path, [...above, real]);
      else if (extensions.includes(extname(entry.name).toLowerCase())) files.push(path);
    }
  };
  await visit('', []).catch((cause: unknown) => {
    throw unreadable(folder, what, systemReason(cause), cause);
  });
  return files;
}

function unreadable(path: string, what: string, why: string, cause: unknown): GradcamppError {
  return new GradcamppError('INVALID_OPTION', `${show(path)} cannot be read as ${what}: ${why}.`, { cause });
}
