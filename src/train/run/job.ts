import { GradcamppError } from '../../errors.js';
import type { Graph, ValueInfo } from '../../graph/graph.js';
import type { Name } from '../../graph/builder.js';
import { DataType } from '../../onnx/types.js';
import { random } from '../../random-stream.js';
import { openSession } from '../../runtime/session.js';
import { firstNotFinite, type Tensor } from '../../tensor.js';
import type { Pictures } from '../data/pictures.js';
import { type Loaded, Loader, type Wanted } from '../data/loader.js';
import { Kept, type KeptValues, type NetworkInputs } from '../data/kept.js';
import { Views } from '../data/views.js';
import { headNetwork, withHead } from './trunk.js';
import { metricFor } from '../metrics/index.js';
import * as losses from '../losses/index.js';
import type { NetworkBuilder } from '../network-builder.js';
import { clipGradients } from '../optimizers/clip.js';
import { optimizers } from '../optimizers/index.js';
import { schedules } from '../schedules/index.js';
import { warmUp } from '../schedules/warm-up.js';
import { manyHot, oneHotRows } from '../teacher.js';
import { Trainer } from '../trainer.js';
import { decayingWeights } from '../training-form.js';
import { Checkpoint, type EpochLine, type Place } from './checkpoint.js';
import type { Lessons } from './lessons.js';
import { type StudentNetwork, studentNetwork } from './student-network.js';
import type { Job, RunPlan, TrainSettings } from './plan.js';

/** How far a training is. */
export interface JobProgress {
  readonly epoch: number;
  /** Share of all steps that are done. */
  readonly share: number;
  /** Of an epoch that has just ended. */
  readonly line?: EpochLine;
}

/** What a training came to. */
export interface JobResult {
  readonly graph: Graph;
  readonly layer: string;
  readonly log: readonly EpochLine[];
  readonly notes: readonly string[];
}

/** What a training reads. */
export interface JobData {
  readonly pictures: Pictures;
  readonly labels: readonly (readonly number[])[];
  readonly train: readonly number[];
  readonly validation: readonly number[];
  readonly lessons: Lessons | undefined;
  /** Of `pictures`, in the same order: white where the class may be seen. */
  readonly masks: Pictures | undefined;
  /** What is before the part that is trained gives for the pictures, where it is kept. */
  readonly kept: KeptValues | undefined;
}

/**
 * Trains one student. Whenever it ends, and however often it is called again, the weights are the same, bit for bit: orders and
 * views are pure functions of seed and epoch, and everything else is in the checkpoint.
 */
export async function trainStudent(
  plan: RunPlan,
  job: Job,
  data: JobData,
  tell: (progress: JobProgress) => void,
): Promise<JobResult> {
  const { settings } = plan;
  const whole = await studentNetwork({
    ...settings,
    classes: plan.classes.length,
    preprocessing: plan.preprocessing,
    layer: settings.layer,
    seed: job.seed,
  });
  const { trunk } = plan;
  const network = trunk ? headNetwork(whole, settings.trainFrom as string, trunk) : whole;
  const { weights } = network;
  const trainer = await Trainer.open(network.graph, {
    weights,
    inputs: inputsOf(plan, job),
    loss: (b) => lossOf(b, network, job, plan),
    threads: 1,
  });
  try {
    const decayed = decayingWeights(network.graph, weights);
    const { weightDecay, momentum, nesterov } = settings;
    const optimizer = optimizers[settings.optimizer]({ weightDecay, momentum, nesterov, decayed });
    const learner: Learner = { trainer, optimizer, network };
    const checkpoint = new Checkpoint(plan.folder, `${job.folder}/checkpoint.bin`, plan.run);
    const log = await learn(plan, job, data, { learner, checkpoint, tell });
    const trained = trainer.trained();
    const graph = trunk ? withHead(whole, trained) : trained;
    return { graph, layer: network.layer, log, notes: network.notes };
  } finally {
    await trainer.close();
  }
}

interface Learner {
  readonly trainer: Trainer;
  readonly optimizer: ReturnType<(typeof optimizers)[keyof typeof optimizers]>;
  readonly network: StudentNetwork;
}

