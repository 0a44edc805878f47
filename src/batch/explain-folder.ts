import { basename, join } from 'node:path';
import { invalid, missing } from '../check.js';
import { asOurs, GradcamppError, messageOf } from '../errors.js';
import {
  checkExplainerOptions,
  type ExplainerOptions,
  type ExplainOptions,
  settingsOf,
} from '../explain/explain-options.js';
import { hashFile } from '../files.js';
import type { SourceOptions } from '../image/sources.js';
import { type Observed, type Observer, observer } from '../observe.js';
import { option, type OptionsOf, readOptions, text } from '../options.js';
import { drive } from './drive.js';
import type { Crew } from './workers/crew.js';
import { type FilesInit, type FilesResult, openFiles, type Sample } from './workers/files-service.js';
import { writeIndexPages } from './results/index-page.js';
import { Inputs } from './inputs/inputs.js';
import type { LeftOut } from './inputs/left-out.js';
import { type Opened, openForBatch } from './workers/open-explainer.js';
import { outputOptions, type OutputOptions } from './output-options.js';
import type { Done, Input, Picture } from './picture.js';
import { differences, makeRecord, type RunParts, type RunRecord } from './results/run-record.js';
import { prepareTable, writeResultTable } from './results/result-table.js';
import { type AnyLine, type FailedLine, failedLine } from './results/result-line.js';
import { ResultsFolder } from './results/results-folder.js';
import { backendOfRun, resultsFile } from './results/run-folder.js';
import { explainRunOptions, paths, type WorkforceOptions, workforceSettingsOf } from './run-options.js';
import { TaskError } from './workers/task-error.js';
import { defaultBatch, startWorkforce, type Workforce } from './workers/workforce.js';

/** What `explainFolder` takes. */
const options = {
  /** The ONNX model. */
  model: text({ expected: 'the path of an ONNX file', help: 'the ONNX model' }),
  /** Files, folders, patterns, or "-" for paths on standard input. */
  images: paths({ help: 'pictures' }),
  open: object<ExplainerOptions>(),
  explain: object<ExplainOptions>(),
  outputs: object<OutputOptions>(),
  workforce: object<WorkforceOptions>(),
  /** Stops the run: what is in flight is finished, the rest is left for a later run with `resume`. */
  signal: object<AbortSignal>(),
  stdin: object<NonNullable<SourceOptions['stdin']>>(),
  /** What this run is a part of, where several machines share one. */
  part: object<Part>(),
  ...explainRunOptions,
};

export type RunOptions = OptionsOf<typeof options> & { readonly model: string };

/** A run without its inputs: what all its parts have in common. */
export type RunKind = Omit<RunParts, 'inputs' | 'archives'>;

/** A part of a run. */
export interface Part {
  /** The run: a part that would differ from it in more than the inputs is refused. */
  readonly of: RunKind;
  /** Pictures that are listed and named already, in place of `images`. */
  readonly inputs?: readonly Omit<Input, 'index'>[];
  /** Keeps the workers, where all went well with them, for the next part that would open the same. Without it they end with the part. */
  readonly crew?: Crew<Team>;
}

function object<T extends object>() {
  return option(
    (value, name): T => {
      if (value !== null && typeof value === 'object') return value as T;
      throw invalid(name, 'an object', value);
    },
    { help: 'an object' },
  );
}

/** How a run ended. */
export interface Summary {
  readonly out: string;
  readonly images: number;
  /** Whether these are videos, of which each may be several clips. */
  readonly takesClips?: boolean;
  readonly explained: number;
  readonly failed: number;
  /** Pictures that an earlier run had done. */
  readonly before: number;
  /** Whether it was stopped before all was done. */
  readonly stopped: boolean;
  /** What stopped it, where that was no signal: nothing can be written any more, or no worker starts. */
  readonly error?: GradcamppError;
  /** Files of the folders, patterns and archives that are no pictures: how many, and the first of them. */
  readonly leftOut: LeftOut;
  readonly seconds: number;
  readonly workers: number;
  /** Milliseconds a picture, by stage, from pictures that were explained alone. */
  readonly stages?: Omit<Sample, 'pictures'>;
  /** Largest resident set in bytes: of this process and, with isolation, of all workers together at most. */
  readonly peakMemory: number;
}

