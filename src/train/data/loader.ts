import { type Executor, inThisThread } from '../../batch/workers/executor.js';
import type { Answer, Service } from '../../batch/workers/messages.js';
import { Pool } from '../../batch/workers/worker-pool.js';
import { Kept, type KeptValues } from './kept.js';
import type { Pictures } from './pictures.js';
import { maskViews, type ViewOptions, Views } from './views.js';

/** What views are made of. */
export interface LoaderInit {
  readonly pictures: Pictures;
  /** Of the pictures, in the same order. */
  readonly masks: Pictures | undefined;
  /** What is given in place of the pictures, where it was computed before. */
  readonly kept: KeptValues | undefined;
  readonly options: ViewOptions;
}

/** The views of a step. */
export interface Wanted {
  readonly pictures: readonly number[];
  /** Of each picture. */
  readonly views: readonly number[];
}

/** Network inputs of a step, one behind another. */
export interface Loaded {
  readonly images: Float32Array;
  /** [1, H, W] each, 0…1. */
  readonly masks?: Float32Array;
}

/** What a thread that makes views runs. */
export async function loadingService({ pictures, masks, kept, options }: LoaderInit): Promise<Service> {
  const views = kept ? new Kept(kept) : new Views(pictures, options);
  const own = masks && maskViews(masks, options);
  return {
    ready: true,
    run: async ({ pictures: wanted, views: numbers }: Wanted): Promise<Answer> => {
      const loaded: Loaded = {
        images: views.batch(wanted, numbers),
        ...(own ? { masks: own.batch(wanted, numbers) } : {}),
      };
      return { result: loaded, transfer: Object.values(loaded).map(({ buffer }) => buffer as ArrayBuffer) };
    },
    close: async () => views.close(),
  };
}

/**
 * Makes the views of steps while earlier steps run. What it gives depends on what is asked for alone, not on the number of threads.
 */
export class Loader {
  readonly #executor: Executor<Wanted, Loaded, unknown>;
  readonly #wanted: Iterator<Wanted>;
  readonly #coming: Promise<Loaded>[] = [];
  readonly #ahead: number;

  /**
   * @param threads 0: views are made in this thread, when they are asked for
   * @param wanted the steps, in order
   */
  constructor(init: LoaderInit, threads: number, wanted: Iterator<Wanted>) {
    this.#executor =
      threads === 0
        ? inThisThread(loadingService(init))
        : new Pool({
            script: new URL('../loader-worker.js', import.meta.url),
            init,
            size: threads,
            depth: 1,
            resourceLimits: { maxYoungGenerationSizeMb: 16 },
          });
    this.#wanted = wanted;
    this.#ahead = threads === 0 ? 0 : threads + 2;
    if (threads > 0) this.#order(this.#ahead);
  }

  /** The inputs of the next step. */
  next(): Promise<Loaded> {
    this.#order(Math.max(this.#ahead, 1));
    const [first] = this.#coming.splice(0, 1);
    this.#order(this.#ahead);
    return first;
  }

  close(): Promise<void> {
    return this.#executor.close();
  }

  #order(count: number): void {
    while (this.#coming.length < count) {
      const { value, done } = this.#wanted.next();
      if (done) return;
      const loaded = this.#executor.run(value);
      loaded.catch(() => undefined); // of those that nobody waits for any more
      this.#coming.push(loaded);
    }
  }
}
