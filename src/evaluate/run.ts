import { concurrently } from '../batch/ordered.js';
import { Pool } from '../batch/worker-pool.js';
import type { ExplainerOptions } from '../explain/options.js';
import { openJournal } from './journal.js';
import type { CommonSettings, Job, Measured, Task } from './measurement.js';
import { isOfPicture } from './report/files.js';
import type { Failure } from './report/report.js';
import { openThumbnails } from './report/thumbnail.js';
import type { Subject } from './subject.js';
import { measureJob } from './tasks.js';
import type { WorkerInit, WorkerRequest } from './worker.js';

/** Who measures: one subject in this thread, or workers that open the model for themselves. */
export interface Measurer {
  /** The network, for what is the same for all jobs. */
  readonly subject: Subject;
  measure(request: WorkerRequest): Promise<Measured<unknown>>;
  /** Jobs that may be under way at once. */
  readonly inFlight: number;
  close(): Promise<void>;
}

/** Measures in this thread. */
export function measureHere(subject: Subject): Measurer {
  return {
    subject,
    inFlight: 1,
    measure: async ({ task, job, settings, thumbnails }) => {
      const size = thumbnails && openThumbnails(thumbnails.count, thumbnails.series);
      return measureJob(subject, task, job, settings, size);
    },
    close: () => subject.close(),
  };
}

/** Measures in worker threads, each with a session of one thread. `subject` stays with the caller's thread. */
export function measureInWorkers(
  subject: Subject,
  model: string,
  options: ExplainerOptions,
  workers: number,
): Measurer {
  const init: WorkerInit = { model, options: { ...options, threads: 1 } };
  const script = new URL('./worker.js', import.meta.url);
  const pool = new Pool<WorkerRequest, never, undefined>({ script, init, size: workers, depth: 2 });
  return {
    subject,
    inFlight: workers * 2,
    measure: (request) => pool.run(request),
    close: async () => {
      await pool.close();
      await subject.close();
    },
  };
}

export interface RunOptions {
  /** The file in which finished jobs are kept while the run lasts; none: nothing is kept. */
  readonly journal?: string;
  readonly resume?: boolean;
  /** Jobs whose pictures a report shows, and how many pictures with how many maps that are. */
  readonly shown?: { readonly jobs: ReadonlySet<string>; readonly pictures: number };
  /** Told at the start, with nothing done, and after every job. */
  readonly onProgress?: (progress: Progress) => void;
}

export interface Progress {
  readonly done: number;
  readonly total: number;
  readonly failed: number;
}

export interface RunResult<R> {
  /** In the order of the jobs, without those that failed. */
  readonly measured: readonly Measured<R>[];
  readonly failures: readonly Failure[];
  /** Call when the results are written. */
  readonly finish: () => Promise<void>;
}

/**
 * Measures all jobs. A picture that cannot be read or run is a failure and the rest goes on; what is wrong with the
 * options or the network would be wrong with every picture, and ends the run, as faults do.
 */
export async function runJobs<J extends Job, S extends CommonSettings, R>(
  measurer: Measurer,
  { name }: Task<J, S, R>,
  jobs: readonly J[],
  settings: S,
  options: RunOptions = {},
): Promise<RunResult<R>> {
  const { shown, onProgress, resume = false } = options;
  const determines = [name, measurer.subject.description, settings, jobs];
  const journal =
    options.journal === undefined
      ? undefined
      : await openJournal<Measured<R>>(options.journal, determines, resume);
  const size = shown && { count: shown.pictures, series: settings.variants.length };
  const work = async (job: J): Promise<Measured<R> | Failure> => {
    const known = journal?.finished.get(job.image);
    if (known) return known;
    const thumbnails = shown?.jobs.has(job.image) ? size : undefined;
    const outcome = await (
      measurer.measure({ task: name, job, settings, thumbnails }) as Promise<Measured<R>>
    ).catch((error: unknown) => {
      if (isOfPicture(error)) return { image: job.image, error: error.message };
      throw error;
    });
    if (!('error' in outcome)) await journal?.add(job.image, outcome);
    return outcome;
  };
  const measured: Measured<R>[] = [];
  const failures: Failure[] = [];
  onProgress?.({ done: 0, total: jobs.length, failed: 0 });
  for await (const outcome of concurrently(jobs, work, { limit: measurer.inFlight, order: 'input' })) {
    if ('error' in outcome) failures.push(outcome);
    else measured.push(outcome);
    onProgress?.({
      done: measured.length + failures.length,
      total: jobs.length,
      failed: failures.length,
    });
  }
  return { measured, failures, finish: async () => journal?.remove() };
}