async function learn(
  plan: RunPlan,
  job: Job,
  data: JobData,
  {
    learner,
    checkpoint,
    tell,
  }: { learner: Learner; checkpoint: Checkpoint; tell: (progress: JobProgress) => void },
): Promise<readonly EpochLine[]> {
  const { settings } = plan;
  const { trainer, optimizer } = learner;
  const { epochs, batch } = settings;
  const { preprocessing, seed } = plan;
  const { pictures: from, masks, kept } = data;
  const inputs: NetworkInputs = kept ? new Kept(kept) : new Views(from, { preprocessing, seed, augment: [] });
  const others = job.terms.placebo ? otherPictures(data.labels.length, seed) : [];
  const perEpoch = Math.floor(data.train.length / batch);
  const schedule = warmUp(schedules[settings.schedule](), settings.warmUp);
  const beginning: Place = { epoch: 0, step: 0, sums: {}, log: [] };
  let { epoch, step, sums, log } = (await checkpoint.restore(learner)) ?? beginning;
  const options = { preprocessing, seed, augment: settings.augment };
  const [toLoad, ordered] = [
    stepsFrom(plan, job, data, { epoch, step }),
    stepsFrom(plan, job, data, { epoch, step }),
  ];
  const loader = new Loader({ pictures: from, masks, kept, options }, loadersOf(settings), toLoad);
  try {
    let savedAt = performance.now();
    for (; epoch < epochs; epoch++, step = 0, sums = {}) {
      for (; step < perEpoch; step++) {
        const done = epoch * perEpoch + step;
        if (performance.now() - savedAt > plan.checkpointEvery) {
          await checkpoint.save(learner, { epoch, step, sums, log });
          savedAt = performance.now();
        }
        const rate = plan.learningRate * schedule(done / (epochs * perEpoch));
        const seen = ordered.next().value as Wanted;
        const loaded = await loader.next();
        const { image } = learner.network;
        const feeds = feedsOf(plan, job, data, { seen, loaded, dims: inputs.dims, image, epoch, others });
        const { loss, gradients, fetched } = await trainer.step(feeds);
        const length = clipGradients(gradients, settings.clip ?? Number.POSITIVE_INFINITY);
        if (!Number.isFinite(loss) || !Number.isFinite(length)) throw diverged(job, epoch, step, rate);
        optimizer.update(trainer.weights, gradients, rate);
        sums = added(sums, { loss, ...fetched });
        tell({ epoch, share: (done + 1) / (epochs * perEpoch) });
      }
      for (const values of trainer.weights.values())
        if (firstNotFinite(values) >= 0) throw diverged(job, epoch, step, plan.learningRate);
      const line = await lineOf(plan, job, { data, inputs, learner, epoch, sums, steps: perEpoch });
      log = [...log, line];
      await checkpoint.save(learner, { epoch: epoch + 1, step: 0, sums: {}, log });
      savedAt = performance.now();
      tell({ epoch: epoch + 1, share: (epoch + 1) / epochs, line });
    }
    return log;
  } finally {
    inputs.close();
    await loader.close();
  }
}

/** The pictures of each step from a place on, and the view that each is seen in: functions of seed and epoch. */
function* stepsFrom(
  { settings: { epochs, batch } }: RunPlan,
  job: Job,
  { train, lessons, kept }: JobData,
  place: Pick<Place, 'epoch' | 'step'>,
): Generator<Wanted> {
  const perEpoch = Math.floor(train.length / batch);
  const count = lessons?.views ?? kept?.views.length;
  for (let { epoch, step } = place; epoch < epochs; epoch++, step = 0) {
    const order = random(job.seed, 'order', epoch).shuffle(train);
    for (; step < perEpoch; step++) {
      const pictures = order.slice(step * batch, (step + 1) * batch);
      yield { pictures, views: pictures.map((picture) => viewOf(count, epoch, picture)) };
    }
  }
}

/** Where something is kept of views some of each picture come again and again; else every epoch has its own. */
function viewOf(count: number | undefined, epoch: number, picture: number): number {
  return count === undefined ? epoch : (epoch + picture) % count;
}

/** Threads that make views: where students are trained in this thread, views are made here too. */
function loadersOf({ loaders, workers }: TrainSettings): number {
  return loaders ?? (workers === 0 ? 0 : 1);
}

/** For every picture another one, the same for all students: the next in a random circle of all. */
function otherPictures(count: number, seed: number): number[] {
  const circle = random(seed, 'placebo').shuffle(Array.from({ length: count }, (_, i) => i));
  const others = Array<number>(count);
  for (const [i, picture] of circle.entries()) others[picture] = circle[(i + 1) % count];
  return others;
}

function added(
  sums: Readonly<Record<string, number>>,
  values: Record<string, number>,
): Record<string, number> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, (sums[name] ?? 0) + value]));
}

