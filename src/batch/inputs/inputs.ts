import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { basename, dirname, extname, posix } from 'node:path';
import { headOf } from '../../clip/content.js';
import { isAnimatedWebP } from '../../clip/sources/animation.js';
import { clipExtensions } from '../../clip/sources/index.js';
import { GradcamppError } from '../../errors.js';
import { openFile, statsOf, whyUnreadable } from '../../files.js';
import { whyNoPicture } from '../../image/formats.js';
import { isGlob, naturalOrder } from '../../image/listing.js';
import { expandSources, type SourceOptions } from '../../image/sources.js';
import { listArchive } from './archive.js';
import { LeftOut } from './left-out.js';
import { Unpacked } from './unpacked.js';
import { ResultNames, rootOfPattern } from '../results/result-names.js';
import type { Input, Part } from '../picture.js';
import type { RunParts } from '../results/run-record.js';

/** Everything that a run explains, in order, named. */
export class Inputs {
  readonly list: Input[] = [];
  /** What was found, before it is known whether the model takes pictures or clips. */
  #found: Found[] = [];
  readonly leftOut = new LeftOut();
  /** Size in bytes and time of change in milliseconds of each; −1 where there is none. */
  #sizes = new Float64Array();
  #times = new Float64Array();
  /** Where compressed archives are unpacked, and which archive each file there is. */
  readonly #unpacked = new Unpacked();
  readonly #origins = new Map<string, string>();

  /** @throws GradcamppError INVALID_OPTION where there is nothing to explain */
  static async list(
    images: readonly string[],
    archives: readonly string[],
    options: SourceOptions = {},
  ): Promise<Inputs> {
    const inputs = new Inputs();
    try {
      if (images.length > 0) await inputs.#addImages(images, options);
      const names = new ResultNames();
      for (const path of archives) await inputs.#addArchive(path, names);
    } catch (error) {
      await inputs.close();
      throw error;
    }
    if (inputs.count > 0) return inputs;
    throw nothingNamed();
  }

  /** Pictures that are listed and named already. */
  static async of(list: readonly Omit<Input, 'index'>[]): Promise<Inputs> {
    const inputs = new Inputs();
    for (const input of list) inputs.list.push({ index: inputs.list.length, ...input });
    await inputs.#lookAtFiles();
    return inputs;
  }

  /** How many there are at most. */
  get count(): number {
    return this.list.length + this.#found.length;
  }

