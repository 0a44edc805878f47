import { type FileHandle, mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { folderPlacer, partialPath, type Place, unwritable } from './write-file.js';

/** A file that is complete: its name, size and CRC-32, and its bytes where it has no folder. */
export interface Grown {
  readonly name: string;
  readonly size: number;
  readonly checksum: number;
  readonly bytes?: Uint8Array;
}

/** A file that is written piece by piece, and has its name once it is whole. */
export class GrowingFile {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #place: Place | undefined;
  #size = 0;

  private constructor(path: string, file: FileHandle, place: Place | undefined) {
    this.#path = path;
    this.#file = file;
    this.#place = place;
  }

  /**
   * @param path where it is until then
   * @param place gives it its name; without, its bytes are handed over
   */
  static async begin(path: string, place?: Place): Promise<GrowingFile> {
    const file = await open(path, 'w+').catch((cause: unknown) => {
      throw unwritable(path, cause);
    });
    return new GrowingFile(path, file, place);
  }

  async append(bytes: Uint8Array): Promise<void> {
    try {
      await this.#file.appendFile(bytes);
      this.#size += bytes.length;
    } catch (cause) {
      throw unwritable(this.#path, cause);
    }
  }

  /** @param beginning takes the place of as many bytes as it has, which were written first */
  async finish(name: string, beginning: Uint8Array): Promise<Grown> {
    try {
      await this.#file.write(beginning, 0, beginning.length, 0);
      const size = this.#size;
      if (!this.#place) {
        await this.#file.close();
        const bytes = await readFile(this.#path);
        await rm(this.#path);
        return { name, size, checksum: crc32(bytes), bytes };
      }
      const checksum = await this.#checksum();
      await this.#file.close();
      await this.#place(this.#path, name);
      return { name, size, checksum };
    } catch (cause) {
      throw unwritable(this.#path, cause);
    }
  }

  async #checksum(): Promise<number> {
    const piece = new Uint8Array(2 ** 20);
    let checksum = 0;
    for (let at = 0; at < this.#size; ) {
      const { bytesRead } = await this.#file.read(piece, 0, piece.length, at);
      checksum = crc32(piece.subarray(0, bytesRead), checksum);
      at += bytesRead;
    }
    return checksum;
  }
}

/** Files that one worker writes so: in the folder of a run, or where there is none in a temporary one. */
export class GrowingFiles {
  readonly #out: string | undefined;
  readonly #id: number;
  readonly #place: Place | undefined;
  #folder: string | undefined;
  #count = 0;

  /** @param id no two of a run share one */
  constructor(out: string | undefined, id: number) {
    this.#out = out;
    this.#id = id;
    this.#place = out === undefined ? undefined : folderPlacer(out);
  }

  async begin(): Promise<GrowingFile> {
    const own = `${this.#id}-growing-${this.#count++}`;
    if (this.#out !== undefined) return GrowingFile.begin(partialPath(this.#out, own), this.#place);
    this.#folder ??= await mkdtemp(join(tmpdir(), 'gradcampp-growing-'));
    return GrowingFile.begin(join(this.#folder, own));
  }

  async close(): Promise<void> {
    if (this.#folder !== undefined) await rm(this.#folder, { recursive: true, force: true });
  }
}
