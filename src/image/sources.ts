import { readdir, realpath, stat } from 'node:fs/promises';
import { dirname, extname, join } from 'node:path';
import { GradcamppError, systemReason } from '../errors.js';
import { statsOf } from '../files.js';
import { imageExtensions, isPictureName } from './formats.js';
import { glob, isGlob } from './glob.js';
import { naturalOrder } from './natural-order.js';

export interface SourceOptions {
  /** Where `-` reads paths from, one a line. Default: standard input. */
  readonly stdin?: AsyncIterable<string | Uint8Array>;
}

/**
 * The paths that command line arguments stand for, in the arguments' order: a file is itself, whatever it is
 * called and whether or not it exists (reading it says what is wrong, for that picture alone); a folder is the
 * pictures in it and in its folders, by extension, in natural order, without names that begin with a dot; a
 * pattern is the pictures and `.npy` files that match it, and the pictures in folders that do; `-` is a list of
 * files on standard input. Nothing is dropped that is named twice, but folders and `**` leave out the pictures
 * that an earlier run wrote. Folders and patterns are tried before the first path is given out.
 * @throws GradcamppError INVALID_OPTION: a folder without pictures, a pattern without a match, `-` twice
 */
export async function* expandSources(
  sources: readonly string[],
  options: SourceOptions = {},
): AsyncGenerator<string> {
  if (sources.filter((source) => source === '-').length > 1)
    throw new GradcamppError('INVALID_OPTION', '"-" must be given once: standard input has one end.');
  const expanded: (AsyncIterable<string> | readonly string[])[] = [];
  for (const source of sources) expanded.push(await expansionOf(source, options));
  for (const paths of expanded) yield* paths;
}

async function expansionOf(
  source: string,
  options: SourceOptions,
): Promise<AsyncIterable<string> | readonly string[]> {
  if (source === '-') return linesOf(options.stdin ?? process.stdin);
  const found = await stat(source).catch(() => undefined);
  const isFolder = found?.isDirectory();
  if (!isFolder && (found || !isGlob(source))) return [source];
  const pictures = isFolder ? await picturesIn(source) : await matching(source);
  if (pictures.length > 0) return pictures;
  throw isFolder
    ? nothing(
        `The folder ${JSON.stringify(source)} holds no pictures`,
        '.npy tensors are taken by name or pattern',
      )
    : nothing(`No picture matches ${JSON.stringify(source)}`, '** stands for any folders');
}

function nothing(what: string, advice: string): GradcamppError {
  return new GradcamppError('INVALID_OPTION', `${what} (${imageExtensions.join(', ')}); ${advice}.`);
}

async function matching(pattern: string): Promise<string[]> {
  const found: string[] = [];
  for await (const path of glob(pattern)) {
    if (pattern.includes('**') && (await isResult(path))) continue;
    const isFolder = (await stat(path).catch(() => undefined))?.isDirectory();
    if (!isFolder && (isPictureName(path) || extname(path).toLowerCase() === '.npy')) found.push(path);
    else if (isFolder && !pattern.includes('**')) await picturesIn(path, found);
  }
  return found;
}

/** Whether a picture was written by a run: by its name, in or below a folder that holds a run's record. */
async function isResult(path: string): Promise<boolean> {
  if (!/\.(overlay|map|cutout)\.(png|jpg|webp)$/.test(path)) return false;
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if (await stat(join(folder, 'run.json')).catch(() => undefined)) return true;
    if (folder === dirname(folder)) return false;
  }
}

/**
 * Adds a folder's pictures to those that are found already. `above` are the real paths of the folders on the way here: a
 * link back to one of them is not followed.
 */
async function picturesIn(
  folder: string,
  found: string[] = [],
  above: readonly string[] = [],
): Promise<string[]> {
  const real = await realpath(folder);
  if (above.includes(real)) return found;
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause) => {
    throw new GradcamppError(
      'INVALID_OPTION',
      `The folder ${JSON.stringify(folder)} cannot be read: ${systemReason(cause)}.`,
      {
        cause,
      },
    );
  });
  const shown = entries.filter(({ name }) => !name.startsWith('.'));
  shown.sort((a, b) => naturalOrder(a.name, b.name));
  const within = join(folder, '_').slice(0, -1);
  const paths = shown.map(({ name }) => within + name); // `join` would leave three strings for each
  const links = statsOf(paths.filter((_, i) => shown[i].isSymbolicLink()));
  for (const [i, path] of paths.entries()) {
    const isFolder = (shown[i].isSymbolicLink() ? (await links.next()).value : shown[i])?.isDirectory();
    if (isFolder) await picturesIn(path, found, [...above, real]);
    else if (isPictureName(path) && !(await isResult(path))) found.push(path); // a dangling link too: reading it says so
  }
  return found;
}

/** Lines without their ends, empty ones left out. */
async function* linesOf(stream: AsyncIterable<string | Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const piece of stream) {
    const lines = (
      rest + (typeof piece === 'string' ? piece : decoder.decode(piece, { stream: true }))
    ).split('\n');
    rest = lines.pop() as string;
    for (const line of lines) if (line.trim() !== '') yield line.replace(/\r$/, '');
  }
  if (rest.trim() !== '') yield rest.replace(/\r$/, '');
}