  /**
   * Makes the list, once it is known what the model takes. One of pictures leaves out videos that were not named; to one of clips
   * the pictures of a folder are the frames of one clip.
   *
   * @throws GradcamppError INVALID_OPTION where there is nothing to explain
   */
  async settle(takesClips: boolean): Promise<void> {
    if (this.#found.length === 0) return;
    const animations = takesClips ? await animationsIn(this.#found) : new Set<string>();
    const settled = takesClips ? inClips(foldersTogether(this.#found), animations) : this.#found;
    for (const found of settled) {
      const { names, key, isNamed, ...input } = found;
      if (!takesClips && !isNamed && isVideo(input.path)) {
        this.leftOut.add(input.path, whyNoPicture(input.path));
        continue;
      }
      const name =
        key === undefined
          ? names.nameOf(input.path, input.frames !== undefined)
          : names.reserve(input.frames ? folderKey(key, input.path) : key);
      this.list.push({ index: this.list.length, name, ...input });
    }
    this.#found = [];
    if (this.list.length === 0) throw nothingNamed();
    await this.#lookAtFiles();
  }

  /** Size and time of change of a picture when it was listed, as text: what it has in common with itself alone. */
  stateOf(index: number): string {
    const { state } = this.list[index];
    if (state !== undefined) return state;
    const size = this.#sizes[index];
    return size < 0 ? '-' : `${size} ${this.#times[index]}`;
  }

  /** Whether there is no file of any of them. */
  get areMissing(): boolean {
    return this.#sizes.every((size) => size < 0);
  }

  /** What a record says of them. */
  get record(): RunParts['inputs'] {
    const record = new InputsRecord();
    for (const { path, state } of this.states()) record.add(path, state);
    return record.record;
  }

  /** What each is called, and its state. */
  *states(): Generator<{ readonly path: string; readonly state: string }> {
    for (const { index, path } of this.list) yield { path, state: this.stateOf(index) };
  }

  /** The archives that results go to. */
  get archives(): string[] {
    return [...new Set([...this.list, ...this.#found].flatMap(({ archive }) => archive ?? []))];
  }

  /** Removes what was unpacked. */
  close(): Promise<void> {
    return this.#unpacked.close();
  }

  async #addImages(images: readonly string[], options: SourceOptions): Promise<void> {
    const onSkipped = (path: string, reason: string) => this.leftOut.add(path, reason);
    const names = new ResultNames(await rootsOf(images));
    const named = new Set(images);
    for await (const path of expandSources(images, { ...options, onSkipped, extensions: clipExtensions }))
      this.#found.push(named.has(path) ? { path, names, isNamed: true } : { path, names });
  }

  async #addArchive(path: string, names: ResultNames): Promise<void> {
    const archive = archiveName(path, names);
    const { file, pictures, others, problem } = await listArchive(path, () => this.#unpacked.file());
    this.#origins.set(file, path);
    const keys = new ResultNames();
    const add = (input: Found) => this.#found.push(input);
    for (const { name, place } of pictures) {
      const own = { path: `${path}/${name}`, names: keys, key: keyOf(name), archive };
      if ('problem' in place)
        add({ ...own, problem: `${JSON.stringify(own.path)} cannot be read: ${place.problem}.` });
      else add({ ...own, part: { archive: file, offset: place.offset, size: place.size } });
    }
    for (const { name } of others) this.leftOut.add(`${path}/${name}`, whyNoPicture(name));
    const is = `The archive ${JSON.stringify(path)}`;
    if (problem)
      add({
        path,
        names: keys,
        key: archive,
        problem: `${is} cannot be read${pictures.length > 0 ? ' to its end' : ''}: ${problem}.`,
      });
    else if (pictures.length === 0)
      add({ path, names: new ResultNames(), key: archive, problem: `${is} holds no pictures.` });
  }

  /** What has to be known to notice a change. A part of an archive changes with it. */
  async #lookAtFiles(): Promise<void> {
    this.#sizes = new Float64Array(this.list.length).fill(-1);
    this.#times = new Float64Array(this.list.length);
    let i = 0;
    for await (const stats of statsOf(this.#files())) {
      const parts = partsOf(this.list[i]);
      if (stats) {
        this.#sizes[i] = parts.length > 0 ? parts.reduce((sum, { size }) => sum + size, 0) : stats.size;
        this.#times[i] = Math.trunc(stats.mtimeMs);
      }
      i++;
    }
  }

  /** The file that each is in. */
  *#files(): Generator<string> {
    for (const input of this.list) {
      const [part] = partsOf(input);
      yield part ? (this.#origins.get(part.archive) ?? part.archive) : input.path;
    }
  }
}

/** An input that has no name yet: names are given in the order of what is explained. */
interface Found extends Omit<Input, 'index' | 'name'> {
  /** Who gives the name, and to what where that is not the path. */
  readonly names: ResultNames;
  readonly key?: string;
  /** Whether it was named itself, not found in a folder or an archive. */
  readonly isNamed?: boolean;
}

/** What a record says of inputs, found one by one. */
export class InputsRecord {
  readonly #names = createHash('sha256');
  readonly #states = createHash('sha256');
  #count = 0;

  add(path: string, state: string): void {
    this.#count++;
    this.#names.update(`${path}\0`);
    this.#states.update(`${state}\n`);
  }

  /** To be asked for once. */
  get record(): RunParts['inputs'] {
    return { count: this.#count, sha256: this.#names.digest('hex'), state: this.#states.digest('hex') };
  }
}

/**
 * The pictures that arguments stand for, in order, with what their results are called.
 *
 * @param options `lists`: files of paths, one a line, which follow
 */
export async function* namedPictures(
  images: readonly string[],
  { lists = [], ...options }: SourceOptions & { readonly lists?: readonly string[] } = {},
): AsyncGenerator<Pick<Input, 'path' | 'name'>> {
  const names = new ResultNames(await rootsOf(images, options));
  for await (const path of expandSources(images, options)) yield { path, name: names.nameOf(path) };
  for (const list of lists) for await (const path of listedIn(list)) yield { path, name: names.nameOf(path) };
}

async function* listedIn(list: string): AsyncGenerator<string> {
  try {
    yield* expandSources(['-'], { stdin: (await openFile(list)).createReadStream() });
  } catch (cause) {
    if (cause instanceof GradcamppError) throw cause;
    throw new GradcamppError(
      'INVALID_OPTION',
      `The list ${JSON.stringify(list)} cannot be read: ${whyUnreadable(cause)}.`,
      { cause },
    );
  }
}

/** What the archive of results is called. */
export function archiveName(path: string, names: ResultNames): string {
  return `${names.reserve(basename(path).replace(/(\.tar)?\.gz$|\.tgz$|\.tar$/i, ''))}.tar`;
}

export function nothingNamed(): GradcamppError {
  return new GradcamppError(
    'INVALID_OPTION',
    'No pictures were named: give files, folders, patterns or --input.',
  );
}

/** Whether a file is one of clips alone, by its name. */
function isVideo(path: string): boolean {
  return clipExtensions.includes(extname(path).toLowerCase()) && whyNoPicture(path) !== undefined;
}

/**
 * The pictures of a folder, one behind the other, as a clip; videos, animations and tensors as they are. A single picture too: its
 * content may be a video or an animation, whatever its name, and where it is none the file is what has to be named.
 */
export function* inClips<F extends Pick<Found, 'path' | 'part' | 'problem'>>(
  found: readonly F[],
  animations: ReadonlySet<string>,
): Generator<F & Pick<Input, 'frames'>> {
  const isFrame = ({ path, problem }: F) =>
    !problem && !animations.has(path) && whyNoPicture(path) === undefined;
  for (let i = 0; i < found.length; ) {
    const first = found[i];
    const folder = dirname(first.path);
    const frames: NonNullable<Input['frames']>[number][] = [];
    for (; i < found.length && isFrame(found[i]) && dirname(found[i].path) === folder; i++) {
      const { path, part } = found[i];
      frames.push(part ? { ...part, name: path } : path);
    }
    if (frames.length === 0) yield found[i++];
    else if (frames.length === 1) yield found[i - 1];
    else yield { ...first, part: undefined, path: folder, frames };
  }
}

/** Archives hold their members in any order: those of one folder one behind the other, in natural order, as folders are read. */
function foldersTogether(found: readonly Found[]): Found[] {
  const folders = new Map<string, Found[]>();
  for (const one of found) {
    const key = one.archive === undefined ? one.path : `${one.archive}\0${dirname(one.path)}`;
    const own = folders.get(key);
    if (own) own.push(one);
    else folders.set(key, [one]);
  }
  for (const own of folders.values()) own.sort((a, b) => naturalOrder(basename(a.path), basename(b.path)));
  return [...folders.values()].flat();
}

/** What a clip of frames in an archive is called: their folder there, or the archive. */
function folderKey(key: string, path: string): string {
  const folder = posix.dirname(key);
  return folder === '.' ? basename(path).replace(/(\.tar)?\.gz$|\.tgz$|\.tar$/i, '') : folder;
}

/** The parts of archives that hold an input; none where it is files. */
function partsOf({ part, frames = [] }: Input): readonly Part[] {
  if (part) return [part];
  return frames.flatMap((frame) => (typeof frame === 'string' ? [] : [frame]));
}

/** The files that are animations: by their extension, WebP by what is in them. What cannot be read says so when it is explained. */
export async function animationsIn(
  found: readonly Pick<Found, 'path' | 'part'>[],
): Promise<ReadonlySet<string>> {
  const animations = new Set<string>();
  for (const { path, part } of found) {
    const isOne = /\.webp$/i.test(path) && (await headOf(part ?? path).then(isAnimatedWebP, () => false));
    if (isOne || /\.(gif|apng)$/i.test(path)) animations.add(path);
  }
  return animations;
}

/** WebDataset's key: the name up to the first dot of its last part. */
function keyOf(member: string): string {
  const last = posix.basename(member);
  const stem = last.slice(0, last.indexOf('.', 1));
  return posix.join(posix.dirname(member), stem).replace(/^(\.{0,2}\/)+/, '');
}

/** The folders and prefixes that arguments name, and those in which patterns begin. */
async function rootsOf(sources: readonly string[], { remote }: SourceOptions = {}): Promise<string[]> {
  const roots: string[] = [];
  for (const source of sources) {
    if (source === '-') continue;
    if (remote?.isMeant(source)) {
      if (whyNoPicture(source) !== undefined) roots.push(source);
      continue;
    }
    const found = await stat(source).catch(() => undefined);
    if (found?.isDirectory()) roots.push(source);
    else if (!found && isGlob(source)) roots.push(rootOfPattern(source));
  }
  return roots;
}