export interface Start extends Opened {
  readonly images: number;
  /** Pictures that an earlier run had done, and how many of them failed. */
  readonly before: number;
  readonly failedBefore: number;
}

export interface Listener {
  /** The inputs are known, and the model is open. A state is size and time of change, "-" where there is no file. */
  listed?(
    images: number,
    leftOut: LeftOut,
    states: Iterable<{ readonly path: string; readonly state: string }>,
  ): void;
  /** The model is open and the folder too. */
  started?(start: Start): void;
  /** One picture's lines, in the order of the inputs. */
  picture?(lines: readonly AnyLine[]): void;
}

/**
 * Explains pictures into a folder: `results.jsonl`, one line for each image, target and method; the files that
 * `outputs.save` names; `run.json`. A picture that fails becomes a line, and the others go on.
 *
 * @throws GradcamppError where the run cannot start; what ends it later is the summary's `error`
 */
export async function explainFolder(given: RunOptions, listener: Listener = {}): Promise<Summary> {
  try {
    const seen = await observer();
    return await seen.during('explain run', {}, async (own) => {
      const summary = await run(given, careful(listener), { seen, own });
      const { images, explained, failed, error } = summary;
      own.set({ 'gradcampp.images': images, 'gradcampp.explained': explained, 'gradcampp.failed': failed });
      if (error) own.fail(error.message);
      return summary;
    });
  } catch (error) {
    throw asOurs(error);
  }
}

/** The listener, whose errors are told from ours. */
function careful(listener: Listener): Listener {
  const tell = (say: () => void) => {
    try {
      say();
    } catch (cause) {
      throw new GradcamppError('INVALID_OPTION', `The listener failed: ${messageOf(cause)}`, { cause });
    }
  };
  return {
    listed: (...args) => tell(() => listener.listed?.(...args)),
    started: (start) => tell(() => listener.started?.(start)),
    picture: (lines) => tell(() => listener.picture?.(lines)),
  };
}

async function run(
  given: RunOptions,
  listener: Listener,
  { seen, own }: { readonly seen: Observer; readonly own: Observed },
): Promise<Summary> {
  const since = performance.now();
  const plan = planOf(given);
  own.set({ 'gradcampp.model': plan.model });
  if (plan.table !== undefined) await prepareTable(plan.table, plan);
  const listed = plan.part?.inputs;
  const inputs = listed ? await Inputs.of(listed) : await Inputs.list(plan.images, plan.archives, plan);
  const init = await initOf(plan, inputs);
  const crew = plan.part?.crew;
  const key = JSON.stringify([plan.part?.of, init, plan.workforce]);
  const team = (await crew?.take(key)) ?? startTeam(plan, init, crew ? undefined : inputs.count);
  let folder: ResultsFolder | undefined;
  let isKept = false;
  try {
    const opened = await openedBy(team, plan.model);
    await inputs.settle(opened.clips !== undefined);
    listener.listed?.(inputs.list.length, inputs.leftOut, inputs.states());
    if (plan.overwrite && inputs.areMissing) throw nothingToReplaceWith(plan, inputs);
    const record = recordOf(plan, opened, inputs);
    if (plan.part) refuseOther(plan.part.of, record);
    const found = await ResultsFolder.open(plan.out, record, inputs, plan);
    if (found instanceof ResultsFolder) folder = found;
    const tally = new Tally(
      folder?.count() ?? { done: inputs.list.length, failed: (found as RunRecord).failed ?? 0 },
    );
    if (folder) listener.started?.(startOf(opened, folder, inputs));
    let error: GradcamppError | undefined;
    try {
      if (folder) await explainInto(folder, { plan, inputs, team, opened, tally, listener, seen });
      const isComplete = tally.done === inputs.list.length;
      const writePages = (others: ReadonlySet<string>) => writeIndex(plan, opened, inputs, others);
      if (folder && isComplete)
        await Promise.all([folder.finish(writePages), crew ? undefined : team.close()]);
      if (plan.table !== undefined && isComplete) await writeResultTable(plan.table, plan.out);
    } catch (cause) {
      if (!(cause instanceof GradcamppError)) throw cause;
      error = cause;
    }
    if (crew && !error && !tally.hasFaults) {
      crew.keep(key, team);
      isKept = true;
    }
    return {
      out: plan.out,
      images: inputs.list.length,
      takesClips: opened.clips !== undefined,
      explained: tally.done - tally.failed,
      failed: tally.failed,
      before: tally.before,
      stopped: tally.done < inputs.list.length,
      error,
      leftOut: inputs.leftOut,
      seconds: (performance.now() - since) / 1000,
      workers: folder ? team.size : 0,
      stages: tally.stages,
      peakMemory: tally.peakMemory(plan.workforce.isolate ? team.size : 0),
    };
  } finally {
    if (!isKept) await team.close();
    await folder?.close();
    await inputs.close();
  }
}

