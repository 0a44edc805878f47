/** What a run needed time to open, and closes where nobody keeps it. */
interface Closable {
  close(): Promise<void>;
}

/** Keeps the workers of a run, with the model that they opened, for the next run that would open the same. */
export class Crew<T extends Closable> {
  #kept: { readonly key: string; readonly workers: T } | undefined;

  /** The workers that were kept under this key, who are the caller's then; others are ended, before new ones take memory. */
  async take(key: string): Promise<T | undefined> {
    const kept = this.#kept;
    this.#kept = undefined;
    if (kept?.key === key) return kept.workers;
    await kept?.workers.close();
    return undefined;
  }

  /** Keeps workers of a run that went well. */
  keep(key: string, workers: T): void {
    this.#kept = { key, workers };
  }

  /** Ends the workers. */
  async close(): Promise<void> {
    await this.#kept?.workers.close();
    this.#kept = undefined;
  }
}
