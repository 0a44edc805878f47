import { createReadStream } from 'node:fs';
import { readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve, sep } from 'node:path';
import { createInterface } from 'node:readline';
import { GradcamppError } from '../errors.js';
import type { Done } from './files-service.js';
import { makeFolder, partialFolder, unwritable } from './folder.js';
import { AppendedFile, type JournalEntry, nothingDone, type Progressed, readJournal } from './journal.js';
import { claim } from './lock.js';
import type { Reuse } from './run-options.js';
import { differences, readRecord, type RunRecord } from './record.js';
import type { ResultLine } from './results.js';
import { archiveEnd, encodeMember } from './tar.js';

export const resultsFile = 'results.jsonl';
export const recordFile = 'run.json';
const journalFile = `${partialFolder}/journal.jsonl`;
const lockFile = `${partialFolder}/lock`;

/**
 * The output folder of a run. `results.jsonl` grows in the order of the inputs; `run.json` says what the run is and
 * whether it is finished; the journal, in the folder of partial files, vouches for what is done. Whenever the process
 * ends, what the journal lists is whole, and everything else is done again.
 */
export class RunFolder {
  readonly out: string;
  /** How far an earlier process came. */
  readonly progressed: Progressed;
  readonly #record: RunRecord;
  readonly #files = new Map<string, AppendedFile>();
  #archive: string | undefined;

  private constructor(out: string, record: RunRecord, progressed: Progressed) {
    this.out = out;
    this.#record = record;
    this.progressed = progressed;
    this.#archive = progressed.archive;
  }

  /**
   * Opens the folder for a run.
   *
   * @returns the record of that very run where it is finished already
   * @throws GradcamppError OUTPUT
   */
  static async open(out: string, record: RunRecord, reuse: Reuse = {}): Promise<RunFolder | RunRecord> {
    const found = await readRecord(join(out, recordFile));
    if (found) checkReuse(out, found, record, reuse);
    try {
      if (found?.finished && reuse.resume) {
        await removePartialFolder(out); // the process may have ended just before
        return found;
      }
      await makeFolder(join(out, partialFolder));
      await claim(join(out, lockFile), out);
      if (found && !reuse.resume) await removeRun(out, found);
      await removePartial(out);
      const progressed = found && reuse.resume ? await readJournal(out, journalFile) : nothingDone;
      await writeRecord(out, record);
      const folder = new RunFolder(out, record, progressed);
      for (const name of [journalFile, resultsFile]) await folder.#file(name);
      return folder;
    } catch (cause) {
      throw unwritable(out, cause);
    }
  }

  /** Adds the next picture, in the order of the inputs. Files that are not written yet go into `archive`. */
  async add({ index, lines, files, bytes }: Done, archive?: string): Promise<void> {
    const appended: [string, number, number][] = [];
    const append = async (name: string, content: Uint8Array) => {
      appended.push([name, ...(await (await this.#file(name)).append(content))]);
    };
    try {
      if (archive !== this.#archive) {
        if (this.#archive !== undefined) await append(this.#archive, archiveEnd);
        this.#archive = archive;
      }
      const text = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
      await append(resultsFile, Buffer.from(text));
      if (archive !== undefined && bytes)
        await append(archive, Buffer.concat(bytes.map((content, i) => encodeMember(files[i][0], content))));
      const failed = lines.some((line) => 'error' in line);
      const entry: JournalEntry = { index, failed, archive, files: bytes ? [] : files, appended };
      await (await this.#file(journalFile)).append(Buffer.from(`${JSON.stringify(entry)}\n`));
    } catch (cause) {
      throw unwritable(join(this.out, resultsFile), cause);
    }
  }

  /** Every picture is done: the record says so, and the journal goes. */
  async finish(explained: number, failed: number): Promise<void> {
    try {
      if (this.#archive !== undefined) await (await this.#file(this.#archive)).append(archiveEnd);
      for (const [name, file] of this.#files) if (name !== journalFile) await file.sync();
      await this.close();
      await writeRecord(this.out, { ...this.#record, finished: true, explained, failed });
      await removePartialFolder(this.out);
    } catch (cause) {
      throw unwritable(this.out, cause);
    }
  }

  async close(): Promise<void> {
    for (const file of this.#files.values()) await file.close();
    this.#files.clear();
  }

  /** A shared file, cut to what the journal vouches for. */
  async #file(name: string): Promise<AppendedFile> {
    let file = this.#files.get(name);
    if (!file) {
      file = await AppendedFile.open(join(this.out, name), this.progressed.ends.get(name) ?? 0);
      this.#files.set(name, file);
    }
    return file;
  }
}

function checkReuse(out: string, found: RunRecord, record: RunRecord, { resume, overwrite }: Reuse): void {
  if (resume && found.checksum !== record.checksum)
    throw new GradcamppError(
      'OUTPUT',
      `"${out}" holds another run, which differs in ${differences(found, record).join(', ')}. Name another output folder, or continue that run as it was.`,
    );
  if (!found.finished && !resume && !overwrite)
    throw new GradcamppError(
      'OUTPUT',
      `"${out}" holds an unfinished run. Continue it with --resume, replace it with --overwrite, or name another output folder.`,
    );
}

async function writeRecord(out: string, record: RunRecord): Promise<void> {
  const partial = join(out, partialFolder, recordFile);
  await writeFile(partial, `${JSON.stringify(record, undefined, 2)}\n`, { flush: true });
  await rename(partial, join(out, recordFile));
}

async function removePartialFolder(out: string): Promise<void> {
  await rm(join(out, partialFolder), { recursive: true, force: true });
}

/** What was half-written; the journal and the lock stay. */
async function removePartial(out: string): Promise<void> {
  const folder = join(out, partialFolder);
  for (const name of await readdir(folder)) {
    const path = `${partialFolder}/${name}`;
    if (path !== journalFile && path !== lockFile)
      await rm(join(folder, name), { recursive: true, force: true });
  }
}

/**
 * The files that an earlier run lists, its results, record and journal; nothing else. The record says first that the
 * run is not finished, so that a removal which is cut short is not taken for a whole run.
 */
async function removeRun(out: string, { explained, failed, ...record }: RunRecord): Promise<void> {
  await rm(join(out, journalFile), { force: true });
  await writeRecord(out, { ...record, finished: false });
  const inside = `${resolve(out)}${sep}`;
  const stream = createReadStream(join(out, resultsFile));
  stream.on('error', () => undefined); // there may be none
  try {
    for await (const line of createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })) {
      for (const name of Object.values(filesOf(line))) {
        const path = resolve(out, name);
        if (path.startsWith(inside)) await rm(path, { force: true });
      }
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  for (const name of [resultsFile, recordFile]) await rm(join(out, name), { force: true });
}

function filesOf(line: string): Record<string, string> {
  try {
    return { ...(JSON.parse(line) as Partial<ResultLine>).files } as Record<string, string>;
  } catch {
    return {}; // the last line of a run that was killed
  }
}