function nothingToReplaceWith({ out }: Plan, { list }: Inputs): GradcamppError {
  const first = JSON.stringify(list[0].path);
  const what =
    list.length === 1
      ? `${first} does not exist`
      : `None of the ${list.length} pictures exists, from ${first} on`;
  return new GradcamppError(
    'INVALID_IMAGE',
    `${what}: there is nothing to replace the results in ${JSON.stringify(out)} with. Check the paths.`,
  );
}

/** The page beside the results. Those of archives are in archives, where a page cannot show them. */
async function writeIndex(
  { model, out, outputs }: Plan,
  { layers, clips }: Opened,
  { list, archives }: Inputs,
  others: ReadonlySet<string>,
): Promise<string[]> {
  if (archives.length > 0) return [];
  const results = join(out, resultsFile);
  const overOriginal = (outputs.picture ?? 'original') === 'original';
  const takesClips = clips !== undefined;
  const own = { out, results, images: list.length, model: basename(model), layers, takesClips };
  return writeIndexPages({ ...own, overOriginal, others });
}

type Plan = ReturnType<typeof planOf>;
type Team = Workforce<readonly Picture[], FilesResult, Opened>;

/** Every option, checked. */
function planOf(given: RunOptions) {
  const run = readOptions('explainFolder', options, given);
  if (run.model === undefined) throw missing('model', 'the path of an ONNX file', '--model <file>');
  if (run.resume && run.overwrite)
    throw new GradcamppError(
      'INVALID_OPTION',
      '"resume" goes on with a run and "overwrite" replaces it: give one of the two.',
    );
  if (run.archives.length > 0 && run.images.length > 0)
    throw new GradcamppError('INVALID_OPTION', 'Pictures and archives cannot be mixed in one run: make two.');
  const open = checkExplainerOptions(run.open ?? {});
  const explain = { ...run.explain, batchSize: run.explain?.batchSize ?? defaultBatch(open) };
  settingsOf(explain);
  readOptions('the outputs', outputOptions, run.outputs ?? {});
  return {
    ...run,
    model: run.model,
    open,
    explain,
    /** Whether the size of passes was left to us. */
    isBatchOurs: run.explain?.batchSize === undefined,
    outputs: run.outputs ?? {},
    workforce: workforceSettingsOf(run.workforce ?? {}),
  };
}

/** What workers open. A run that goes on keeps its backend, whatever the machine would choose now. */
async function initOf(plan: Plan, inputs: Inputs): Promise<FilesInit> {
  const { open, model, explain, outputs, out, part } = plan;
  const earlier = part?.of.backend ?? (plan.resume ? await backendOfRun(out) : undefined);
  const backend = (open.backend ?? 'auto') === 'auto' ? (earlier ?? open.backend) : open.backend;
  return {
    kind: 'files',
    model,
    open: backend === undefined ? open : { ...open, backend: backend as ExplainerOptions['backend'] },
    explain,
    outputs,
    out: plan.archives.length + inputs.archives.length > 0 ? undefined : out,
  };
}

