import { isMainThread } from 'node:worker_threads';

/** Milliseconds after which a file has taken long, and how often that may happen in a row. */
const long = 3;
const mostInARow = 3;

/**
 * Whether files are read and written at once, in the calling thread, instead of through the thread pool. In a worker that
 * computes, the hops to and from the pool take longer than a small file on a local disk, and disturb its neighbours: 8 %
 * of the pictures per second of two workers. Where files take long, as over a network, the pool is used from then on, so
 * that the next picture is read while one is computed. In the main thread, which has others to answer, only what asks for
 * it: a few lines at the end of a file.
 */
export class Patience {
  readonly #isMeant: boolean;
  readonly #now: () => number;
  #slow = 0;

  constructor(isMeant = !isMainThread, now = () => performance.now()) {
    this.#isMeant = isMeant;
    this.#now = now;
  }

  get lasts(): boolean {
    return this.#isMeant && this.#slow < mostInARow;
  }

  /** Does it, and looks at the clock. */
  watch<T>(work: () => T): T {
    const start = this.#now();
    const result = work();
    this.#slow = this.#now() - start > long ? this.#slow + 1 : 0;
    return result;
  }
}
