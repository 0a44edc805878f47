import type { Transferable } from 'node:worker_threads';
import type { Service } from './messages.js';

/** Whoever runs tasks: workers, or this thread. */
export interface Executor<Body, Result, Ready> {
  readonly ready: Promise<Ready>;
  run(body: Body, task?: TaskOptions): Promise<Result>;
  /** Can be called again. */
  close(): Promise<void>;
}

export interface TaskOptions {
  /** Buffers that are the worker's afterwards; such a task cannot be tried twice. */
  readonly transfer?: readonly Transferable[];
  /** How many pictures it holds: the time limit is multiplied by it. Default 1. */
  readonly share?: number;
  /** Told what the worker tells while it is at it. */
  readonly onProgress?: (progress: never) => void;
}

/** Runs tasks in this thread, one after another. */
export function inThisThread<Body, Result, Ready>(opening: Promise<Service>): Executor<Body, Result, Ready> {
  opening.catch(() => undefined);
  let last: Promise<unknown> = opening;
  let closing: Promise<void> | undefined;
  const close = async () => (await opening.catch(() => undefined))?.close();
  return {
    ready: opening.then(({ ready }) => ready as Ready),
    run: (body, task) => {
      const tell = task?.onProgress as ((progress: unknown) => void) | undefined;
      const result = last.then(async () => (await (await opening).run(body as never, tell)).result as Result);
      last = result.catch(() => undefined);
      return result;
    },
    close: () => (closing ??= close()),
  };
}
