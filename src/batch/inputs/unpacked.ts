import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where compressed archives are unpacked: a temporary folder that goes with the process, unless that is killed. */
export class Unpacked {
  #folder: string | undefined;
  #count = 0;
  readonly #remove = () => {
    if (this.#folder) rmSync(this.#folder, { recursive: true, force: true });
  };

  /** The path of a file that is not there yet. */
  async file(): Promise<string> {
    if (!this.#folder) {
      this.#folder = await mkdtemp(join(tmpdir(), 'gradcampp-unpacked-'));
      process.on('exit', this.#remove);
    }
    return join(this.#folder, `${this.#count++}.tar`);
  }

  async close(): Promise<void> {
    process.off('exit', this.#remove);
    if (this.#folder) await rm(this.#folder, { recursive: true, force: true });
  }
}
