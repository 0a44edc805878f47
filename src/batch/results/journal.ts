import { type FileHandle, open, rename, stat, truncate } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { readLines } from './lines.js';

/** A whole line of a journal. */
export interface Noted<Entry> {
  readonly entry: Entry;
  /** Where it begins in the file. */
  readonly start: number;
  readonly line: Buffer;
  /** Whether a line feed follows, and nothing else stands in the line. */
  readonly isAlone: boolean;
}

/**
 * What an unfinished run has done, a line each: a checksum and JSON. The checksum begins with what the run is, so that
 * lines of another run are not taken for its own. Whatever happens to the file, the lines that are whole are found.
 */
export class Journal<Entry> {
  readonly #path: string;
  readonly #partial: string;
  readonly #seed: number;
  #file: FileHandle | undefined;

  /**
   * @param run what tells the run from others
   * @param partial where the journal is while it is written anew
   */
  constructor(path: string, run: string, partial: string) {
    this.#path = path;
    this.#partial = partial;
    this.#seed = crc32(run);
  }

  /** The whole lines, in the file's order; none where there is no file. */
  async *read(): AsyncGenerator<Noted<Entry>> {
    for await (const { bytes, start, hasLineFeed } of readLines(this.#path)) {
      const entry = this.#entryIn(bytes);
      if (entry === undefined) yield* this.#salvage(bytes, start);
      else yield { entry, start, line: bytes, isAlone: hasLineFeed };
    }
  }

  /** Leaves only these lines. Before the first `add`. */
  async keep(isKept: (noted: Noted<Entry>) => boolean): Promise<void> {
    let length = 0;
    let isBeginning = true;
    for await (const noted of this.read()) {
      if (!isKept(noted)) continue;
      isBeginning &&= noted.start === length && noted.isAlone;
      length += noted.line.length + 1;
    }
    const size = (await stat(this.#path).catch(() => undefined))?.size ?? 0;
    if (!isBeginning) await this.#copy(isKept);
    else if (length < size) await truncate(this.#path, length);
  }

  /** By way of another file, so that there are all these lines whenever the process ends. */
  async #copy(isKept: (noted: Noted<Entry>) => boolean): Promise<void> {
    const copy = await open(this.#partial, 'w');
    try {
      for await (const noted of this.read())
        if (isKept(noted)) await copy.writeFile(Buffer.concat([noted.line, lineFeed]));
      await copy.sync();
    } finally {
      await copy.close();
    }
    await rename(this.#partial, this.#path);
  }

  async add(entry: Entry): Promise<void> {
    this.#file ??= await open(this.#path, 'a');
    const json = JSON.stringify(entry);
    await this.#file.appendFile(`${this.#checksumOf(Buffer.from(json))} ${json}\n`);
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
  }

  #checksumOf(json: Uint8Array): string {
    return hex(crc32(json, this.#seed));
  }

  #entryIn(line: Buffer): Entry | undefined {
    if (line.length < 9 || line[8] !== 0x20) return undefined;
    const json = line.subarray(9);
    if (line.toString('latin1', 0, 8) !== this.#checksumOf(json)) return undefined;
    try {
      return JSON.parse(json.toString()) as Entry;
    } catch {
      return undefined; // another text of the same checksum
    }
  }

  /** The whole lines in what lost its line feeds, or got something in front or behind. */
  *#salvage(bytes: Buffer, start: number): Generator<Noted<Entry>> {
    const text = bytes.toString('latin1');
    const beginning = /(?<checksum>[\da-f]{8}) \{/g;
    for (let found = beginning.exec(text); found; found = beginning.exec(text)) {
      const from = found.index;
      let checksum = this.#seed;
      beginning.lastIndex = from + 1; // unless its end is found
      for (let at = from + 9, to; (to = bytes.indexOf(0x7d, at) + 1) > 0; at = to) {
        checksum = crc32(bytes.subarray(at, to), checksum);
        if (hex(checksum) !== found.groups?.checksum) continue;
        const line = bytes.subarray(from, to);
        const entry = this.#entryIn(line);
        if (entry !== undefined) yield { entry, start: start + from, line, isAlone: false };
        beginning.lastIndex = to;
        break;
      }
    }
  }
}

function hex(checksum: number): string {
  return checksum.toString(16).padStart(8, '0');
}

const lineFeed = Buffer.from('\n');
