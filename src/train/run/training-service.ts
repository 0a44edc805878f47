import type { Service } from '../../batch/workers/messages.js';
import { folderWriter } from '../../batch/results/write-file.js';
import { modelFile } from '../../graph/model-file.js';
import type { Preprocessing } from '../../image/preprocess.js';
import { readPictures } from '../data/pictures.js';
import { Views } from '../data/views.js';
import type { EpochLine } from './checkpoint.js';
import { type JobData, predict, trainStudent } from './job.js';
import { Lessons } from './lessons.js';
import type { Job, RunPlan } from './plan.js';
import { studentNetwork } from './student-network.js';

/** What a student came to, as it is noted. */
export interface JobOutcome {
  readonly log: readonly EpochLine[];
  readonly layer: string;
  readonly notes: readonly string[];
  /** The best class of each test picture, or of each validation picture where there are none. */
  readonly predicted: readonly number[];
}

/** Trains students of one run, one after another; it writes student.onnx and its sidecar into the job's folder. */
export async function trainingService(plan: RunPlan): Promise<Service> {
  const { preprocessing, cache, settings } = plan;
  const read = (name: string) => readPictures(cache, name, preprocessing.size);
  const pictures = await read(plan.pictures);
  const test = plan.test && (await read(plan.test.pictures));
  const lessons = plan.lessons && (await Lessons.read(cache, plan.lessons));
  const masks = plan.masks === undefined ? undefined : await read(plan.masks);
  const { labels, train, validation } = plan;
  const data: JobData = { pictures, labels, train, validation, lessons, masks };
  const measured = test ? Array.from({ length: test.count }, (_, i) => i) : validation;
  const views = new Views(test ?? pictures, { ...plan, augment: [] });
  return {
    ready: true,
    run: async (job: Job, tell) => {
      const { graph, layer, log, notes } = await trainStudent(plan, job, data, (progress) =>
        tell?.(progress),
      );
      const network = await studentNetwork({
        ...settings,
        classes: plan.classes.length,
        preprocessing,
        seed: job.seed,
      });
      const write = folderWriter(plan.folder, job.folder.replaceAll('/', '-'));
      await write(`${job.folder}/student.onnx`, [modelFile(graph).toBytes()]);
      await write(`${job.folder}/student.json`, [
        Buffer.from(sidecarText({ ...preprocessing, name: network.image }, plan.classes, layer)),
      ]);
      const outcome: JobOutcome = {
        log,
        layer,
        notes,
        predicted: await predict(graph, network, views, measured),
      };
      return { result: outcome };
    },
    close: async () => undefined,
  };
}

/** What stands in the sidecar of a student. */
export function sidecarText(input: Preprocessing, classes: readonly string[], targetLayer: string): string {
  return `${JSON.stringify({ input, classes, targetLayer }, undefined, 2)}\n`;
}
