import { createReadStream } from 'node:fs';
import { readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join, resolve, sep } from 'node:path';
import { GradcamppError } from '../../errors.js';
import { hashFile, statsOf } from '../../files.js';
import { Journal } from './journal.js';
import { readLines } from './lines.js';
import { claim } from './lock.js';
import { differences, readRecord, type RunRecord } from './run-record.js';
import type { Reuse } from '../run-options.js';
import { makeFolder, noteOthers, othersFile, partialFolder, unwritable } from './write-file.js';

export const resultsFile = 'results.jsonl';
const recordFile = 'run.json';
const journalFile = `${partialFolder}/journal.jsonl`;
const lockFile = `${partialFolder}/lock`;

/** How results are known where no record says whose they are. */
export interface Owned {
  /** Files that a run writes: where there is one, there are results. */
  readonly names: readonly string[];
  /** Whether the content of the first is one of ours. */
  readonly isOurs: (beginning: string) => boolean;
}

/**
 * The output folder of a run: its record, `run.json`, which says what the run is and whether it is finished; its journal,
 * which says what is done; and what another run, or somebody else, has left there.
 */
export class RunFolder<Entry> {
  readonly out: string;
  readonly journal: Journal<Entry>;
  /** What the user should know: that the record was lost. */
  readonly notes: readonly string[];
  readonly #record: RunRecord;
  readonly #giveBack: () => void;

  private constructor(out: string, record: RunRecord, { isRebuilt }: State, giveBack: () => void) {
    this.out = out;
    this.#record = record;
    this.#giveBack = giveBack;
    this.journal = journalOf(out, record);
    this.notes = isRebuilt ? [`${recordFile} was lost or damaged, and is written anew.`] : [];
  }

  /** @throws GradcamppError OUTPUT where `open` would refuse the folder; nothing is changed */
  static async check(out: string, record: RunRecord, reuse: Reuse, owned: Owned): Promise<void> {
    checkReuse(out, await stateOf(out, record, owned), record, reuse);
  }

  /**
   * Opens the folder for a run.
   *
   * @param prepare what may still find that the run cannot be done, before the results of an earlier one are removed
   * @returns the record of that very run where it is finished already
   * @throws GradcamppError OUTPUT where the folder holds what must not be replaced
   */
  static async open<Entry>(
    out: string,
    record: RunRecord,
    reuse: Reuse,
    owned: Owned,
    prepare: () => Promise<void> = async () => undefined,
  ): Promise<RunFolder<Entry> | RunRecord> {
    const state = await stateOf(out, record, owned);
    checkReuse(out, state, record, reuse);
    const { found, isEmpty } = state;
    let giveBack = () => {};
    try {
      if (found?.finished && reuse.resume) {
        await checkWhole(out, found);
        await removePartialFolder(out); // the process may have ended just before
        return found;
      }
      await makeFolder(join(out, partialFolder));
      giveBack = await claim(join(out, lockFile), out);
    } catch (cause) {
      throw unwritable(out, cause);
    }
    try {
      await prepare();
    } catch (error) {
      if (isEmpty || found?.finished) await removePartialFolder(out).catch(() => undefined);
      giveBack();
      throw error;
    }
    try {
      if (!isEmpty && !reuse.resume) await removeRun(out, found, owned);
      await removeHalfWritten(out);
      if (isEmpty || found?.finished) await noteOthers(out);
      await writeRecord(out, record);
      return new RunFolder<Entry>(out, record, state, giveBack);
    } catch (cause) {
      giveBack();
      throw unwritable(out, cause);
    }
  }

  /** Where a file is while it is written. */
  partial(name: string): string {
    return join(this.out, partialFolder, name);
  }

