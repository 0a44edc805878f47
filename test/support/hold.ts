import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

/**
 * Pictures called held… wait to be read until they are let go, in processes that are started with `env`. So a test finds them at
 * work, however fast or slow the machine is.
 */
export class Hold {
  readonly env: Readonly<Record<string, string>>;
  readonly #folder: string;

  /** @param folder is made; it says what is waited for and what is let go */
  constructor(folder: string) {
    mkdirSync(folder, { recursive: true });
    this.#folder = folder;
    this.env = {
      HOLD: folder,
      NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --import ${new URL('hold-pictures.mjs', import.meta.url).href}`,
    };
  }

  /** Until somebody waits for a picture. */
  async asked(name: string): Promise<void> {
    while (!existsSync(join(this.#folder, `${name}.asked`))) await wait(5);
  }

  letGo(...names: string[]): void {
    for (const name of names) writeFileSync(join(this.#folder, `${name}.free`), '');
  }
}
