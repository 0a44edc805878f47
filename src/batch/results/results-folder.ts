import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { GradcamppError } from '../../errors.js';
import type { Inputs } from '../inputs/inputs.js';
import type { Done } from '../picture.js';
import type { RunRecord } from './run-record.js';
import { type DoneEntry, keepWhole } from './resume.js';
import { RunFolder, resultsFile } from './run-folder.js';
import type { Reuse } from '../run-options.js';
import { archiveEnd, encodeMember } from '../inputs/tar.js';
import { othersIn, takenBefore, unwritable } from './write-file.js';

/** How the results of an explaining run are known. */
export const owned = { names: [resultsFile], isOurs: (text: string) => /^\{"index":\d+,"image":/.test(text) };

/**
 * The folder that pictures are explained into. `results.jsonl` and archives grow in the order of the inputs. The journal
 * vouches for each picture, after all that is its own is written: whenever the process ends, what the journal lists is
 * whole, and everything else is done again.
 */
export class ResultsFolder {
  readonly #folder: RunFolder<DoneEntry>;
  readonly #inputs: Inputs;
  /** What is done, by index: 1; 2 where it failed. */
  readonly #done: Uint8Array;
  /** Shared files by name. */
  readonly #files = new Map<string, FileHandle>();
  /** Files of the folder that are none of the run's. */
  readonly #others: ReadonlySet<string>;
  #last: number;
  #isInOrder = true;

  private constructor(
    folder: RunFolder<DoneEntry>,
    inputs: Inputs,
    done: Uint8Array,
    others: ReadonlySet<string>,
  ) {
    this.#others = others;
    this.#folder = folder;
    this.#inputs = inputs;
    this.#done = done;
    this.#last = done.findLastIndex((mark) => mark > 0);
  }

  /**
   * Opens the folder for a run.
   *
   * @returns the record of that very run where it is finished already
   * @throws GradcamppError OUTPUT
   */
  static async open(
    out: string,
    record: RunRecord,
    inputs: Inputs,
    reuse: Reuse = {},
  ): Promise<ResultsFolder | RunRecord> {
    const folder = await RunFolder.open<DoneEntry>(out, record, reuse, owned);
    if (!(folder instanceof RunFolder)) return folder;
    try {
      const others = await othersIn(out);
      for (const name of record.archives ?? []) if (others.has(name)) throw takenBefore(join(out, name));
      return new ResultsFolder(folder, inputs, await keepWhole(folder, inputs), others);
    } catch (cause) {
      await folder.close();
      throw unwritable(out, cause);
    }
  }

  /** What the user should know of the folder. */
  get notes(): readonly string[] {
    const taken = [...this.#others].filter((name) => name.endsWith('.html'));
    const note = 'was there before the run and stays; no page is written beside the results.';
    return [...this.#folder.notes, ...taken.slice(0, 1).map((name) => `${name} ${note}`)];
  }

  isDone(index: number): boolean {
    return this.#done[index] > 0;
  }

  /** Pictures that are done, and how many of them failed. */
  count(): { done: number; failed: number } {
    let [done, failed] = [0, 0];
    for (const mark of this.#done) {
      if (mark > 0) done++;
      if (mark === 2) failed++;
    }
    return { done, failed };
  }

  /** Adds a picture. Files that are not written yet go into its archive. */
  async add({ index, lines, files, bytes }: Done<object>): Promise<void> {
    const { archive } = this.#inputs.list[index];
    try {
      const text = Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
      await this.#append(resultsFile, text);
      if (archive !== undefined && bytes)
        await this.#append(
          archive,
          Buffer.concat(bytes.map((content, i) => encodeMember(files[i][0], content))),
        );
      const failed = lines.some((line) => 'error' in line);
      await this.#folder.journal.add({
        index,
        state: this.#inputs.stateOf(index),
        failed,
        lines: [text.length, crc32(text)],
        archive,
        files,
      });
      this.#done[index] = failed ? 2 : 1;
      this.#isInOrder &&= index > this.#last;
      this.#last = Math.max(index, this.#last);
    } catch (cause) {
      throw unwritable(join(this.#folder.out, resultsFile), cause);
    }
  }

  /**
   * Every picture is done: all is put into the order of the inputs, and the record says so.
   *
   * @param writePages writes what is made of the results, and tells the names of its files
   */
  async finish(
    writePages: (others: ReadonlySet<string>) => Promise<string[]> = async () => [],
  ): Promise<void> {
    const { out } = this.#folder;
    try {
      await this.#closeFiles();
      await this.#folder.journal.close();
      if (!this.#isInOrder) await this.#putInOrder();
      for (const name of this.#usedArchives()) await this.#append(name, archiveEnd);
      await this.#append(resultsFile, new Uint8Array());
      for (const file of this.#files.values()) await file.sync();
      await this.#closeFiles();
      const files = await writePages(this.#others);
      const { done, failed } = this.count();
      await this.#folder.finish({ explained: done - failed, failed, files });
    } catch (cause) {
      throw unwritable(out, cause);
    }
  }

  async close(): Promise<void> {
    await this.#closeFiles();
    await this.#folder.close();
  }

  async #putInOrder(): Promise<void> {
    const whole = await keepWhole(this.#folder, this.#inputs);
    if (whole.every((mark) => mark > 0)) return;
    throw new GradcamppError(
      'OUTPUT',
      `The results in "${this.#folder.out}" were changed while the run wrote them: --resume does those again.`,
    );
  }

  #usedArchives(): Set<string> {
    return new Set(this.#inputs.list.flatMap(({ archive }) => archive ?? []));
  }

  async #append(name: string, bytes: Uint8Array): Promise<void> {
    let file = this.#files.get(name);
    if (!file) {
      file = await open(join(this.#folder.out, name), 'a');
      this.#files.set(name, file);
    }
    await file.appendFile(bytes);
  }

  async #closeFiles(): Promise<void> {
    for (const file of this.#files.values()) await file.close();
    this.#files.clear();
  }
}
