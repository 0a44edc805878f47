import { fork } from 'node:child_process';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type ResourceLimits, type Transferable, Worker } from 'node:worker_threads';
import { messageOf } from '../../errors.js';
import { disableTelemetry } from '../../telemetry.js';
import { forget, leave, makeBusy } from './busy.js';
import { endMessage } from './messages.js';

/** A worker seen from outside: a thread or a process that takes messages and may die. */
export interface Channel {
  send(message: unknown, transfer?: readonly Transferable[]): void;
  /** Ends it; resolved when it is gone, or when a thread has not ended in time. */
  end(): Promise<void>;
  /** Leaves it alone: a process is killed; a thread ends by itself once its task does. */
  abandon(): void;
}

export interface ChannelEvents {
  message: (message: never) => void;
  /** It is gone; `reason` in words. */
  exit(reason: string): void;
}

/**
 * MB of V8's young generation. What a picture needs is large in few objects, and memory that sharp holds is freed only
 * when they are collected: a small young generation is collected often, for next to nothing.
 */
const youngGeneration = 3;

/** Milliseconds that a thread gets to end its task. */
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
  const busy = makeBusy();
  const worker = new Worker(script, {
    workerData: { init, busy },
    resourceLimits: { maxYoungGenerationSizeMb: youngGeneration, ...resourceLimits },
    execArgv: [], // flags as --input-type are the program's own
  });
  let reason: string | undefined;
  const gone = new Promise<void>((resolve) => {
    worker.on('exit', (code) => {
      forget(busy);
      resolve();
      events.exit(reason ?? `ended with code ${code}`);
    });
  });
  worker.on('message', (message) => events.message(message as never));
  worker.on('error', (error: NodeJS.ErrnoException) => {
    reason = error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? 'ran out of memory' : `failed: ${messageOf(error)}`;
  });
  const abandon = () => {
    leave(busy);
    worker.postMessage(endMessage, []);
  };
  return {
    send: (message, transfer = []) => worker.postMessage(message, transfer),
    abandon,
    end: async () => {
      abandon();
      const timer = new AbortController();
      await Promise.race([gone, wait(grace, undefined, { signal: timer.signal }).catch(() => undefined)]);
      timer.abort();
      worker.unref(); // where it has not ended, the process may
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
      events.exit(`could not start: ${messageOf(error)}`);
    });
  });
  child.on('message', (message) => events.message(message as never));
  const send = (message: unknown) => void (child.connected && child.send(message as object, () => undefined));
  const kill = () => void child.kill('SIGKILL');
  send({ init });
  return {
    send,
    abandon: kill,
    end: () => {
      kill();
      return gone;
    },
  };
}
