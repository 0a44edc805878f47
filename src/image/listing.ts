import * as fs from 'node:fs';
import { realpath } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { glob, type GlobOptions } from 'tinyglobby';

/** Whether a name holds a character that means something in a pattern. */
export function isGlob(pattern: string): boolean {
  return /[*?[{]/.test(pattern);
}

export interface Listing {
  /** Every file, each once, in natural order folder by folder. Links to nothing are files too: reading them says so. */
  readonly files: readonly string[];
  /** Folders that could not be looked into. */
  readonly closed: readonly { readonly path: string; readonly cause: unknown }[];
}

/** The files in a folder and in its folders, without names that begin with a dot. */
export async function filesIn(folder: string): Promise<Listing> {
  const { files, closed } = await list('**/*', { cwd: folder });
  return { files: files.map((path) => join(folder, path)), closed };
}

/**
 * The files that match a pattern, and those in folders that do: `*` and `?` within a name, `[abc]`, `[!a-z]`, `{one,two}`,
 * `**` for any folders, none included. A name that begins with a dot is matched by a dot only. Other than on Windows, `\`
 * takes the next character as it is.
 */
export async function filesMatching(pattern: string): Promise<Listing> {
  const slashed = process.platform === 'win32' ? pattern.replaceAll('\\', '/') : pattern;
  return list(slashed, { absolute: isAbsolute(pattern) });
}

async function list(pattern: string, options: GlobOptions): Promise<Listing> {
  const closed: { path: string; cause: unknown }[] = [];
  const found = await glob([pattern, `${pattern.replace(/\/$/, '')}/**`], {
    ...options,
    expandDirectories: false,
    fs: fileSystem((path, cause) => closed.push({ path: path.replace(/(.)\/$/, '$1'), cause })),
  });
  const named = /(^|\/)\.[^./]/.test(pattern) ? found : found.filter((path) => !hasHiddenPart(path));
  const loops = await foldersInLoops(named, String(options.cwd ?? '.'));
  const files = named.filter((path) => !loops.has(dirname(path)));
  return { files: inNaturalOrder(files), closed };
}

/** In the name of a folder, nothing below it is matched by `**`. */
const lineBreak = /[\n\r\u2028\u2029]/;
const unmatched = 'a folder whose name holds a line break is not looked into; rename it';

/** What tinyglobby asks of the system, where it would pass over links to nothing and folders that may not be read. */
function fileSystem(onClosed: (path: string, cause: unknown) => void): NonNullable<GlobOptions['fs']> {
  const readdir = (path: string, options: object, done: (cause: unknown, entries: unknown) => void) =>
    fs.readdir(path, { ...options, withFileTypes: true }, (cause, entries) => {
      if (cause) onClosed(path, cause);
      const broken = (entries ?? []).filter(
        (entry) => lineBreak.test(entry.name) && !entry.isFile() && entry.name[0] !== '.',
      );
      for (const { name } of broken) onClosed(join(path, name), new Error(unmatched));
      done(cause, entries);
    });
  const follow = (path: string, done: (cause: unknown, real: string) => void) =>
    fs.realpath(path, (cause, real) => done(null, cause ? path : real));
  const stat = (path: string, done: (cause: unknown, stats: unknown) => void) =>
    fs.stat(path, (cause, stats) => (cause ? fs.lstat(path, done) : done(null, stats)));
  return { readdir, realpath: follow, stat } as NonNullable<GlobOptions['fs']>;
}

function hasHiddenPart(path: string): boolean {
  return path.split('/').some((part) => /^\.[^./]/.test(part));
}

/** Folders on whose way down from `root` a link leads back to a folder on the way. */
async function foldersInLoops(files: readonly string[], root: string): Promise<Set<string>> {
  const loops = new Set<string>();
  const ways = new Map<string, readonly string[]>(); // real paths of a folder and of those above it
  const wayTo = async (folder: string): Promise<readonly string[]> => {
    const known = ways.get(folder);
    if (known) return known;
    const parent = dirname(folder);
    const above = parent === folder ? [] : await wayTo(parent);
    const real = await realpath(isAbsolute(folder) ? folder : join(root, folder)).catch(() => folder);
    if (loops.has(parent) || (above.includes(real) && basename(folder) !== '..')) loops.add(folder);
    const way = [...above, real];
    ways.set(folder, way);
    return way;
  };
  for (const folder of new Set(files.map((path) => dirname(path)))) await wayTo(folder);
  return loops;
}

/** Numbers by value, letters as people sort them, in every locale alike; what is equal in that sense by code units. */
const collator = new Intl.Collator('en', { numeric: true });

export function naturalOrder(a: string, b: string): number {
  return collator.compare(a, b) || (a < b ? -1 : a > b ? 1 : 0);
}

/** Part by part, so that what is in a folder stays together. */
function inNaturalOrder(paths: readonly string[]): string[] {
  const split = paths.map((path) => ({ path, parts: path.split('/') }));
  split.sort((a, b) => {
    const shorter = Math.min(a.parts.length, b.parts.length);
    for (let i = 0; i < shorter; i++) {
      const order = a.parts[i] === b.parts[i] ? 0 : naturalOrder(a.parts[i], b.parts[i]);
      if (order !== 0) return order;
    }
    return a.parts.length - b.parts.length;
  });
  return split.map(({ path }) => path);
}
