import { stat } from 'node:fs/promises';
import { dirname, extname, join } from 'node:path';
import { GradcamppError, systemReason } from '../errors.js';
import { imageExtensions, whyNoPicture } from './formats.js';
import { filesIn, filesMatching, isGlob } from './listing.js';

export interface SourceOptions {
  /** Where `-` reads paths from, one a line. Default: standard input. */
  readonly stdin?: AsyncIterable<string | Uint8Array>;
  /** Called for every file of a folder or pattern that is left out, with why, as "it is a HEIC picture, which is not read". */
  readonly onSkipped?: (path: string, reason: string) => void;
  /** Files that folders and patterns are searched for beside pictures: extensions in lower case, with the dot. */
  readonly extensions?: readonly string[];
  /** Sources that are no paths of this machine. */
  readonly remote?: RemoteSources;
}

export interface RemoteSources {
  readonly isMeant: (source: string) => boolean;
  /** The paths of all that is there, one after the other, in an order that stays. */
  readonly list: (source: string) => AsyncIterable<string>;
}

/**
 * The paths that command line arguments stand for, in the arguments' order: a file is itself, whatever it is
 * called and whether or not it exists (reading it says what is wrong, for that picture alone); a folder is the
 * pictures in it and in its folders, by extension, in natural order, without names that begin with a dot; a
 * pattern is the pictures and `.npy` files that match it, and the pictures in folders that do; `-` is a list of
 * files on standard input. Nothing is dropped that is named twice, but folders and `**` leave out the pictures
 * that an earlier run wrote. Folders and patterns are tried before the first path is given out. What `remote` means it lists.
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
  if (options.remote?.isMeant(source)) return remotePictures(source, options.remote, options.onSkipped);
  const found = await stat(source).catch(() => undefined);
  const isFolder = found?.isDirectory() ?? false;
  if (!isFolder && (found || !isGlob(source))) return [source];
  const { pictures, skipped } = await picturesOf(source, isFolder, options.extensions ?? []);
  for (const [path, reason] of skipped) options.onSkipped?.(path, reason);
  if (pictures.length > 0) return pictures;
  const what = isFolder
    ? `The folder ${JSON.stringify(source)} holds no pictures`
    : `No picture matches ${JSON.stringify(source)}`;
  const advice = isFolder ? '.npy tensors are taken by name or pattern' : '** stands for any folders';
  throw new GradcamppError(
    'INVALID_OPTION',
    `${what} (${imageExtensions.join(', ')}); ${skipped.length > 0 ? leftOut(skipped) : advice}.`,
  );
}

/** The pictures of a place that is not held: as of a folder, by extension. A source that is called like a picture is one. */
async function* remotePictures(
  source: string,
  { list }: RemoteSources,
  onSkipped: SourceOptions['onSkipped'],
): AsyncGenerator<string> {
  if (whyNoPicture(source) === undefined) return yield source;
  let [count, skipped] = [0, 0];
  for await (const path of list(source)) {
    if (path.endsWith('/')) continue; // what some programs put there for an empty folder
    const reason = whyNoPicture(path);
    if (reason === undefined) {
      count++;
      yield path;
    } else {
      skipped++;
      onSkipped?.(path, reason);
    }
  }
  if (count > 0) return;
  throw new GradcamppError(
    'INVALID_OPTION',
    `${JSON.stringify(source)} holds no pictures (${imageExtensions.join(', ')})${skipped > 0 ? `; ${skipped} others are left out` : ''}.`,
  );
}

/** A path, and why it is left out. */
type Skipped = readonly [path: string, reason: string];

function leftOut(skipped: readonly Skipped[]): string {
  const [[path, reason]] = skipped;
  const files = skipped.length === 1 ? 'one file is' : `${skipped.length} files are`;
  return `${files} left out, as ${JSON.stringify(path)}: ${reason}`;
}

async function picturesOf(
  source: string,
  isFolder: boolean,
  extensions: readonly string[],
): Promise<{ pictures: string[]; skipped: Skipped[] }> {
  const { files, closed } = isFolder ? await filesIn(source) : await filesMatching(source);
  const pictures: string[] = [];
  const skipped: Skipped[] = [];
  for (const { path, cause } of closed) {
    const reason = `it cannot be read: ${systemReason(cause)}`;
    if (!isFolder) skipped.push([path, reason]);
    else
      throw new GradcamppError(
        'INVALID_OPTION',
        `The folder ${JSON.stringify(path)} cannot be read: ${systemReason(cause)}.`,
        { cause },
      );
  }
  const leavesResults = isFolder || source.includes('**');
  const runs = new Map<string, boolean>();
  for (const path of files) {
    const isTensor = path.toLowerCase().endsWith('.npy');
    const reason = isTensor
      ? isFolder && '.npy tensors are taken by name or pattern'
      : ((extensions.includes(extname(path).toLowerCase()) ? undefined : whyNoPicture(path)) ??
        (leavesResults && (await isResult(path, runs)) && 'an earlier run wrote it'));
    if (reason) skipped.push([path, reason]);
    else pictures.push(path);
  }
  return { pictures, skipped };
}

/** Whether a picture was written by a run: by its name, in or below a folder that holds a run's record. */
async function isResult(path: string, runs: Map<string, boolean>): Promise<boolean> {
  return (
    /\.(overlay|map|cutout|sheet)\.(png|jpg|webp|gif|mp4|webm)$/.test(path) && isInRun(dirname(path), runs)
  );
}

async function isInRun(folder: string, known: Map<string, boolean>): Promise<boolean> {
  let answer = known.get(folder);
  if (answer === undefined) {
    const hasRecord = await stat(join(folder, 'run.json')).catch(() => undefined);
    answer =
      hasRecord !== undefined || (folder !== dirname(folder) && (await isInRun(dirname(folder), known)));
    known.set(folder, answer);
  }
  return answer;
}

/** Longer lines are no paths. */
const longestLine = 32_768;

/** Lines without their ends, empty ones left out. */
async function* linesOf(stream: AsyncIterable<string | Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder(); // leaves a byte-order mark out
  let rest = '';
  for await (const piece of stream) {
    rest += typeof piece === 'string' ? piece : decoder.decode(piece, { stream: true });
    const lines = rest.split('\n');
    rest = lines.pop() as string;
    for (const line of lines) if (line.trim() !== '') yield line.replace(/\r$/, '');
    if (rest.length > longestLine)
      throw new GradcamppError(
        'INVALID_OPTION',
        `Standard input must be a list of paths, one a line; it has a line of more than ${longestLine} characters.`,
      );
  }
  if (rest.trim() !== '') yield rest.replace(/\r$/, '');
}
