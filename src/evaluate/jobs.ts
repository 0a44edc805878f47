import { deserialize, serialize } from 'node:v8';
import { drive } from '../batch/drive.js';
import { TaskError } from '../batch/workers/task-error.js';
import type { EvaluationFolder, JobEntry } from './evaluation-folder.js';
import type { CommonSettings, Job, Measured, Task } from './measurement.js';
import type { Measurer } from './measurer.js';
import { isOfPicture } from './report/report-files.js';
import type { Failure } from './report/report.js';
import { checksumOf } from './study/checksum.js';

/** The folder that jobs are noted in, where there is one, and the states of their pictures. */
type Noted = Partial<EvaluationFolder> & Pick<EvaluationFolder, 'states'> & { readonly step: string };

/** A machine's part of all jobs. */
export interface Part<R = unknown> {
  /** Whether a job, by its number, is measured here; the others are passed over. */
  isOurs(index: number): boolean;
  /** What was found of it elsewhere. */
  found(index: number, job: Job): Measured<R> | Failure | undefined;
  /** Told of each that is measured here. */
  measured(index: number, job: Job, outcome: Measured<R> | Failure): void;
}

export interface JobsOptions<R = unknown> {
  /** Where finished jobs are noted while the evaluation lasts, and what these are called there; none: nothing is noted. */
  readonly noted?: Noted;
  /** Where several machines share the jobs: which are measured here, and what others have found. */
  readonly part?: Part<R>;
  /** Jobs whose pictures a report shows, and how many pictures with how many maps that are. */
  readonly shown?: { readonly jobs: ReadonlySet<string>; readonly pictures: number };
  /** Told at the start, with nothing done, after every job, and a few times a second while one is under way. */
  readonly onProgress?: (progress: Progress) => void;
}

export interface Progress {
  readonly done: number;
  readonly total: number;
  readonly failed: number;
  /** What is done of the jobs under way, in jobs: with a half and a quarter, 0.75. */
  readonly within: number;
}

export interface MeasuredJobs<R> {
  /** In the order of the jobs, without those that failed. */
  readonly measured: readonly Measured<R>[];
  readonly failures: readonly Failure[];
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
  { noted, part, shown, onProgress }: JobsOptions<R> = {},
): Promise<MeasuredJobs<R>> {
  const depends = [measurer.subject.description, settings];
  const states = new Map(jobs.map((job) => [job, checksumOf([depends, job, picturesOf(job, noted)])]));
  const numbers = new Map(jobs.map((job, index) => [job, index]));
  const ours = part ? jobs.filter((_, index) => part.isOurs(index)) : jobs;
  const known = noted?.folder
    ? await knownJobs<R>(noted.folder, noted.step, new Set(states.values()))
    : new Map<string, Measured<R>>();
  const size = shown && { count: shown.pictures, series: settings.variants.length };
  const measured: Measured<R>[] = [];
  const failures: Failure[] = [];
  const shares = new Map<J, number>(); // of the jobs under way
  const tell = () =>
    onProgress?.({
      done: measured.length + failures.length,
      total: ours.length,
      failed: failures.length,
      within: [...shares.values()].reduce((sum, part) => sum + part, 0),
    });
  const isAt = (job: J) => (part: number) => {
    shares.set(job, Math.max(part, shares.get(job) ?? 0)); // steps become known as they come: it never goes back
    tell();
  };
  tell();
  for await (const { job, outcome } of drive<J, Outcome<J, R>>({
    groups: ours.map((job) => [job]),
    run: async ([job]) => {
      const elsewhere = part?.found(numbers.get(job) as number, job);
      if (elsewhere) return [{ job, outcome: elsewhere }];
      const found = known.get(states.get(job) as string);
      if (found) return [{ job, outcome: found }];
      const thumbnails = shown?.jobs.has(job.image) ? size : undefined;
      const share = Math.max(1, picturesOf(job, noted).length) * settings.variants.length;
      const request = { task: name, job, settings, thumbnails };
      const task = { share, onProgress: isAt(job) };
      return [{ job, outcome: (await measurer.measure(request, task)) as Measured<R> }];
    },
    failed: (job, error) => failureOf(job, error),
    limit: measurer.inFlight,
    order: 'input',
  })) {
    shares.delete(job);
    part?.measured(numbers.get(job) as number, job, outcome);
    if ('error' in outcome) failures.push(outcome);
    else {
      const state = states.get(job) as string;
      measured.push(outcome);
      if (noted?.folder && !known.has(state))
        await noted.folder.journal.add({
          step: noted.step,
          job: job.image,
          state,
          result: serialize(outcome).toString('base64'),
        });
    }
    tell();
  }
  return { measured, failures };
}

/** Size and time of change of the pictures that a job names. */
function picturesOf(job: unknown, noted: JobsOptions['noted']): string[] {
  if (typeof job === 'string') return noted?.states.has(job) ? [noted.states.get(job) as string] : [];
  if (job === null || typeof job !== 'object') return [];
  return Object.values(job).flatMap((part) => picturesOf(part, noted));
}

/** What an earlier process has measured, by state. Of this step the journal keeps nothing else. */
async function knownJobs<R>(
  { journal }: EvaluationFolder['folder'],
  step: string,
  states: ReadonlySet<string>,
): Promise<Map<string, Measured<R>>> {
  await journal.close();
  const known = new Map<string, Measured<R>>();
  const starts = new Set<number>();
  for await (const { entry, start } of journal.read()) {
    if (isOf(step, entry) && (known.has(entry.state) || !states.has(entry.state))) continue;
    starts.add(start);
    if (isOf(step, entry)) known.set(entry.state, deserialize(Buffer.from(entry.result, 'base64')));
  }
  await journal.keep(({ start }) => starts.has(start));
  return known;
}

function isOf(step: string, entry: JobEntry): boolean {
  return entry.step === step;
}

interface Outcome<J, R> {
  readonly job: J;
  readonly outcome: Measured<R> | Failure;
}

/** A job that failed by itself. */
function failureOf<J extends Job>(job: J, error: unknown): { job: J; outcome: Failure } | undefined {
  const { image } = job;
  if (error instanceof TaskError)
    return { job, outcome: { image, error: `${JSON.stringify(image)} ${error.reason}.` } };
  return isOfPicture(error) ? { job, outcome: { image, error: error.message } } : undefined;
}
