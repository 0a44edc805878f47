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
  { limit, window = 2 * limit, order, signal }: Concurrency,
): AsyncGenerator<R> {
  const iterator =
    Symbol.asyncIterator in stream ? stream[Symbol.asyncIterator]() : stream[Symbol.iterator]();
  const flights: Flight<R>[] = []; // oldest first
  const landed: Flight<R>[] = [];
  let working = 0;
  let source = 'idle' as 'idle' | 'asked' | 'ended';
  let failure: unknown;
  let stopped = false;
  let wake = () => {};

  const ask = async () => {
    source = 'asked';
    try {
      const { done, value } = await iterator.next();
      if (!done && !stopped) start(value);
      source = done ? 'ended' : 'idle';
    } catch (error) {
      failure = error;
      source = 'ended';
    }
    wake();
  };
  const start = (item: T) => {
    const promise = work(item);
    const flight: Flight<R> = { promise, isLanded: false };
    flights.push(flight);
    working++;
    const land = () => {
      working--;
      flight.isLanded = true;
      if (order === 'completion') landed.push(flight);
      wake();
    };
    promise.then(land, () => {
      stopped = true;
      land();
    });
  };
  const next = () => {
    if (order === 'completion') return landed.shift();
    return flights[0]?.isLanded ? flights[0] : undefined;
  };

  const abort = () => wake();
  signal?.addEventListener('abort', abort);
  try {
    for (;;) {
      signal?.throwIfAborted();
      if (source === 'idle' && !stopped && working < limit && flights.length < window) void ask();
      const flight = next();
      if (flight) {
        flights.splice(flights.indexOf(flight), 1);
        yield await flight.promise;
      } else if (source === 'ended' && flights.length === 0) {
        if (failure !== undefined) throw failure;
        return;
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    signal?.removeEventListener('abort', abort);
    stopped = true;
    await Promise.allSettled(flights.map(({ promise }) => promise));
    const closed = source === 'ended' ? undefined : iterator.return?.();
    if (source === 'idle') await closed; // a stream that was asked answers when it likes
  }
}

interface Flight<R> {
  readonly promise: Promise<R>;
  isLanded: boolean;
}
