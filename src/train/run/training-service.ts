import type { Service } from '../../batch/workers/messages.js';
import { folderWriter } from '../../batch/results/write-file.js';
import { appended, Builder } from '../../graph/builder.js';
import { type Graph, valueInfo } from '../../graph/graph.js';
import { modelFile } from '../../graph/model-file.js';
import { findScores } from '../../graph/scores.js';
import type { Preprocessing } from '../../image/preprocess.js';
import { readPictures } from '../data/pictures.js';
import { Views } from '../data/views.js';
import type { EpochLine } from './checkpoint.js';
import type { Measure } from '../metrics/metric.js';
import { metricFor } from '../metrics/index.js';
import { type JobData, scoresOf, trainStudent } from './job.js';
import { Lessons } from './lessons.js';
import type { Job, RunPlan } from './plan.js';
import { inferValues } from '../../runtime/infer.js';
import { forUse } from '../training-form.js';
import { studentNetwork } from './student-network.js';
import { keptIn } from './trunk.js';

/** What a student came to, as it is noted. */
export interface JobOutcome {
  readonly log: readonly EpochLine[];
  readonly layer: string;
  readonly notes: readonly string[];
  /** On the test pictures, or on the validation pictures where there are none. */
  readonly measure: Measure;
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
  const kept = plan.trunk && keptIn(cache, plan.trunk, validation);
  const data: JobData = { pictures, labels, train, validation, lessons, masks, kept };
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
      const used = plan.isMultiLabel ? await withProbabilities(graph, network.scores) : graph;
      await write(`${job.folder}/student.onnx`, [modelFile(used).toBytes()]);
      await write(`${job.folder}/student.json`, [
        Buffer.from(sidecarText({ ...preprocessing, name: network.image }, plan.classes, layer)),
      ]);
      const measure = metricFor(plan.isMultiLabel).measure({
        scores: await scoresOf(graph, network, views, measured),
        labels: plan.test?.labels ?? validation.map((picture) => labels[picture]),
        classes: plan.classes.length,
      });
      const outcome: JobOutcome = { log, layer, notes, measure };
      return { result: outcome };
    },
    close: async () => undefined,
  };
}

/** The network with the probability of each class, by itself, as its output: what tells others that there may be several. */
async function withProbabilities(graph: Graph, scores: string): Promise<Graph> {
  if (findScores(await inferValues(graph)).link === 'sigmoid') return graph;
  const b = new Builder(graph);
  const output = {
    ...valueInfo(graph, scores),
    name: b.op('Sigmoid', [scores], {}, b.names.free('probabilities')),
  };
  return forUse({ ...appended(graph, b), outputs: [output] });
}

/** What stands in the sidecar of a student. */
export function sidecarText(input: Preprocessing, classes: readonly string[], targetLayer: string): string {
  return `${JSON.stringify({ input, classes, targetLayer }, undefined, 2)}\n`;
}
