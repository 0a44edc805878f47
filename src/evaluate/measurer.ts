import { type Executor, inThisThread } from '../batch/workers/executor.js';
import type { Service } from '../batch/workers/messages.js';
import type { WorkforceSettings } from '../batch/run-options.js';
import { startWorkforce } from '../batch/workers/workforce.js';
import type { ExplainerOptions } from '../explain/explain-options.js';
import type { CommonSettings, Job, Measured } from './measurement.js';
import type { OnStep } from '../explain/progress.js';
import { openThumbnails } from './report/thumbnail.js';
import type { Subject } from './subject.js';
import { measureJob } from './tasks.js';

/** What whoever measures is asked. */
export interface MeasureRequest {
  /** The name of a measure. */
  readonly task: string;
  readonly job: Job;
  readonly settings: CommonSettings;
  /** Pictures and series of the whole report, which decide how large thumbnails are; absent: keep none. */
  readonly thumbnails?: { readonly count: number; readonly series: number };
}

/** Who measures: one subject in this thread, or workers that open the model for themselves. */
export interface Measurer {
  /** The network, for what is the same for all jobs. */
  readonly subject: Subject;
  readonly measure: Executor<MeasureRequest, Measured<unknown>, undefined>['run'];
  /** Jobs that may be under way at once. */
  readonly inFlight: number;
  close(): Promise<void>;
}

/** Measures in this thread. */
export function measureHere(subject: Subject): Measurer {
  const here = inThisThread<MeasureRequest, Measured<unknown>, undefined>(
    Promise.resolve(measuringService(subject)),
  );
  return { subject, inFlight: 1, measure: here.run, close: () => subject.close() };
}

/** What a worker opens. */
export interface MeasurerInit {
  readonly model: string;
  readonly open: ExplainerOptions;
}

/** Measures in workers, each with a session of one thread. `subject` stays with the caller's thread, and is closed too. */
export function measureInWorkers(
  subject: Subject,
  { model, open }: MeasurerInit,
  workforce: WorkforceSettings,
  jobs: number,
): Measurer {
  const init: MeasurerInit = { model, open: { ...open, threads: 1 } };
  const script = new URL('./measure-worker.js', import.meta.url);
  const openHere = async () => measuringService(subject);
  const team = startWorkforce<MeasureRequest, Measured<unknown>, undefined>(
    { script, init, openHere, tasks: jobs },
    workforce,
  );
  return {
    subject,
    inFlight: team.depth,
    measure: team.run,
    close: async () => {
      await team.close();
      if (team.size > 0) await subject.close();
    },
  };
}

/** Milliseconds between two things that are told of a job. */
const pause = 250;

/** Tells the share of a job that is done, now and then: a message for every pass would cost more than it says. */
function nowAndThen(tell: (share: number) => void): OnStep {
  let last = performance.now();
  return (done, total) => {
    if (performance.now() - last < pause) return;
    last = performance.now();
    tell(total > 0 ? done / total : 0);
  };
}

/** Measures what it is asked of one network. */
export function measuringService(subject: Subject): Service {
  return {
    ready: undefined,
    run: async ({ task, job, settings, thumbnails }: MeasureRequest, tell) => {
      const size = thumbnails && openThumbnails(thumbnails.count, thumbnails.series);
      return { result: await measureJob(subject, task, job, settings, size, tell && nowAndThen(tell)) };
    },
    close: () => subject.close(),
  };
}
