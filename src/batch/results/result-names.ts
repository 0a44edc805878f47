import { createHash } from 'node:crypto';
import { basename, dirname, extname, isAbsolute, normalize, resolve, sep } from 'node:path';
import type { TargetExplanation } from '../../explain/explanation.js';
import type { Settings } from '../../explain/explain-options.js';
import { isSingle, type Target } from '../../targets/index.js';
import { TextSet } from './text-set.js';
import { partialFolder, stagingPrefix } from './write-file.js';

/**
 * What a picture's results are called: its path under the folder that was named (or the folder in which a pattern
 * begins), or its file name, without the extension. A name that is taken already gets "-2", "-3" … in the order of
 * the inputs; names that differ in case alone count as the same, since some file systems see no difference.
 */
export class ResultNames {
  readonly #roots: readonly string[];
  readonly #taken = new TextSet();
  /** How often a name was asked for, where that was more than once. */
  readonly #counts = new Map<string, number>();

  /** @param roots the folders that were named */
  constructor(roots: readonly string[] = []) {
    this.#roots = roots.map((root) => normalize(`${root}${sep}`)).sort((a, b) => b.length - a.length);
  }

  /** The next picture's name, with "/" between folders. A folder of frames keeps what looks like an extension. */
  nameOf(path: string, isFolder = false): string {
    const normal = isFolder ? resolvedLast(path) : normalize(path);
    const clean = normal === path ? path : normal; // the name, a part of it, then needs no copy of the path
    const root = this.#roots.find((folder) => isWithin(clean, folder));
    const own = root === undefined ? basename(clean) : clean.slice(root === here ? 0 : root.length);
    const stem = isFolder ? own : own.slice(0, own.length - extname(own).length) || own;
    return this.reserve(stem.split(sep).join('/'));
  }

  /** The name, or what it becomes where it is taken, or cannot be a file's. */
  reserve(wanted: string): string {
    const name = wanted.split('/').map(fitting).join('/');
    const key = name.toLowerCase();
    if (!this.#taken.has(key)) {
      this.#taken.add(key);
      return name;
    }
    for (let count = (this.#counts.get(key) ?? 1) + 1; ; count++) {
      const candidate = `${name}-${count}`;
      if (this.#taken.has(candidate.toLowerCase())) continue;
      this.#taken.add(candidate.toLowerCase());
      this.#counts.set(key, count);
      return candidate;
    }
  }
}

/** Bytes of a part of a name, of the 255 that file systems allow: what tells targets and kinds of files apart comes behind it. */
const longestPart = 200;

/** A part of a name that file systems take: a long one is cut, and told from others by its checksum. What a run works in is not its. */
function fitting(part: string, i: number): string {
  if (i === 0 && (part === partialFolder || part.startsWith(stagingPrefix))) return `_${part}`;
  if (part.length <= longestPart / 4 || Buffer.byteLength(part) <= longestPart) return part;
  const sum = createHash('sha256').update(part).digest('hex').slice(0, 8);
  let cut = '';
  for (const letter of part) {
    if (Buffer.byteLength(cut + letter) > longestPart - sum.length - 1) break;
    cut += letter;
  }
  return `${cut}~${sum}`;
}

/** A folder's path without a separator at its end; "." and ".." by their names. */
function resolvedLast(path: string): string {
  return /^\.{0,2}$/.test(basename(path)) ? resolve(path) : normalize(path).replace(/[\\/]+$/, '');
}

const here = `.${sep}`;

/** "../" is above every relative path that does not climb out of it. */
function isWithin(path: string, folder: string): boolean {
  return folder === here ? !isAbsolute(path) && !path.startsWith(`..${sep}`) : path.startsWith(folder);
}

/** The folder in which a pattern begins: the folders before the first character that means something. */
export function rootOfPattern(pattern: string): string {
  const magic = pattern.search(/[*?[{]/);
  return dirname(magic < 0 ? pattern : `${pattern.slice(0, magic)}_`);
}

/**
 * What the files of one target add to the picture's name: nothing where a run has one target and one method, else
 * ".281" (the class, or the name of a combination) and ".grad-cam" (the method), and the layer where each has a map of its own.
 */
export function targetSuffix(
  { target, method, layers }: TargetExplanation,
  { targets, targetsPerImage, variants, eachLayer }: Settings,
): string {
  const list = Array.isArray(targets)
    ? (targets as readonly Target[])
    : targets === undefined
      ? []
      : [targets as Target];
  const isOnlyTarget = !targetsPerImage && (list.length === 0 || (list.length === 1 && isSingle(list[0])));
  const short = (name: string) => name.replaceAll(/[^\p{L}\p{N}]+/gu, '-').slice(0, 60);
  const ofTarget = isOnlyTarget ? '' : `.${target.class ?? short(target.name)}`;
  const ofMethod = variants.length === 1 ? '' : `.${method}`;
  return `${ofTarget}${ofMethod}${eachLayer ? `.${short(layers[0])}` : ''}`;
}
