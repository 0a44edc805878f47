export interface Concurrency {
  /** Items that are worked on at a time. */
  readonly limit: number;
  /** These, and those whose results are not taken yet; default twice as many. With order 'input' a slow one stops no other until then. */
  readonly window?: number;
  readonly order: 'input' | 'completion';
  /** Ends it at once with the signal's reason; results that were not taken are lost. */
  readonly signal?: AbortSignal;
}

/**
 * Applies `work` to a stream and gives results in the stream's order or as they come. Nothing more is taken from the
 * stream than the window holds: a slow reader slows the stream. After an error nothing new is begun, and it ends
 * at that place. However it ends, the stream is closed and what is in flight is waited for.
 */
export async function* concurrently<T, R>(
  stream: AsyncIterable<T> | Iterable<T>,
  work: (item: T) => Promise<R>,
  concurrency: Concurrency,
): AsyncGenerator<R> {
  const flow = new Flow(stream, work, concurrency);
  try {
    for (;;) {
      concurrency.signal?.throwIfAborted();
      flow.ask();
      const result = flow.take();
      if (result) yield await result;
      else if (flow.isOver()) return;
      else await flow.change();
    }
  } finally {
    await flow.close();
  }
}

/** Work that was begun; its promise is settled once it is done. */
interface Begun<R> {
  readonly promise: Promise<R>;
  isDone: boolean;
}

class Flow<T, R> {
  readonly #iterator: AsyncIterator<T> | Iterator<T>;
  readonly #work: (item: T) => Promise<R>;
  readonly #concurrency: Concurrency;
  readonly #wake = () => this.#changed();
  /** Whether the stream has been asked for an item, and whether it has ended. */
  #source: 'idle' | 'asked' | 'ended' = 'idle';
  /** What the stream ended with, where that was an error. */
  #failure: { readonly error: unknown } | undefined;
  /** Not taken yet, oldest first. */
  readonly #begun: Begun<R>[] = [];
  /** Those of them that are done, in that order. */
  readonly #done: Begun<R>[] = [];
  /** Nothing new is begun. */
  #isStopped = false;
  #changed = () => {};

  constructor(
    stream: AsyncIterable<T> | Iterable<T>,
    work: (item: T) => Promise<R>,
    concurrency: Concurrency,
  ) {
    this.#iterator =
      Symbol.asyncIterator in stream ? stream[Symbol.asyncIterator]() : stream[Symbol.iterator]();
    this.#work = work;
    this.#concurrency = concurrency;
    concurrency.signal?.addEventListener('abort', this.#wake);
  }

  /** Asks the stream for the next item, where there is room for it. */
  ask(): void {
    const { limit, window = 2 * limit } = this.#concurrency;
    const working = this.#begun.length - this.#done.length;
    if (this.#source === 'idle' && !this.#isStopped && working < limit && this.#begun.length < window)
      void this.#askNow();
  }

  async #askNow(): Promise<void> {
    this.#source = 'asked';
    try {
      const { done, value } = await this.#iterator.next();
      this.#source = done ? 'ended' : 'idle';
      if (!done && !this.#isStopped) this.#begin(value);
    } catch (error) {
      this.#source = 'ended';
      this.#failure = { error };
    }
    this.#changed();
  }

  #begin(item: T): void {
    const begun: Begun<R> = { promise: this.#work(item), isDone: false };
    this.#begun.push(begun);
    const finish = () => {
      begun.isDone = true;
      this.#done.push(begun);
      this.#changed();
    };
    begun.promise.then(finish, () => {
      this.#isStopped = true;
      finish();
    });
  }

  /** The next result, or error, if it is there. */
  take(): Promise<R> | undefined {
    const next = this.#concurrency.order === 'input' ? this.#begun[0] : this.#done[0];
    if (!next?.isDone) return undefined;
    for (const list of [this.#begun, this.#done]) list.splice(list.indexOf(next), 1);
    return next.promise;
  }

  /** Whether all results are taken; throws where the stream ended with an error. */
  isOver(): boolean {
    if (this.#source !== 'ended' || this.#begun.length > 0) return false;
    if (this.#failure) throw this.#failure.error;
    return true;
  }

  /** Until something is done, the stream answers, or the signal is given. */
  change(): Promise<void> {
    return new Promise((resolve) => {
      this.#changed = resolve;
    });
  }

  /** Waits for what was begun, and closes the stream. */
  async close(): Promise<void> {
    this.#concurrency.signal?.removeEventListener('abort', this.#wake);
    this.#isStopped = true;
    await Promise.allSettled(this.#begun.map(({ promise }) => promise));
    const closed = this.#source === 'ended' ? undefined : this.#iterator.return?.();
    if (this.#source === 'idle') await closed; // a stream that was asked answers when it likes
  }
}
