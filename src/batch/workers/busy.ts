/**
 * How many tasks a thread has begun and not ended, in memory that it shares with the main thread. A process that exits
 * takes its threads down, and ONNX Runtime's addon aborts where that happens within one of its calls: so the exit waits
 * for them.
 */
export type Busy = Int32Array<SharedArrayBuffer>;

/** Cells: tasks that are begun, and whether no more may begin. */
const [begun, leaving] = [0, 1];

/** Milliseconds that an exit waits at most. */
const patience = 20_000;

/** Of the threads that live. */
const threads = new Set<Busy>();

/** For a new thread; `forget` when it has ended. */
export function makeBusy(): Busy {
  const busy = new Int32Array(new SharedArrayBuffer(8));
  if (threads.size === 0) process.on('exit', waitForAll);
  threads.add(busy);
  return busy;
}

export function forget(busy: Busy): void {
  threads.delete(busy);
  if (threads.size === 0) process.off('exit', waitForAll);
}

/** The thread begins no more tasks. */
export function leave(busy: Busy): void {
  Atomics.store(busy, leaving, 1);
}

/** In the thread: does the work, unless the thread is to begin no more. */
export async function during<T>(busy: Busy | undefined, work: () => Promise<T>): Promise<T> {
  if (!busy) return work();
  Atomics.add(busy, begun, 1); // first: whoever says that no more may begin then sees it
  try {
    if (Atomics.load(busy, leaving) === 1) throw new Error('The thread is about to end.');
    return await work();
  } finally {
    end(busy);
  }
}

function end(busy: Busy): void {
  Atomics.sub(busy, begun, 1);
  Atomics.notify(busy, begun);
}

/** On exit. What does not end in time is taken down with the process, which aborts otherwise, with a page of C++. */
function waitForAll(): void {
  const deadline = performance.now() + patience;
  for (const busy of threads) leave(busy);
  for (const busy of threads)
    for (let count = 1; count > 0; ) {
      count = Atomics.load(busy, begun);
      const left = deadline - performance.now();
      if (count > 0 && left <= 0) return void process.kill(process.pid, 'SIGKILL');
      if (count > 0) Atomics.wait(busy, begun, count, left);
    }
}