function diverged({ arm, seed }: Job, epoch: number, step: number, rate: number): GradcamppError {
  return new GradcamppError(
    'RUNTIME',
    `Training diverged: the loss of "${arm}", seed ${seed}, is no number in epoch ${epoch + 1}, step ${step + 1}, at a learning rate of ${Number(rate.toPrecision(3))}. Lower --learning-rate, or limit steps with --clip or --warm-up; the last good checkpoint is kept.`,
  );
}

/** What an epoch came to, and the metric on pictures that are not trained on. */
async function lineOf(
  plan: RunPlan,
  { arm, seed }: Job,
  own: {
    data: JobData;
    inputs: NetworkInputs;
    learner: Learner;
    epoch: number;
    sums: Readonly<Record<string, number>>;
    steps: number;
  },
): Promise<EpochLine> {
  const { data, inputs, learner, epoch, sums, steps } = own;
  const { loss = 0, correct = 0, ...terms } = sums;
  const mean = (sum: number) => sum / Math.max(steps, 1);
  const { validation, labels } = data;
  const measured =
    validation.length > 0
      ? metricFor(plan.isMultiLabel).measure({
          scores: await scoresOf(learner.trainer.trained(), learner.network, inputs, validation),
          labels: validation.map((picture) => labels[picture]),
          classes: plan.classes.length,
        })
      : undefined;
  return {
    arm,
    seed,
    epoch: epoch + 1,
    loss: mean(loss),
    trainError: 1 - correct / Math.max(steps * plan.settings.batch, 1),
    terms: Object.fromEntries(
      Object.entries(terms).map(([name, sum]) => [name, name === 'zero maps' ? sum : mean(sum)]),
    ),
    ...(measured ? { validation: measured.value } : {}),
  };
}

/** Pictures that are classified together. */
const together = 200;

