import { existsSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import { availableCores } from '../../batch/workers/cores.js';
import { type Executor, inThisThread } from '../../batch/workers/executor.js';
import { makeRecord, type RunRecord } from '../../batch/results/run-record.js';
import { type Owned, RunFolder } from '../../batch/results/run-folder.js';
import { Pool } from '../../batch/workers/worker-pool.js';
import { folderWriter } from '../../batch/results/write-file.js';
import { invalid, missing } from '../../check.js';
import { asOurs, GradcamppError } from '../../errors.js';
import { hashFile } from '../../files.js';
import type { Preprocessing } from '../../image/preprocess.js';
import { readSidecar } from '../../image/sidecar.js';
import { type OptionsOf, readOptions } from '../../options.js';
import { classWeightsOf } from '../data/class-weights.js';
import type { Labelled } from '../data/labelled.js';
import { type PictureSource, readPicture, statesOf } from '../data/picture-source.js';
import { readPictures } from '../data/pictures.js';
import { trainAndValidation } from '../data/split.js';
import { Views } from '../data/views.js';
import { metricFor } from '../metrics/index.js';
import type { Measure, Metric } from '../metrics/metric.js';
import { Teacher } from '../teacher.js';
import type { JobProgress } from './job.js';
import { askTeacher, type LessonFiles, type Part } from './lessons.js';
import type { Job, RunPlan, TrainSettings } from './plan.js';
import type { TrainProgress } from './progress.js';
import {
  cacheOf,
  decodedPictures,
  type DecodedPictures,
  namedPictures,
  type NamedPictures,
} from './run-pictures.js';
import { trunkOf } from './trunk.js';
import { reportOf } from './report.js';
import { type Measured, type Results, resultsOf } from './results.js';
import { isFile, studentNetwork } from './student-network.js';
import { distillOptions, type Terms, trainOptions } from './train-options.js';
import { type JobOutcome, trainingService } from './training-service.js';
import { reportPage } from '../../evaluate/report/page.js';

interface Callbacks {
  readonly onProgress?: (progress: TrainProgress) => void;
  /** Told what was understood and what should be known, a sentence each, before anything is trained; `notes` of the results. */
  readonly onNote?: (note: string) => void;
}

export type TrainOptions = OptionsOf<typeof trainOptions> & Callbacks;
export type DistillOptions = OptionsOf<typeof trainOptions> & OptionsOf<typeof distillOptions> & Callbacks;

/** What a run came to. */
export interface Trained extends Results {
  /** Paths of what was written. */
  readonly files: readonly string[];
}

/**
 * Trains a student to do what its teacher does, and to look where it looks; writes student.onnx with its sidecar, log.jsonl,
 * results.json and report.html. The same options give the same weights again, bit for bit, however often the run was ended and
 * gone on with.
 *
 * @throws GradcamppError INVALID_OPTION, INVALID_IMAGE, UNSUPPORTED_MODEL, OUTPUT; RUNTIME where the training diverges
 */
export async function distill(options: DistillOptions): Promise<Trained> {
  const { onProgress, onNote, ...given } = options;
  const settings = readOptions('distill', { ...trainOptions, ...distillOptions }, given);
  if (settings.teacher === undefined)
    throw missing('teacher', 'the path of an ONNX file with its sidecar', distillOptions.teacher.flag);
  const terms: Terms = settings;
  const arms = settings.arms ?? {
    ...(settings.baseline ? { 'labels alone': { interpret: 0, kd: 0, attention: 0, reasons: 0 } } : {}),
    distilled: {},
  };
  const byName = Object.entries(arms).map(([name, own]) => [name, { ...termsOf(terms), ...own }] as const);
  return careful(() => run('distill', settings, new Map(byName), { onProgress, onNote }));
}

/** Trains a network from labels: as `distill`, without a teacher. */
export async function train(options: TrainOptions): Promise<Trained> {
  const { onProgress, onNote, ...given } = options;
  const settings = readOptions('train', trainOptions, given);
  const terms: Terms = {
    labels: 1,
    interpret: 0,
    kd: 0,
    attention: 0,
    temperature: 4,
    reasons: settings.reasons,
    method: settings.method,
    normalization: 'l2',
    form: 'squared',
  };
  const arms =
    settings.arms ??
    (settings.reasons > 0
      ? { ...(settings.baseline ? { 'labels alone': { reasons: 0 } } : {}), 'right reasons': {} }
      : { trained: {} });
  const byName = Object.entries(arms).map(([name, own]) => [name, { ...terms, ...own }] as const);
  return careful(() => run('train', settings, new Map(byName), { onProgress, onNote }));
}

function termsOf(settings: Terms): Terms {
  const { labels, interpret, kd, temperature, attention, reasons, method, normalization, form } = settings;
  return { labels, interpret, kd, temperature, attention, reasons, method, normalization, form };
}

async function careful<T>(work: () => Promise<T>): Promise<T> {
  return work().catch((error: unknown) => {
    throw asOurs(error);
  });
}

type Settings = TrainSettings & {
  readonly teacher?: string | undefined;
  readonly teacherLayer?: string | undefined;
};

const owned: Owned = {
  names: ['results.json', 'report.html', 'student.onnx', 'student.json', 'log.jsonl'],
  isOurs: (text) => /^\{\s*"command": "(distill|train)"/.test(text),
};

/** Of views and of the validation split: the same for all students. */
const seed = 1;

/** Tells each note once, and remembers it. */
function teller(onNote: (note: string) => void): ((note: string) => void) & { readonly said: string[] } {
  const said: string[] = [];
  const say = (note: string) => {
    if (said.includes(note)) return;
    said.push(note);
    onNote(note);
  };
  return Object.assign(say, { said });
}

/** Options that change nothing in a result. */
const indifferent = [
  'out',
  'resume',
  'overwrite',
  'workers',
  'loaders',
  'cache',
  'teacher',
  'student',
  'data',
  'test',
  'arms',
  'masks',
];

/** What a finished part of the run is noted as. */
interface Entry {
  readonly part: string;
  /** In V8's format, in base 64. */
  readonly result: string;
}

async function run(
  command: 'distill' | 'train',
  settings: Settings,
  arms: ReadonlyMap<string, Terms>,
  { onProgress = () => undefined, onNote = () => undefined }: Callbacks,
): Promise<Trained> {
  checkSettings(settings, arms);
  const teacher = await openTeacher(settings, arms);
  try {
    const classes = teacher && namesOf(teacher);
    const named = await namedPictures(settings, classes);
    const { data, test, masks = [] } = named;
    const { preprocessing } = teacher ?? { preprocessing: await ownPreprocessing(settings, data) };
    const cautions = await checkStudent(settings, named, preprocessing);
    const say = teller(onNote);
    const understood = [...data.notes, ...(test?.notes ?? [])];
    for (const note of understood) onNote(note);
    for (const note of cautions) say(note);
    const record = await recordOf(command, settings, arms, {
      pictures: [...data.pictures, ...(test?.pictures ?? []), ...masks.filter((mask) => mask !== undefined)],
      labels: [data.classes, data.labels, test?.labels, ...(data.parts ? [data.parts] : [])],
    });
    let made: { plan: RunPlan; shown: DecodedPictures } | undefined;
    const folder = await RunFolder.open<Entry>(settings.out, record, settings, owned, async () => {
      const shown = await decodedPictures(named, settings, preprocessing, onProgress);
      for (const note of shown.notes) say(note);
      made = {
        shown,
        plan: await planOf({ settings, arms, teacher, shown, preprocessing, record, onProgress, say }),
      };
    });
    if (!(folder instanceof RunFolder) || !made) return finishedBefore(settings.out, folder as RunRecord);
    const { plan, shown } = made;
    try {
      if (!settings.resume) await removeCheckpoints(settings, arms);
      const noted = await Noted.of(folder);
      const measuredBy = await teacherMeasure(plan, teacher, noted);
      const outcomes = await trainAll(plan, arms, noted, onProgress);
      return await conclude({
        command,
        plan,
        settings,
        folder,
        outcomes,
        measuredBy,
        shown,
        understood,
        notes: say.said,
      });
    } finally {
      await folder.close();
    }
  } finally {
    await teacher?.close();
  }
}

function checkSettings({ data, masks }: Settings, arms: ReadonlyMap<string, Terms>): void {
  if (data === undefined)
    throw missing(
      'data',
      'a folder with a folder of pictures for each class, a list, an array or shards',
      trainOptions.data.flag,
    );
  if (arms.size === 0) throw invalid('arms', 'at least one student', []);
  const penalised = [...arms.values()].some(({ reasons }) => reasons > 0);
  if (penalised && masks === undefined)
    throw missing(
      'masks',
      'a folder of masks, as maps outside of them are penalised',
      trainOptions.masks.flag,
    );
  if (!penalised && masks !== undefined)
    throw invalid('reasons', 'above 0 where there are masks', 0, 'It is the weight of the penalty.');
  for (const [name, { labels, interpret, kd, attention }] of arms)
    if (labels + interpret + kd + attention === 0)
      throw new GradcamppError(
        'INVALID_OPTION',
        `"${name}" has no term to learn from: give one of labels, interpret, kd and attention a weight above 0.`,
      );
}

/** What would be wrong with every student is said before anything is written. */
async function checkStudent(
  settings: Settings,
  pictures: Pick<NamedPictures, 'data' | 'test'>,
  preprocessing: Preprocessing,
): Promise<readonly string[]> {
  checkBatch(settings, pictures);
  const classes = pictures.data.classes.length;
  const { notes } = await studentNetwork({ ...settings, classes, preprocessing, seed });
  return notes;
}

function checkBatch(settings: Settings, { data, test }: Pick<NamedPictures, 'data' | 'test'>): void {
  const { train, validation } = trainAndValidation(data, settings.validation, seed);
  if (!test && settings.validation === 0 && validation.length === 0)
    throw invalid('validation', 'above 0 where there are no "test" pictures to measure on', 0);
  if (train.length < settings.batch)
    throw new GradcamppError(
      'INVALID_OPTION',
      `"batch" is ${settings.batch}, and there are ${train.length} pictures to train on: take a smaller one, or more pictures.`,
    );
  if (!test && validation.length === 0)
    throw new GradcamppError(
      'INVALID_OPTION',
      `No class has a picture to spare for validation, and there are no "test" pictures to measure on: give two of each class at least, or "test".`,
    );
}

async function openTeacher(
  { teacher, teacherLayer, workers }: Settings,
  arms: ReadonlyMap<string, Terms>,
): Promise<Teacher | undefined> {
  if (teacher === undefined) return undefined;
  const all = [...arms.values()];
  const methods = new Set(all.filter(({ interpret }) => interpret > 0).map(({ method }) => method));
  if (methods.size > 1)
    throw new GradcamppError(
      'INVALID_OPTION',
      `Students of one run learn maps of one method; received ${[...methods].join(', ')}. Make a run of each.`,
    );
  return Teacher.open(teacher, {
    layer: teacherLayer,
    method: [...methods][0] ?? 'grad-cam++',
    map: methods.size > 0,
    attention: all.some(({ attention }) => attention > 0),
    threads: workers,
  });
}

/** The classes of the teacher, which folders must be called like. */
function namesOf({ classes, classCount }: Teacher): readonly string[] | undefined {
  if (classes && classes.length === classCount) return classes;
  throw new GradcamppError(
    'UNSUPPORTED_MODEL',
    `The teacher has ${classCount} scores and ${classes ? `${classes.length} names` : 'no names'} of classes: name them in its sidecar ("classes"), as the folders of pictures are called.`,
  );
}

/** How pictures are prepared for a student that is a file. */
async function sidecarOf(student: string): Promise<Preprocessing> {
  const path = student.replace(/(\.onnx)?$/i, '.json');
  if (!existsSync(student))
    throw new GradcamppError('INVALID_MODEL', `Cannot read model "${student}": there is no such file.`);
  if (existsSync(path)) return (await readSidecar(path)).input;
  throw new GradcamppError(
    'INVALID_OPTION',
    `The student "${student}" needs a sidecar beside it, "${path}", which says how pictures become its input, as {"input": {"size": [224, 224]}}.`,
  );
}

/** Without a teacher: the sidecar of a student that is a file, or the pictures' own size and a mean of grey. */
async function ownPreprocessing({ student, size }: Settings, data: Labelled): Promise<Preprocessing> {
  if (isFile(student)) return sidecarOf(student);
  const side = size ?? (await sideOf(data));
  return {
    layout: 'NCHW',
    size: [side, side],
    resizeMode: 'shorter-edge',
    interpolation: 'pillow-bilinear',
    channels: 'RGB',
    range: 1,
    mean: [0.5, 0.5, 0.5],
    std: [0.25, 0.25, 0.25],
  };
}

/** The shorter side of the first picture that can be read, at most 64. */
async function sideOf({ pictures }: Labelled): Promise<number> {
  for (const picture of pictures) {
    const pixels = await readPicture(picture).catch(() => undefined);
    if (pixels) return Math.min(pixels.width, pixels.height, 64);
  }
  return 64;
}

async function recordOf(
  command: string,
  settings: Settings,
  arms: ReadonlyMap<string, Terms>,
  { pictures, labels }: { readonly pictures: readonly PictureSource[]; readonly labels: unknown },
): Promise<RunRecord> {
  const names = createHash('sha256').update(JSON.stringify(labels));
  const states = createHash('sha256');
  let i = 0;
  for await (const state of statesOf(pictures)) {
    names.update(`${basename(pictures[i++].name)}\0`);
    states.update(`${state}\0`);
  }
  const { teacher, student } = settings;
  const models = [teacher, isFile(student) ? student : undefined].filter((path) => path !== undefined);
  const determining = Object.entries(settings).filter(([key]) => !indifferent.includes(key));
  return makeRecord({
    command,
    models: await Promise.all(models.map(async (path) => ({ path, sha256: await hashFile(path) }))),
    settings: {
      ...Object.fromEntries(determining),
      ...(isFile(student) ? {} : { student }),
      arms: Object.fromEntries(arms),
    },
    inputs: { count: pictures.length, sha256: names.digest('hex'), state: states.digest('hex') },
  });
}

async function removeCheckpoints(settings: Settings, arms: ReadonlyMap<string, Terms>): Promise<void> {
  for (const { folder } of jobsOf(settings, arms))
    await rm(join(settings.out, folder, 'checkpoint.bin'), { force: true });
}

function jobsOf({ seeds }: Settings, arms: ReadonlyMap<string, Terms>): Job[] {
  return Array.from({ length: seeds }, (_, i) => i + 1).flatMap((seed) =>
    [...arms].map(([arm, terms]) => ({
      arm,
      seed,
      terms,
      folder: `${arm.replaceAll(/[^\w+-]+/g, '-')}/seed-${seed}`,
    })),
  );
}

interface PlanParts {
  readonly settings: Settings;
  readonly arms: ReadonlyMap<string, Terms>;
  readonly teacher: Teacher | undefined;
  readonly shown: DecodedPictures;
  readonly preprocessing: Preprocessing;
  readonly record: RunRecord;
  readonly onProgress: (progress: TrainProgress) => void;
  readonly say: (note: string) => void;
}

/** Asks the teacher, and writes down what the students share. */
async function planOf(parts: PlanParts): Promise<RunPlan> {
  const { settings, arms, teacher, shown, preprocessing, record, onProgress, say } = parts;
  const { data, test } = shown;
  checkBatch(settings, shown);
  const { train, validation } = trainAndValidation(data, settings.validation, seed);
  const plan = {
    settings,
    learningRate: settings.learningRate ?? (settings.optimizer === 'sgd' ? 0.1 : 1e-3),
    classWeights: classWeightsOf(settings.classWeights, data, train),
    preprocessing,
    classes: data.classes,
    isMultiLabel: data.isMultiLabel,
    folder: settings.out,
    cache: cacheOf(settings),
    checkpointEvery: 20_000,
    run: record.checksum,
    seed,
    pictures: data.file,
    labels: data.labels,
    train,
    validation,
    test: test && { pictures: test.file, labels: test.labels },
    masks: shown.masks,
  };
  const trunk = await trunkOf(plan, viewsOf(settings), onProgress);
  if (typeof trunk === 'string') say(trunk);
  const lessons = teacher && (await lessonsOf(plan, settings, arms, teacher, onProgress));
  return { ...plan, lessons, trunk: typeof trunk === 'string' ? undefined : trunk };
}

/** How many views of each picture come again and again: without augmentation they are all the same. */
function viewsOf({ augment, views }: Settings): number {
  return augment.length === 0 ? 1 : views;
}

async function lessonsOf(
  plan: Omit<RunPlan, 'lessons' | 'trunk'>,
  settings: Settings,
  arms: ReadonlyMap<string, Terms>,
  teacher: Teacher,
  onProgress: (progress: TrainProgress) => void,
): Promise<LessonFiles> {
  const { teacher: path, augment } = settings;
  const count = viewsOf(settings);
  const { cache, preprocessing, labels, pictures, seed } = plan;
  const all = [...arms.values()];
  const mapped = all.find(({ interpret }) => interpret > 0);
  const has: Part[] = [
    ...(mapped ? ['maps' as const] : []),
    ...(all.some(({ attention }) => attention > 0) ? ['attention' as const] : []),
  ];
  const total = count * labels.length;
  const most = plan.isMultiLabel ? mostOf(labels) : 1;
  return askTeacher({
    teacher,
    views: new Views(await readPictures(cache, pictures, preprocessing.size), {
      preprocessing,
      augment,
      seed,
    }),
    labels,
    most,
    count,
    has,
    key: [
      await hashFile(path as string),
      teacher.layer,
      mapped?.method,
      has,
      augment,
      seed,
      pictures,
      labels,
    ],
    cache,
    onProgress: (done) => onProgress({ stage: 'teacher', done, total, note: 'views shown to the teacher' }),
  });
}

/** The classes of the picture that has most of them. */
function mostOf(labels: readonly (readonly number[])[]): number {
  return labels.reduce((most, { length }) => Math.max(most, length), 1);
}

/** What earlier runs have finished, and where this one notes what it does. */
class Noted {
  readonly #folder: RunFolder<Entry>;
  readonly #known: ReadonlyMap<string, string>;

  private constructor(folder: RunFolder<Entry>, known: ReadonlyMap<string, string>) {
    this.#folder = folder;
    this.#known = known;
  }

  static async of(folder: RunFolder<Entry>): Promise<Noted> {
    await folder.journal.keep(({ isAlone }) => isAlone);
    const known = new Map<string, string>();
    for await (const { entry } of folder.journal.read()) known.set(entry.part, entry.result);
    return new Noted(folder, known);
  }

  /** The result of a part, computed where no run has yet. */
  async once<T>(part: string, compute: () => Promise<T>): Promise<T> {
    const known = this.#known.get(part);
    if (known !== undefined) return deserialize(Buffer.from(known, 'base64')) as T;
    const result = await compute();
    await this.#folder.journal.add({ part, result: serialize(result).toString('base64') });
    return result;
  }
}

/** Pictures that the teacher classifies together. */
const together = 100;

/** What the teacher comes to on the pictures that students are measured on; undefined without a teacher. */
async function teacherMeasure(
  plan: RunPlan,
  teacher: Teacher | undefined,
  noted: Noted,
): Promise<Measure | undefined> {
  if (!teacher) return undefined;
  const { cache, preprocessing } = plan;
  return noted.once('teacher', async () => {
    const pictures = await readPictures(cache, plan.test?.pictures ?? plan.pictures, preprocessing.size);
    const views = new Views(pictures, { ...plan, augment: [] });
    const measured = plan.test ? plan.test.labels.map((_, i) => i) : plan.validation;
    const labels = plan.test?.labels ?? plan.labels;
    const scores: number[] = [];
    for (let start = 0; start < measured.length; start += together) {
      const own = measured.slice(start, start + together);
      const images = views.batch(own, 'original');
      const lesson = await teacher.run(
        images,
        views.dims,
        own.map(() => []),
      );
      for (const score of lesson.scores) scores.push(score);
    }
    return metricFor(plan.isMultiLabel).measure({
      scores: Float32Array.from(scores),
      labels: measured.map((i) => labels[i]),
      classes: teacher.classCount,
    });
  });
}

/** Trains every student that no earlier run has finished. */
async function trainAll(
  plan: RunPlan,
  arms: ReadonlyMap<string, Terms>,
  noted: Noted,
  onProgress: (progress: TrainProgress) => void,
): Promise<ReadonlyMap<Job, JobOutcome>> {
  const jobs = jobsOf(plan.settings, arms);
  const size = Math.min(plan.settings.workers ?? availableCores(), jobs.length);
  const executor: Executor<Job, JobOutcome, unknown> =
    size === 0
      ? inThisThread(trainingService(plan))
      : new Pool({
          script: new URL('../train-worker.js', import.meta.url),
          init: plan,
          size,
          depth: 1,
          isolate: true,
        });
  const shares = new Map<Job, number>();
  /** Pictures that one student sees. */
  const each = plan.settings.epochs * plan.train.length;
  let note = 'pictures trained on';
  const tell = () =>
    onProgress({
      stage: 'training',
      done: [...shares.values()].reduce((sum, share) => sum + share, 0) * each,
      total: jobs.length * each,
      note,
    });
  try {
    const outcomes = await Promise.all(
      jobs.map(async (job) => {
        const outcome = await noted.once(job.folder, () =>
          executor.run(job, {
            onProgress: ({ share, line }: JobProgress) => {
              shares.set(job, share);
              if (line) note = noteOf(line, metricFor(plan.isMultiLabel));
              tell();
            },
          }),
        );
        shares.set(job, 1);
        tell();
        return [job, outcome] as const;
      }),
    );
    return new Map(outcomes);
  } finally {
    await executor.close();
  }
}

function noteOf(line: NonNullable<JobProgress['line']>, { key }: Metric): string {
  const { arm, seed, epoch, loss, trainError, validation } = line;
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  const measured = validation === undefined ? '' : `, validation ${key} ${percent(validation)}`;
  return `${arm}, seed ${seed}, epoch ${epoch}: loss ${loss.toFixed(3)}, ${key === 'error' ? 'error' : 'wrong labels'} ${percent(trainError)}${measured}`;
}

/** Writes what the run came to. */
async function conclude(own: {
  readonly command: string;
  readonly plan: RunPlan;
  readonly settings: Settings;
  readonly folder: RunFolder<Entry>;
  readonly outcomes: ReadonlyMap<Job, JobOutcome>;
  readonly measuredBy: Measure | undefined;
  readonly shown: DecodedPictures;
  readonly understood: readonly string[];
  readonly notes: readonly string[];
}): Promise<Trained> {
  const { command, plan, settings, folder, outcomes, measuredBy, shown, understood, notes } = own;
  const { data, test } = shown;
  const measured: Measured = {
    on: test ? 'test' : 'validation',
    pictures: test?.pictures ?? plan.validation.map((i) => data.pictures[i]),
    labels: test?.labels ?? plan.validation.map((i) => plan.labels[i]),
  };
  const results = resultsOf({ plan, outcomes, measured, teacher: measuredBy, understood, notes });
  const write = folderWriter(settings.out, 'results');
  const files: string[] = [];
  const put = async (name: string, content: string | Uint8Array) => {
    await write(name, [typeof content === 'string' ? Buffer.from(content) : content]);
    files.push(name);
  };
  const { best } = results;
  for (const name of ['student.onnx', 'student.json'])
    await put(name, await readFile(join(settings.out, best.folder, name)));
  const lines = [...outcomes.values()].flatMap(({ log }) => log.map((line) => `${JSON.stringify(line)}\n`));
  await put('log.jsonl', lines.join(''));
  await put('results.json', `${JSON.stringify({ command, ...results }, undefined, 1)}\n`);
  await put(
    'report.html',
    await reportPage(await reportOf({ command, plan, settings, outcomes, measured, results })),
  );
  for (const { folder: own } of outcomes.keys()) {
    files.push(`${own}/student.onnx`, `${own}/student.json`);
    await rm(join(settings.out, own, 'checkpoint.bin'), { force: true });
  }
  await folder.finish({ files });
  return { ...results, files: files.map((name) => join(settings.out, name)) };
}

/** What is left to say of a run that an earlier one had finished. */
async function finishedBefore(out: string, { files = [] }: RunRecord): Promise<Trained> {
  const results = JSON.parse(await readFile(join(out, 'results.json'), 'utf8')) as Results;
  return { ...results, files: files.map((name) => join(out, name)) };
}