/** Starts the workers. @param tasks how many they will have, at most; undefined where there may be more later */
function startTeam({ workforce }: Plan, init: FilesInit, tasks: number | undefined): Team {
  const script = new URL('./worker.js', import.meta.url);
  return startWorkforce({ script, init, openHere: () => openFiles(init), tasks }, workforce);
}

/** What the workers found, and the model's checksum, which is taken meanwhile. */
async function openedBy(team: Pick<Team, 'ready'>, model: string): Promise<OpenedModel> {
  const hashing = hashFile(model);
  hashing.catch(() => undefined); // the workers say what is wrong with it
  const opened = await team.ready;
  return { ...opened, sha256: await hashing };
}

type OpenedModel = Opened & { readonly sha256: string };

/** What the run is: every option that changes a result, as it was understood. */
function recordOf(plan: Plan, opened: OpenedModel, inputs: Inputs): RunRecord {
  const archives = plan.archives.length > 0 ? inputs.archives : undefined;
  return makeRecord({ ...kindOf(plan, opened), archives, inputs: inputs.record });
}

function kindOf(plan: Plan, opened: OpenedModel): RunKind {
  const { executionProviders = ['cpu'], threads = 1 } = plan.open;
  const { layers, backend, output, preprocessing, clips, classesSha256, sha256 } = opened;
  const explain = settingsOf(plan.explain);
  const outputs = readOptions('the outputs', outputOptions, plan.outputs);
  return {
    command: 'explain',
    models: [{ path: plan.model, sha256 }],
    layers,
    backend,
    settings: {
      executionProviders,
      threads,
      output,
      preprocessing,
      ...(clips ? { clips } : {}),
      classesSha256,
      explain,
      outputs,
    },
  };
}

/**
 * What runs with these options have in common, whatever their inputs; and the pictures of a pass.
 *
 * @throws GradcamppError where no run could start
 */
export async function describeRun(
  given: RunOptions,
): Promise<{ kind: RunKind; batch: number; notes: readonly string[] }> {
  const plan = planOf(given);
  const opening = openForBatch(plan, settingsOf(plan.explain));
  const ready = opening.then(({ opened }) => opened);
  try {
    const opened = await openedBy({ ready }, plan.model);
    return { kind: kindOf(plan, opened), batch: batchOf(plan, opened), notes: opened.notes };
  } finally {
    await opening.then(
      ({ explainer }) => explainer.close(),
      () => undefined,
    );
  }
}

/** @throws GradcamppError INVALID_OPTION */
function refuseOther(of: RunKind, { inputs, ...own }: RunRecord): void {
  const differ = differences(makeRecord({ ...of, inputs }), makeRecord({ ...own, inputs }));
  if (differ.length === 0) return;
  throw new GradcamppError(
    'INVALID_OPTION',
    `This machine would explain something else than was planned: it differs in ${differ.join(', ')}. Give it the model, the sidecar and the version of the plan.`,
  );
}

function startOf(opened: Opened, folder: ResultsFolder, { list }: Inputs): Start {
  const { done, failed } = folder.count();
  const notes = [...opened.notes, ...folder.notes];
  return { ...opened, notes, images: list.length, before: done, failedBefore: failed };
}

