import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, posix } from 'node:path';
import { GradcamppError } from '../../errors.js';
import { openFile, statsOf, whyUnreadable } from '../../files.js';
import { whyNoPicture } from '../../image/formats.js';
import { isGlob } from '../../image/listing.js';
import { expandSources, type SourceOptions } from '../../image/sources.js';
import { listArchive } from './archive.js';
import { LeftOut } from './left-out.js';
import { ResultNames, rootOfPattern } from '../results/result-names.js';
import type { Input } from '../picture.js';
import type { RunParts } from '../results/run-record.js';

/** Everything that a run explains, in order, named. */
export class Inputs {
  readonly list: Input[] = [];
  readonly leftOut = new LeftOut();
  /** Size in bytes and time of change in milliseconds of each; −1 where there is none. */
  #sizes = new Float64Array();
  #times = new Float64Array();
  /** Where compressed archives are unpacked, and which archive each file there is. */
  #unpacked: string | undefined;
  readonly #origins = new Map<string, string>();
  readonly #remove = () => {
    if (this.#unpacked) rmSync(this.#unpacked, { recursive: true, force: true });
  };

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
      await inputs.#lookAtFiles();
    } catch (error) {
      await inputs.close();
      throw error;
    }
    if (inputs.list.length > 0) return inputs;
    throw nothingNamed();
  }

  /** Pictures that are listed and named already. */
  static async of(list: readonly Omit<Input, 'index'>[]): Promise<Inputs> {
    const inputs = new Inputs();
    for (const input of list) inputs.list.push({ index: inputs.list.length, ...input });
    await inputs.#lookAtFiles();
    return inputs;
  }

  /** Size and time of change of a picture when it was listed, as text: what it has in common with itself alone. */
  stateOf(index: number): string {
    const size = this.#sizes[index];
    return size < 0 ? '-' : `${size} ${this.#times[index]}`;
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
    return [...new Set(this.list.flatMap(({ archive }) => archive ?? []))];
  }

  /** Removes what was unpacked. */
  async close(): Promise<void> {
    process.off('exit', this.#remove);
    if (this.#unpacked) await rm(this.#unpacked, { recursive: true, force: true });
  }

  async #addImages(images: readonly string[], options: SourceOptions): Promise<void> {
    const onSkipped = (path: string, reason: string) => this.leftOut.add(path, reason);
    for await (const named of namedPictures(images, { ...options, onSkipped }))
      this.list.push({ index: this.list.length, ...named });
  }

  async #addArchive(path: string, names: ResultNames): Promise<void> {
    const archive = archiveName(path, names);
    const { file, pictures, others, problem } = await listArchive(path, () => this.#unpackedFile());
    this.#origins.set(file, path);
    const keys = new ResultNames();
    const add = (input: Omit<Input, 'index'>) => this.list.push({ index: this.list.length, ...input });
    for (const { name, place } of pictures) {
      const own = { path: `${path}/${name}`, name: keys.reserve(keyOf(name)), archive };
      if ('problem' in place)
        add({ ...own, problem: `${JSON.stringify(own.path)} cannot be read: ${place.problem}.` });
      else add({ ...own, part: { archive: file, offset: place.offset, size: place.size } });
    }
    for (const name of others) this.leftOut.add(`${path}/${name}`, whyNoPicture(name));
    const is = `The archive ${JSON.stringify(path)}`;
    if (problem)
      add({
        path,
        name: archive,
        problem: `${is} cannot be read${pictures.length > 0 ? ' to its end' : ''}: ${problem}.`,
      });
    else if (pictures.length === 0) add({ path, name: archive, problem: `${is} holds no pictures.` });
  }

  /** A file for an archive that has to be unpacked. It goes with the process, unless that is killed. */
  async #unpackedFile(): Promise<string> {
    if (!this.#unpacked) {
      this.#unpacked = await mkdtemp(join(tmpdir(), 'gradcampp-unpacked-'));
      process.on('exit', this.#remove);
    }
    return join(this.#unpacked, `${this.list.length}.tar`);
  }

  /** What has to be known to notice a change. A part of an archive changes with it. */
  async #lookAtFiles(): Promise<void> {
    this.#sizes = new Float64Array(this.list.length).fill(-1);
    this.#times = new Float64Array(this.list.length);
    let i = 0;
    for await (const stats of statsOf(this.#files())) {
      const { part } = this.list[i];
      if (stats) {
        this.#sizes[i] = part?.size ?? stats.size;
        this.#times[i] = Math.trunc(stats.mtimeMs);
      }
      i++;
    }
  }

  /** The file that each is in. */
  *#files(): Generator<string> {
    for (const { path, part } of this.list) yield part ? (this.#origins.get(part.archive) as string) : path;
  }
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
  const names = new ResultNames(await rootsOf(images));
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

/** WebDataset's key: the name up to the first dot of its last part. */
function keyOf(member: string): string {
  const last = posix.basename(member);
  const stem = last.slice(0, last.indexOf('.', 1));
  return posix.join(posix.dirname(member), stem).replace(/^(\.{0,2}\/)+/, '');
}

/** The folders that arguments name, and those in which patterns begin. */
async function rootsOf(sources: readonly string[]): Promise<string[]> {
  const roots: string[] = [];
  for (const source of sources) {
    if (source === '-') continue;
    const found = await stat(source).catch(() => undefined);
    if (found?.isDirectory()) roots.push(source);
    else if (!found && isGlob(source)) roots.push(rootOfPattern(source));
  }
  return roots;
}