/** The scores of each picture, as it is, one behind another. */
export async function scoresOf(
  graph: Graph,
  { image, scores }: Pick<StudentNetwork, 'image' | 'scores'>,
  inputs: NetworkInputs,
  pictures: readonly number[],
): Promise<Float32Array> {
  const outputs = [{ name: scores, type: DataType.FLOAT, dims: undefined }];
  const session = await openSession({ ...graph, outputs }, { threads: 1 });
  try {
    const parts: Float32Array[] = [];
    for (let start = 0; start < pictures.length; start += together) {
      const own = pictures.slice(start, start + together);
      const feed: Tensor = {
        type: 'float32',
        dims: [own.length, ...inputs.dims],
        data: inputs.batch(own, 'original'),
      };
      parts.push((await session.run({ [image]: feed }))[scores].data as Float32Array);
    }
    return joined(parts);
  } finally {
    await session.close();
  }
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** What a job's loss reads of the teacher. */
function readsOf({ terms }: Job): readonly ('scores' | 'maps' | 'attention')[] {
  return [
    ...(terms.kd > 0 ? ['scores' as const] : []),
    ...(terms.interpret > 0 ? ['maps' as const] : []),
    ...(terms.attention > 0 ? ['attention' as const] : []),
  ];
}

function inputsOf(plan: RunPlan, job: Job): ValueInfo[] {
  const classes = plan.classes.length;
  const most = plan.lessons?.most ?? 1;
  const info = (name: string, dims: (string | number)[]): ValueInfo => ({ name, type: DataType.FLOAT, dims });
  const area = plan.lessons?.mapDims ?? [];
  const dims = { scores: ['N', classes], maps: ['N', most, ...area], attention: ['N', 1, ...area] };
  return [
    info('labels', ['N', classes]),
    ...(explainsSeveral(plan, job) ? [info('each label', ['N', most, classes])] : []),
    ...(job.terms.reasons > 0 ? [info('allowed', ['N', 1, ...plan.preprocessing.size])] : []),
    ...readsOf(job).map((what) => info(`teacher ${what}`, dims[what])),
  ];
}

/** Whether maps of several classes of a picture are compared, each by itself. */
function explainsSeveral({ isMultiLabel }: RunPlan, { terms }: Job): boolean {
  return isMultiLabel && terms.interpret > 0;
}

function lossOf(b: NetworkBuilder, { scores, layer }: StudentNetwork, job: Job, plan: RunPlan): Name {
  const { terms } = job;
  const { smoothing } = plan.settings;
  const [entropy, distillation] = plan.isMultiLabel
    ? [losses.binaryCrossEntropy, losses.binaryDistillation]
    : [losses.crossEntropy, losses.distillation];
  const own: Record<string, losses.Term> = {};
  const classWeights = plan.classWeights && b.floats(plan.classWeights, [plan.classWeights.length]);
  if (terms.labels > 0)
    own['cross entropy'] = {
      value: entropy(b, scores, 'labels', { smoothing, ...(classWeights ? { classWeights } : {}) }),
      weight: terms.labels,
    };
  if (terms.kd > 0)
    own.distillation = {
      value: distillation(b, scores, 'teacher scores', terms.temperature),
      weight: terms.kd,
    };
  if (terms.attention > 0)
    own['attention transfer'] = {
      value: losses.attentionTransfer(b, layer, 'teacher attention'),
      weight: terms.attention,
    };
  if (terms.interpret > 0) {
    const { method, normalization, form } = terms;
    const teacher = 'teacher maps';
    const labels = explainsSeveral(plan, job) ? 'each label' : 'labels';
    const options = { scores, labels, layer, teacher, method, normalization, form };
    own.explanation = { value: losses.explanationLoss(b, options), weight: terms.interpret };
  }
  if (terms.reasons > 0) {
    const { method } = terms;
    const value = losses.rightReasons(b, { scores, labels: 'labels', layer, allowed: 'allowed', method });
    own['outside the masks'] = { value, weight: terms.reasons };
  }
  b.at('progress');
  b.fetch(
    'correct',
    plan.isMultiLabel ? rightLabels(b, scores, plan.classes.length) : rightPictures(b, scores),
  );
  b.at('loss');
  return losses.sumOfTerms(b, own);
}

/** How many pictures have their class as the best one. */
function rightPictures(b: NetworkBuilder, scores: Name): Name {
  const best = (value: Name) => b.op('ArgMax', [value], { axis: 1, keepdims: 0 });
  return b.op('ReduceSum', [b.asFloat(b.op('Equal', [best(scores), best('labels')]))], { keepdims: 0 });
}

/** How many labels have the sign of their score right, over M. */
function rightLabels(b: NetworkBuilder, scores: Name, classes: number): Name {
  const isAbove = (value: Name, limit: number) => b.op('Greater', [value, b.scalar(limit)]);
  const same = b.asFloat(b.op('Equal', [isAbove(scores, 0), isAbove('labels', 0.5)]));
  return b.scale(b.op('ReduceSum', [same], { keepdims: 0 }), 1 / classes);
}

function feedsOf(
  plan: RunPlan,
  job: Job,
  { labels, lessons }: JobData,
  own: {
    seen: Wanted;
    loaded: Loaded;
    /** Of one input, without N. */
    dims: readonly number[];
    image: string;
    epoch: number;
    others: readonly number[];
  },
): Record<string, Tensor> {
  const { seen, loaded, dims: imageDims, image, epoch, others } = own;
  const { pictures } = seen;
  const N = pictures.length;
  const classes = plan.classes.length;
  const tensor = (data: Float32Array, ...dims: readonly number[]): Tensor => ({
    type: 'float32',
    dims: [N, ...dims],
    data,
  });
  const mine = pictures.map((picture) => labels[picture]);
  const feeds: Record<string, Tensor> = {
    [image]: tensor(loaded.images, ...imageDims),
    labels: tensor(manyHot(mine, classes), classes),
  };
  const most = lessons?.most ?? 1;
  if (explainsSeveral(plan, job))
    feeds['each label'] = tensor(oneHotRows(mine, most, classes), most, classes);
  if (job.terms.reasons > 0 && loaded.masks)
    feeds.allowed = tensor(loaded.masks, 1, ...plan.preprocessing.size);
  for (const what of readsOf(job)) {
    const known = lessons as Lessons;
    const dims = { scores: [classes], maps: [most, ...known.mapDims], attention: [1, ...known.mapDims] };
    const isPlacebo = job.terms.placebo && what !== 'scores';
    const of = isPlacebo ? pictures.map((picture) => others[picture]) : pictures;
    const data = known.of(
      what,
      of,
      of.map((picture) => viewOf(known.views, epoch, picture)),
    );
    if (isPlacebo && what === 'maps')
      repeatMaps(
        data,
        of.map((picture) => labels[picture].length),
        most,
      );
    feeds[`teacher ${what}`] = tensor(data, ...dims[what]);
  }
  return feeds;
}

/** Where another picture has fewer classes than maps are wanted, its maps are taken again in turn. */
function repeatMaps(maps: Float32Array, counts: readonly number[], most: number): void {
  const area = maps.length / (counts.length * most);
  for (const [n, count] of counts.entries()) {
    if (count === 0) continue;
    for (let p = count; p < most; p++) {
      const from = (n * most + (p % count)) * area;
      maps.copyWithin((n * most + p) * area, from, from + area);
    }
  }
}