/** Explains what is not done yet, and adds it to the folder in the order of the inputs. */
async function explainInto(
  folder: ResultsFolder,
  parts: {
    readonly plan: Plan;
    readonly inputs: Inputs;
    readonly team: Team;
    readonly opened: Opened;
    readonly tally: Tally;
    readonly listener: Listener;
    readonly seen: Observer;
  },
): Promise<void> {
  const { plan, inputs, team, opened, tally, listener, seen } = parts;
  const batch = batchOf(plan, opened);
  for await (const done of drive({
    groups: groupsOf(inputs.list, batch, folder, plan.signal),
    run: async (pictures) => {
      const result = await seen.during('explain pictures', describe(pictures), async (own) => {
        const found = await team.run(pictures, { share: pictures.length });
        own.add(found.times);
        const failed = found.done.flatMap(({ lines }) => failureIn(lines) ?? []);
        if (failed.length > 0) own.fail(failed[0].error.message);
        seen.count(found.times, { explained: found.done.length - failed.length, failed: failed.length });
        return found;
      });
      tally.sample(result);
      return result.done;
    },
    failed: (picture, cause) => {
      if (!(cause instanceof TaskError)) return undefined;
      seen.count([], { explained: 0, failed: 1 });
      return blamed(picture, cause);
    },
    limit: team.depth,
    window: 16 * team.depth,
    order: 'input',
  })) {
    if (folder.isDone(done.index)) continue;
    await folder.add(done);
    tally.count(done);
    listener.picture?.(done.lines);
  }
}

/** What is said of the pictures of a pass to whoever looks on. */
function describe(pictures: readonly Input[]) {
  return {
    'gradcampp.images': pictures.length,
    ...(pictures.length === 1 ? { 'gradcampp.image': pictures[0].path } : {}),
  };
}

/** Pictures of a pass. */
function batchOf({ isBatchOurs, explain }: Plan, { fixedBatch }: Opened): number {
  return (isBatchOurs ? fixedBatch : undefined) ?? explain.batchSize;
}

/**
 * Groups of `batch` pictures in which something is left to do. They begin at multiples of `batch`, in each archive anew,
 * whatever is done already, so that a picture is always computed in the same company.
 */
function* groupsOf(
  inputs: readonly Input[],
  batch: number,
  folder: ResultsFolder,
  signal: AbortSignal | undefined,
): Generator<readonly Input[]> {
  for (let start = 0, end = 0; start < inputs.length; start = end) {
    if (signal?.aborted) return;
    const { archive } = inputs[start];
    for (end = start + 1; end < start + batch && inputs[end]?.archive === archive; ) end++;
    const group = inputs.slice(start, end);
    if (!group.every(({ index }) => folder.isDone(index))) yield group;
  }
}

/** What is listed of a picture that ended its worker, or took too long. */
function blamed({ index, path }: Input, { code, reason }: TaskError): Done {
  const error = new GradcamppError(code, `${JSON.stringify(path)} ${reason}.`);
  return { index, lines: [failedLine(index, path, error)], files: [], bytes: [] };
}

/** The first line of a picture that says what is wrong. */
function failureIn(lines: readonly AnyLine[]): FailedLine | undefined {
  return lines.find((line) => 'error' in line);
}

/** What the summary needs of every result. */
class Tally {
  /** Pictures that are done, and how many of them failed. */
  done: number;
  failed: number;
  /** Those that an earlier run had done. */
  readonly before: number;
  /** Whether a picture failed by no fault of its own, as it may seem: a worker ended, or the device. */
  hasFaults = false;
  #worker = 0;
  readonly #sum: Sample = { decode: 0, forward: 0, backward: 0, map: 0, encode: 0, pictures: 0 };

  constructor({ done, failed }: { readonly done: number; readonly failed: number }) {
    this.before = this.done = done;
    this.failed = failed;
  }

  count({ lines }: Done): void {
    this.done++;
    const failure = failureIn(lines);
    if (failure) this.failed++;
    if (failure?.error.code === 'RUNTIME') this.hasFaults = true;
  }

  sample({ sample, peakMemory }: FilesResult): void {
    this.#worker = Math.max(this.#worker, peakMemory);
    if (sample) for (const key of Object.keys(this.#sum) as (keyof Sample)[]) this.#sum[key] += sample[key];
  }

  get stages(): Summary['stages'] {
    const { pictures, ...sums } = this.#sum;
    if (pictures === 0) return undefined;
    return Object.fromEntries(
      Object.entries(sums).map(([name, sum]) => [name, sum / pictures]),
    ) as Summary['stages'];
  }

  peakMemory(processes: number): number {
    return process.resourceUsage().maxRSS * 1024 + processes * this.#worker;
  }
}
