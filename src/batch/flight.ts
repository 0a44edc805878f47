/**
 * How many tasks a thread has begun and not ended, in memory that it shares with the main thread. A process that exits
 * takes its threads down, and ONNX Runtime's addon aborts where that happens within one of its calls: so the exit waits
 * for what is in flight.
 */
export type Flight = Int32Array<SharedArrayBuffer>;

/** Cells of a flight. */
const [inFlight, leaving] = [0, 1];

/** Milliseconds that an exit waits at most. */
const patience = 20_000;

/** Flights of the threads that live. */
const flights = new Set<Flight>();

/** For a new thread; `forgetFlight` when it has ended. */
export function makeFlight(): Flight {
  const flight = new Int32Array(new SharedArrayBuffer(8));
  if (flights.size === 0) process.on('exit', land);
  flights.add(flight);
  return flight;
}

export function forgetFlight(flight: Flight): void {
  flights.delete(flight);
  if (flights.size === 0) process.off('exit', land);
}

/** In the thread: does the work; where the process is about to exit, nothing, for ever. */
export async function during<T>(flight: Flight | undefined, work: () => Promise<T>): Promise<T> {
  if (!flight) return work();
  Atomics.add(flight, inFlight, 1);
  if (Atomics.load(flight, leaving) === 1) {
    ended(flight);
    return new Promise(() => undefined);
  }
  try {
    return await work();
  } finally {
    ended(flight);
  }
}

function ended(flight: Flight): void {
  Atomics.sub(flight, inFlight, 1);
  Atomics.notify(flight, inFlight);
}

function land(): void {
  const deadline = performance.now() + patience;
  for (const flight of flights) Atomics.store(flight, leaving, 1);
  for (const flight of flights)
    for (let count = 1; count > 0 && performance.now() < deadline; ) {
      count = Atomics.load(flight, inFlight);
      if (count > 0) Atomics.wait(flight, inFlight, count, deadline - performance.now());
    }
}
