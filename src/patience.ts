import { isMainThread } from 'node:worker_threads';

/** Milliseconds after which a file has taken long, how often that may be in a row, and after how many it is tried again. */
const long = 3;
const mostInARow = 3;
const again = 50;

/**
 * Whether files are read and written at once, in the calling thread, instead of through the thread pool. In a worker that
 * computes, the hops to and from the pool take longer than a small file on a local disk, and disturb its neighbours: 8 %
 * of the pictures per second of two workers. Where files take long, as over a network, the pool is used, so that the next
 * picture is read while one is computed; every 50th file shows whether it was only for a moment. In the main thread, which
 * has others to answer, only what asks for it: a few lines at the end of a file.
 */
export class Patience {
  readonly #isMeant: boolean;
  readonly #now: () => number;
  #slow = 0;
  #passed = 0;

  constructor(isMeant = !isMainThread, now = () => performance.now()) {
    this.#isMeant = isMeant;
    this.#now = now;
  }

  /** Whether the next file is to be done at once. */
  lasts(): boolean {
    if (!this.#isMeant) return false;
    return this.#slow < mostInARow || ++this.#passed % again === 0;
  }

  /** Does it, and looks at the clock. */
  watch<T>(work: () => T): T {
    const start = this.#now();
    const result = work();
    this.#slow = this.#now() - start > long ? this.#slow + 1 : 0;
    return result;
  }
}
