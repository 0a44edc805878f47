import type { Transferable } from 'node:worker_threads';
import type { ErrorCode } from '../../errors.js';

/** What a pool and its workers say to each other, and what a worker does. */

/** What a worker thread is told to end with, in place of a task. */
export const endMessage = 'end';

/** To a worker. */
export interface Request {
  readonly task: number;
  readonly body: unknown;
}

/** From a worker. */
export type Reply =
  | { readonly ready: unknown }
  | { readonly task: number; readonly result: unknown }
  | { readonly task: number; readonly progress: unknown }
  | { readonly task?: number; readonly error: ThrownError };

/** An error as it travels; `code` is absent for faults. */
export interface ThrownError {
  readonly code?: ErrorCode;
  readonly message: string;
  readonly stack?: string;
}

/** What a worker does: opened once, then asked. */
export interface Service {
  /** What the pool is told when the service is open. */
  readonly ready: unknown;
  /** @param tell told how far the task is, in whatever words its caller understands */
  run(body: never, tell?: (progress: unknown) => void): Promise<Answer>;
  close(): Promise<void>;
}

export interface Answer {
  readonly result: unknown;
  /** Buffers of the result that are handed over instead of copied. */
  readonly transfer?: readonly Transferable[];
}
