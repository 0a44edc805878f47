import type { ExplainerOptions } from '../../explain/explain-options.js';
import { availableCores } from './cores.js';
import { type Executor, inThisThread } from './executor.js';
import type { Service } from './messages.js';
import type { WorkforceSettings } from '../run-options.js';
import { Pool } from './worker-pool.js';

export interface Workforce<Body, Result, Ready> extends Executor<Body, Result, Ready> {
  /** Tasks that are worth having in flight. */
  readonly depth: number;
  /** Workers; 0 for this thread. */
  readonly size: number;
}

/** What the workers run, and how many of them there may be. */
export interface WorkforcePlan {
  /** The module that a worker runs. */
  readonly script: URL;
  /** What every worker opens; `open` decides how many are worth having. */
  readonly init: { readonly open: ExplainerOptions };
  /** The same in this thread. */
  readonly openHere: () => Promise<Service>;
  /** No more workers than these are started. Default any number. */
  readonly tasks?: number;
}

/** Tasks that one worker holds: one is decoded while another is computed. */
const tasksPerWorker = 2;

/** Starts the workers. */
export function startWorkforce<Body, Result, Ready>(
  { script, init, openHere, tasks = Number.POSITIVE_INFINITY }: WorkforcePlan,
  { workers, isolate, timeout }: WorkforceSettings,
): Workforce<Body, Result, Ready> {
  const size = Math.min(workers ?? (isCpu(init.open) ? availableCores() : 1), tasks);
  if (size === 0) {
    const here = inThisThread<Body, Result, Ready>(openHere());
    return { ready: here.ready, run: here.run, close: here.close, depth: 1, size: 0 };
  }
  const pool = new Pool<Body, Result, Ready>({ script, init, size, depth: tasksPerWorker, timeout, isolate });
  return {
    ready: pool.ready,
    run: (body, task) => pool.run(body, task),
    close: () => pool.close(),
    depth: size * tasksPerWorker,
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
