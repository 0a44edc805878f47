import { type FileHandle, open, readFile, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';

/**
 * The journal of an unfinished run: one JSON line for each picture that is done, in the order of the inputs, written
 * after everything that it vouches for. It lies in the folder of partial files and goes with it.
 */
export interface JournalEntry {
  readonly index: number;
  readonly failed: boolean;
  /** The archive that its files are in. */
  readonly archive?: string;
  /** Files of its own. */
  readonly files: readonly (readonly [name: string, size: number, checksum: number])[];
  /** What was appended to shared files (results.jsonl, archives): where it ends, and its checksum. */
  readonly appended: readonly (readonly [name: string, end: number, checksum: number])[];
}

/** How far a run came. */
export interface Progressed {
  /** Pictures 0 to done − 1 are in results.jsonl. */
  readonly done: number;
  readonly failed: number;
  /** Pictures among them whose files are not as they were written. */
  readonly redo: readonly number[];
  /** Length of every shared file, the journal too; what lies behind it was half-written. */
  readonly ends: ReadonlyMap<string, number>;
  /** The archive that is being written. */
  readonly archive?: string;
}

export const nothingDone: Progressed = { done: 0, failed: 0, redo: [], ends: new Map() };

/** Of so many last pictures the content is compared, not only the size: after a power cut sizes can be right, content not. */
const compared = 2000;

/** Reads the journal `name` of the folder `out` and compares it with what is there. */
export async function readJournal(out: string, name: string): Promise<Progressed> {
  const text = await readFile(join(out, name), 'utf8').catch(() => '');
  const entries = parse(text);
  const lengths = new Map<string, number>();
  const lengthOf = async (file: string) => {
    if (!lengths.has(file))
      lengths.set(file, (await stat(join(out, file)).catch(() => undefined))?.size ?? 0);
    return lengths.get(file)!;
  };
  const ends = new Map<string, number>();
  const redo: number[] = [];
  let [done, failed, length] = [0, 0, 0];
  for (const { entry, size } of entries) {
    const isRecent = entries.length - done <= compared;
    if (!(await isHeld(entry, ends, out, isRecent, lengthOf))) break;
    if (!(await areWhole(entry, out, isRecent))) redo.push(entry.index);
    for (const [file, end] of entry.appended) ends.set(file, end);
    if (entry.failed) failed++;
    done++;
    length += size;
  }
  ends.set(name, length);
  return { done, failed, redo, ends, archive: entries[done - 1]?.entry.archive };
}

/** The lines up to the first that is damaged or out of turn, and their bytes. */
function parse(text: string): { entry: JournalEntry; size: number }[] {
  const entries: { entry: JournalEntry; size: number }[] = [];
  for (const line of text.split('\n').slice(0, -1)) {
    try {
      const entry = JSON.parse(line) as JournalEntry;
      if (entry.index !== entries.length || !Array.isArray(entry.files) || !Array.isArray(entry.appended))
        break;
      entries.push({ entry, size: Buffer.byteLength(line) + 1 });
    } catch {
      break;
    }
  }
  return entries;
}

/** Whether the shared files hold what the entry says. */
async function isHeld(
  { appended }: JournalEntry,
  starts: ReadonlyMap<string, number>,
  out: string,
  isRecent: boolean,
  lengthOf: (name: string) => Promise<number>,
): Promise<boolean> {
  for (const [name, end, checksum] of appended) {
    if ((await lengthOf(name)) < end) return false;
    if (!isRecent) continue;
    const start = starts.get(name) ?? 0;
    if (crc32(await readPart(join(out, name), start, end - start)) !== checksum) return false;
  }
  return true;
}

async function areWhole({ files }: JournalEntry, out: string, isRecent: boolean): Promise<boolean> {
  for (const [name, size, checksum] of files) {
    const path = join(out, name);
    if ((await stat(path).catch(() => undefined))?.size !== size) return false;
    if (isRecent && crc32(await readFile(path)) !== checksum) return false;
  }
  return true;
}

async function readPart(path: string, start: number, size: number): Promise<Buffer> {
  let file: FileHandle | undefined;
  try {
    file = await open(path);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size), 0, size, start);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file?.close();
  }
}

/** A file that is only appended to; its end is known. */
export class AppendedFile {
  readonly #file: FileHandle;
  #end: number;

  private constructor(file: FileHandle, end: number) {
    this.#file = file;
    this.#end = end;
  }

  /** Opens or makes a file, and cuts what lies behind `end`. */
  static async open(path: string, end = 0): Promise<AppendedFile> {
    const file = await open(path, 'a');
    await truncate(path, end);
    return new AppendedFile(file, end);
  }

  /** Adds bytes; gives the file's new length and the bytes' checksum. */
  async append(bytes: Uint8Array): Promise<[end: number, checksum: number]> {
    await this.#file.appendFile(bytes);
    this.#end += bytes.length;
    return [this.#end, crc32(bytes)];
  }

  /** Waits until the disk has it. */
  async sync(): Promise<void> {
    await this.#file.sync();
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}
