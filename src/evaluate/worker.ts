import { serve } from '../batch/serve.js';
import type { ExplainerOptions } from '../explain/options.js';
import type { CommonSettings, Job } from './measurement.js';
import { openSubject } from './open.js';
import { openThumbnails } from './report/thumbnail.js';
import { measureJob } from './tasks.js';

/** What a worker is opened with. */
export interface WorkerInit {
  readonly model: string;
  readonly options: ExplainerOptions;
}

/** What a worker is asked. */
export interface WorkerRequest {
  /** The name of a measure. */
  readonly task: string;
  readonly job: Job;
  readonly settings: CommonSettings;
  /** Pictures and series of the whole report, which decide how large thumbnails are; absent: keep none. */
  readonly thumbnails?: { readonly count: number; readonly series: number };
}

serve(async ({ model, options }: WorkerInit) => {
  const subject = await openSubject(model, options);
  return {
    ready: undefined,
    run: async ({ task, job, settings, thumbnails }: WorkerRequest) => {
      const size = thumbnails && openThumbnails(thumbnails.count, thumbnails.series);
      return { result: await measureJob(subject, task, job, settings, size) };
    },
    close: () => subject.close(),
  };
});