  /** All is done: the record says so, and the journal goes. */
  async finish(result: Pick<RunRecord, 'explained' | 'failed' | 'files' | 'report'>): Promise<void> {
    try {
      await this.journal.close();
      const resultsSha256 = await hashOf(join(this.out, resultsFile));
      await writeRecord(this.out, { ...this.#record, finished: true, ...result, resultsSha256 });
      await removePartialFolder(this.out);
    } catch (cause) {
      throw unwritable(this.out, cause);
    }
  }

  async close(): Promise<void> {
    await this.journal.close();
    this.#giveBack();
  }
}

function journalOf<Entry>(out: string, { checksum }: RunRecord): Journal<Entry> {
  return new Journal(join(out, journalFile), checksum, join(out, partialFolder, 'journal'));
}

/** What a folder holds. */
interface State {
  /** The record of a run. */
  readonly found?: RunRecord;
  /** Whether that was lost, and the journal shows that it is the one that is asked for. */
  readonly isRebuilt?: boolean;
  /** Why there is none, where something else says that there should be. */
  readonly problem?: 'foreign' | 'lost' | 'not ours';
  /** Whether there is nothing of any run. */
  readonly isEmpty: boolean;
}

async function stateOf(out: string, record: RunRecord, owned: Owned): Promise<State> {
  const found = await readRecord(join(out, recordFile));
  if (typeof found === 'object') return { found, isEmpty: false };
  if (found === 'foreign') return { problem: 'foreign', isEmpty: false };
  const journal = await stat(join(out, journalFile)).catch(() => undefined);
  if (journal && journal.size > 0) {
    const isOfThisRun = !(await journalOf(out, record).read().next()).done;
    return isOfThisRun
      ? { found: record, isRebuilt: true, isEmpty: false }
      : { problem: 'lost', isEmpty: false };
  }
  for (const name of owned.names) {
    const there = await stat(join(out, name)).catch(() => undefined);
    if (!there || there.size === 0) continue;
    const isOurs = owned.isOurs(await beginningOf(join(out, owned.names[0])));
    return { problem: isOurs ? 'lost' : 'not ours', isEmpty: false };
  }
  return { problem: found === 'damaged' ? 'lost' : undefined, isEmpty: found === 'none' };
}

async function beginningOf(path: string): Promise<string> {
  let text = '';
  const stream = createReadStream(path, { encoding: 'utf8', end: (1 << 20) - 1 });
  try {
    for await (const piece of stream) text += piece;
  } catch {
    // what cannot be read is none of ours
  }
  return text;
}

function checkReuse(
  out: string,
  { found, problem, isEmpty }: State,
  record: RunRecord,
  { resume, overwrite }: Reuse,
): void {
  const refuse = (what: string, advice: string) =>
    new GradcamppError('OUTPUT', `"${out}" holds ${what}. ${advice}`);
  const elsewhere = 'Name another output folder.';
  if (isEmpty) return;
  if (problem === 'foreign')
    throw refuse(`a ${recordFile} that is not the record of a run of this version of gradcampp`, elsewhere);
  if (problem === 'not ours') throw refuse('results that are not those of a run', elsewhere);
  const isWithoutResults = found?.finished && found.explained === 0;
  if (overwrite || (isWithoutResults && !resume)) return;
  if (problem === 'lost')
    throw refuse(
      `results, but its ${recordFile}, which says of what, is lost`,
      'Replace them with --overwrite, or name another output folder.',
    );
  const kind = found?.finished ? 'a finished run' : 'an unfinished run';
  if (!resume)
    throw refuse(
      kind,
      `${found?.finished ? 'Replace' : 'Continue it with --resume, replace'} it with --overwrite, or name another output folder.`,
    );
  if (found?.checksum !== record.checksum)
    throw refuse(
      `another run, which differs in ${differences(found as RunRecord, record).join(', ')}`,
      'Name another output folder, or continue that run as it was.',
    );
  if (found.finished && found.inputs.state !== record.inputs.state)
    throw refuse(
      'the finished run of these inputs, of which some have changed since, in size or time',
      'Do all again with --overwrite, or name another output folder.',
    );
}

/** Nothing of a finished run is taken for whole that is not there, or, of its results, not as it was written. */
async function checkWhole(out: string, found: RunRecord): Promise<void> {
  const refuse = (what: string) =>
    new GradcamppError(
      'OUTPUT',
      `"${out}" holds the finished run, but ${what}. Do all again with --overwrite, or name another output folder.`,
    );
  const { resultsSha256 } = found;
  if (resultsSha256 !== undefined && (await hashOf(join(out, resultsFile))) !== resultsSha256)
    throw refuse(`its ${resultsFile} is not as it was written`);
  const names: string[] = [];
  for await (const name of listedFiles(out, found)) names.push(name);
  let i = 0;
  for await (const stats of statsOf(names.map((name) => resolve(out, name)))) {
    if (!stats) throw refuse(`its file ${JSON.stringify(names[i])} is missing`);
    i++;
  }
}

async function hashOf(path: string): Promise<string | undefined> {
  return hashFile(path).catch(() => undefined);
}

async function writeRecord(out: string, record: RunRecord): Promise<void> {
  const partial = join(out, partialFolder, recordFile);
  await writeFile(partial, `${JSON.stringify(record, undefined, 2)}\n`, { flush: true });
  await rename(partial, join(out, recordFile));
}

async function removePartialFolder(out: string): Promise<void> {
  await rm(join(out, partialFolder), { recursive: true, force: true });
}

/** Of the folder of partial files, all but what a run needs to go on. */
async function removeHalfWritten(out: string): Promise<void> {
  const folder = join(out, partialFolder);
  for (const name of await readdir(folder))
    if (![journalFile, lockFile, othersFile].includes(`${partialFolder}/${name}`))
      await rm(join(folder, name), { recursive: true, force: true });
}

/**
 * The files that an earlier run lists, its results, record and journal; nothing else. The record says first that the
 * run is not finished, so that a removal which is cut short is not taken for a whole run.
 */
async function removeRun(out: string, found: RunRecord | undefined, { names }: Owned): Promise<void> {
  await rm(join(out, journalFile), { force: true });
  if (found) await writeRecord(out, { ...found, finished: false });
  for await (const name of listedFiles(out, found)) {
    const path = resolve(out, name);
    if (path.startsWith(`${resolve(out)}${sep}`)) await rm(path, { force: true });
  }
  for (const name of [...names, resultsFile, recordFile]) await rm(join(out, name), { force: true });
}

/** What the record and `results.jsonl` list. */
async function* listedFiles(out: string, found: RunRecord | undefined): AsyncGenerator<string> {
  const { files = [], archives } = found ?? {};
  yield* [...files, ...(archives ?? [])];
  if (archives) return; // the lines name their members
  for await (const { bytes } of readLines(join(out, resultsFile))) yield* filesOf(bytes.toString());
}

/** Files that a line names, of itself and of its parts, as of each word of a caption. */
function filesOf(line: string): string[] {
  const names: string[] = [];
  try {
    JSON.parse(line, (key, value: unknown) => {
      if (key === 'files' && typeof value === 'object' && value !== null)
        names.push(...Object.values(value).filter((name) => typeof name === 'string'));
      return value;
    });
    return names;
  } catch {
    return []; // the last line of a run that was killed
  }
}

/** The backend of the run that a folder holds; undefined where none is known. */
export async function backendOfRun(out: string): Promise<string | undefined> {
  const found = await readRecord(join(out, recordFile));
  return typeof found === 'object' ? found.backend : undefined;
}
