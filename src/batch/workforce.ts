import { invalid, oneOf, onlyKeys, wholeNumber } from '../check.js';
import { GradcamppError } from '../errors.js';
import type { ExplainerOptions } from '../explain/options.js';
import { availableCores } from './cores.js';
import type { ExplanationsInit } from './explanations-service.js';
import type { FilesInit } from './files-service.js';
import type { Opened } from './open.js';
import { type Executor, inThisThread, Pool } from './pool.js';
import type { Service } from './serve.js';

/** Who does the work. None of these changes a result. */
export interface WorkforceOptions {
  /**
   * Workers, each with a session of its own: of one thread, unless `threads` says otherwise. Default: the cores that
   * this process may use, or 1 where the execution provider is no CPU. 0: this thread.
   */
  readonly workers?: number;
  /**
   * 'thread', or 'process': a native fault or the system's out-of-memory killer then ends one worker, not all. Default
   * 'thread'; 'process' where there is a timeout, since a thread cannot be stopped within ONNX Runtime.
   */
  readonly isolation?: 'thread' | 'process';
  /** Seconds that a picture may take; default any. */
  readonly timeout?: number;
}

export const workforceKeys = ['workers', 'isolation', 'timeout'] as const;

export interface Workforce<Body, Result> extends Executor<Body, Result, Opened> {
  /** Tasks that are worth having in flight. */
  readonly depth: number;
  /** Workers; 0 for this thread. */
  readonly size: number;
}

/** The options, checked. */
export function checkWorkforce(options: WorkforceOptions): WorkforceOptions {
  onlyKeys('the workers', options, workforceKeys);
  const { workers, isolation, timeout } = options;
  if (workers !== undefined) wholeNumber('workers', workers, 0, 1024);
  if (isolation !== undefined) oneOf('isolation', isolation, ['thread', 'process']);
  if (timeout !== undefined && !(typeof timeout === 'number' && timeout > 0 && timeout <= 1e6))
    throw invalid('timeout', 'a number of seconds above 0', timeout);
  if (timeout !== undefined && (workers === 0 || isolation === 'thread'))
    throw new GradcamppError(
      'INVALID_OPTION',
      '"timeout" needs workers that are processes: threads cannot be stopped within ONNX Runtime.',
    );
  return { workers, timeout, isolation: isolation ?? (timeout === undefined ? 'thread' : 'process') };
}

/** Tasks that one worker holds: one is decoded while another is computed. */
const tasksPerWorker = 2;

/** Starts the workers, no more than there are tasks. */
export function startWorkforce<Body, Result>(
  init: ExplanationsInit | FilesInit,
  openHere: () => Promise<Service>,
  options: WorkforceOptions,
  tasks = Number.POSITIVE_INFINITY,
): Workforce<Body, Result> {
  const { workers, isolation, timeout } = options;
  const size = Math.min(workers ?? (isCpu(init.open) ? availableCores() : 1), tasks);
  // One picture is explained sooner without a worker to start.
  if (size === 0 || (size === 1 && tasks === 1 && workers === undefined && isolation !== 'process'))
    return workforce(inThisThread<Body, Result, Opened>(openHere()), 1, 0);
  const pool = new Pool<Body, Result, Opened>({
    script: new URL('./worker.js', import.meta.url),
    init,
    size,
    depth: tasksPerWorker,
    timeout,
    isolate: isolation === 'process',
  });
  return workforce(pool, size * tasksPerWorker, size);
}

function workforce<Body, Result>(
  executor: Executor<Body, Result, Opened>,
  depth: number,
  size: number,
): Workforce<Body, Result> {
  return {
    ready: executor.ready,
    run: (body, transfer) => executor.run(body, transfer),
    close: () => executor.close(),
    depth,
    size,
  };
}

/** Whether sessions compute on the CPU, where batches do not pay and workers do. */
export function isCpu({ executionProviders }: ExplainerOptions): boolean {
  const [first] = executionProviders ?? ['cpu'];
  const name = typeof first === 'string' ? first : first?.name;
  return name === undefined || ['cpu', 'xnnpack', 'dnnl'].includes(name.toLowerCase());
}

/** Pictures in one pass where nothing is said: on the CPU batches do not pay. */
export function defaultBatch(open: ExplainerOptions): number {
  return isCpu(open) ? 1 : 8;
}
