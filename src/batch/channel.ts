import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type ResourceLimits, type Transferable, Worker } from 'node:worker_threads';
import { disableTelemetry } from '../telemetry.js';
import { forgetFlight, makeFlight } from './flight.js';

/** A worker seen from outside: a thread or a process that takes messages and may die. */
export interface Channel {
  send(message: unknown, transfer?: readonly Transferable[]): void;
  /** Ends it; resolved when it is gone. */
  end(): Promise<void>;
}

export interface ChannelEvents {
  message: (message: never) => void;
  /** It is gone; `reason` in words. */
  exit(reason: string): void;
}

/** What a worker thread is told to end with, in place of a task. */
export const endMessage = 'end';

/**
 * MB of V8's young generation. What a picture needs is large in few objects, and memory that sharp holds is freed only
 * when they are collected: a small young generation is collected often, for next to nothing. With V8's own 48 MB the
 * collector of all objects was called instead, every 20 pictures, and a run of two workers took 40 MB more.
 */
const youngGeneration = 3;

/** Milliseconds that a thread gets to end by itself. */
const grace = 20_000;

/**
 * A thread. Out of memory it dies alone; a fault in native code takes the process with it, and so does ending it while
 * it is in ONNX Runtime (`Worker.terminate` makes every call back into JavaScript fail, which the addon's C++ does not
 * survive). So it is asked to end when it is between two calls, and the exit of the process waits for that too.
 */
export function openThread(
  script: URL,
  init: unknown,
  events: ChannelEvents,
  resourceLimits?: ResourceLimits,
): Channel {
  disableTelemetry(); // a thread cannot
  const flight = makeFlight();
  const worker = new Worker(script, {
    workerData: { init, flight },
    resourceLimits: { maxYoungGenerationSizeMb: youngGeneration, ...resourceLimits },
    execArgv: [], // flags as --input-type are the program's own
  });
  let reason: string | undefined;
  const gone = new Promise<void>((resolve) => {
    worker.on('exit', (code) => {
      forgetFlight(flight);
      resolve();
      events.exit(reason ?? `ended with code ${code}`);
    });
  });
  worker.on('message', (message) => events.message(message as never));
  worker.on('error', (error: NodeJS.ErrnoException) => {
    reason =
      error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? 'ran out of memory' : `failed: ${firstLine(error.message)}`;
  });
  return {
    send: (message, transfer = []) => worker.postMessage(message, transfer),
    end: async () => {
      worker.postMessage(endMessage, []);
      const timer = setTimeout(() => void worker.terminate(), grace);
      await gone;
      clearTimeout(timer);
    },
  };
}

/** A process: whatever happens to it, this one goes on. Messages are copied. */
export function openProcess(script: URL, init: unknown, events: ChannelEvents): Channel {
  const child = fork(fileURLToPath(script), {
    serialization: 'advanced',
    stdio: ['ignore', 2, 2, 'ipc'],
    execArgv: [`--max-semi-space-size=${youngGeneration / 3}`],
  });
  const gone = new Promise<void>((resolve) => {
    child.on('exit', (code, signal) => {
      resolve();
      events.exit(signal ? `was killed (${signal})` : `ended with code ${code}`);
    });
    child.on('error', (error) => {
      if (child.pid !== undefined) return; // followed by exit
      resolve();
      events.exit(`could not start: ${firstLine(error.message)}`);
    });
  });
  child.on('message', (message) => events.message(message as never));
  const send = (message: unknown) => void (child.connected && child.send(message as object, () => undefined));
  send({ init });
  return {
    send,
    end: () => {
      child.kill('SIGKILL');
      return gone;
    },
  };
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0];
}
