import { readFileSync } from 'node:fs';
import { invalid, onlyKeys, text } from '../check.js';
import { GradcamppError } from '../errors.js';
import {
  checkExplainerOptions,
  type ExplainerOptions,
  type ExplainOptions,
  type Settings,
  settingsOf,
} from '../explain/options.js';
import { hashFile } from '../files.js';
import { readOptions } from '../options.js';
import type { SourceOptions } from '../image/sources.js';
import {
  type Done,
  type FilesInit,
  type FilesResult,
  openFiles,
  type Picture,
  type Sample,
} from './files-service.js';
import { type Input, listInputs } from './inputs.js';
import { drive } from './drive.js';
import type { Opened } from './open-explainer.js';
import { outputOptions, type OutputOptions, type OutputSettings } from './output-options.js';
import { hashInputs, makeRecord, readRecord, type RunRecord } from './record.js';
import { type AnyLine, failedLine } from './results.js';
import { recordFile, RunFolder } from './run-folder.js';
import { type Reuse, type WorkforceOptions, workforceSettingsOf } from './run-options.js';
import { TaskError } from './task-error.js';
import { defaultBatch, startWorkforce, type Workforce } from './workforce.js';
import { prepareTable, writeTable } from './table.js';
import { join } from 'node:path';

export interface RunOptions extends Reuse {
  /** The ONNX model. */
  readonly model: string;
  /** Files, folders, patterns, or "-" for paths on standard input. */
  readonly images?: readonly string[];
  /** Tar archives of pictures; the results of each go to an archive of the same name. */
  readonly archives?: readonly string[];
  /** The output folder; default "gradcampp-out". */
  readonly out?: string;
  readonly open?: ExplainerOptions;
  readonly explain?: ExplainOptions;
  readonly outputs?: OutputOptions;
  readonly workforce?: WorkforceOptions;
  /** A .parquet or .csv file that gets the results as a table when all is done. */
  readonly table?: string;
  /** Stops the run: what is in flight is finished, the rest is left for a later run with `resume`. */
  readonly signal?: AbortSignal;
  readonly stdin?: SourceOptions['stdin'];
}
const runKeys = [
  'model',
  'images',
  'archives',
  'out',
  'open',
  'explain',
  'outputs',
  'workforce',
  'table',
  'signal',
  'stdin',
  'resume',
  'overwrite',
] as const;

/** How a run ended. */
export interface Summary {
  readonly out: string;
  readonly images: number;
  readonly explained: number;
  readonly failed: number;
  /** Pictures that an earlier run had done. */
  readonly before: number;
  /** Whether it was stopped before all was done. */
  readonly stopped: boolean;
  /** What stopped it, where that was no signal: nothing can be written any more, or no worker starts. */
  readonly error?: GradcamppError;
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
  /** The inputs are known, and the workers open the model. */
  listed?(images: number): void;
  /** The model is open and the folder too. */
  started?(start: Start): void;
  /** One picture's lines, in the order of the inputs. */
  picture?(lines: readonly AnyLine[]): void;
}

/**
 * Explains pictures into a folder: `results.jsonl`, one line for each image, target and method; the files that
 * `outputs.save` names; `run.json`. A picture that fails becomes a line, and the others go on.
 *
 * @throws GradcamppError where the run cannot start, or where nothing can be written any more
 */
export async function explainFolder(options: RunOptions, listener: Listener = {}): Promise<Summary> {
  const since = performance.now();
  checkTypes(options);
  const { out = 'gradcampp-out', images = [], archives = [], outputs = {} } = options;
  const open = checkExplainerOptions(options.open ?? {});
  const explain = { ...options.explain, batchSize: options.explain?.batchSize ?? defaultBatch(open) };
  const settings = settingsOf(explain);
  const drawing = readOptions('the outputs', outputOptions, outputs);
  const workforce = workforceSettingsOf(options.workforce ?? {});
  if (options.table !== undefined) await prepareTable(options.table);
  if (archives.length > 0 && images.length > 0)
    throw new GradcamppError('INVALID_OPTION', 'Pictures and archives cannot be mixed in one run: make two.');

  const inputs = await listInputs(images, archives, options);
  const inputsHash = await hashInputs(inputs);
  const earlier = options.resume ? await readRecord(join(out, recordFile)) : undefined;
  const backend = earlier?.backend as ExplainerOptions['backend'];
  const init: FilesInit = {
    kind: 'files',
    model: options.model,
    open: (open.backend ?? 'auto') === 'auto' && backend ? { ...open, backend } : open,
    explain,
    outputs,
    out: archives.length > 0 ? undefined : out,
  };
  const team: Team = startWorkforce(
    {
      script: new URL('./worker.js', import.meta.url),
      init,
      openHere: () => openFiles(init),
      tasks: inputs.length,
    },
    workforce,
  );
  const hashing = hashFile(options.model);
  hashing.catch(() => undefined); // the workers say what is wrong with it
  let folder: RunFolder | undefined;
  try {
    listener.listed?.(inputs.length);
    const opened = await team.ready;
    const sha256 = await hashing;
    const record = makeRecord({
      version,
      model: { path: options.model, sha256 },
      layers: opened.layers,
      backend: opened.backend,
      settings: settingsRecord(open, opened, settings, drawing),
      inputs: { count: inputs.length, sha256: inputsHash },
    });
    const found = await RunFolder.open(out, record, options);
    if (!(found instanceof RunFolder)) {
      if (options.table !== undefined) await writeTable(options.table, out);
      return summaryOf(options, found, since);
    }
    folder = found;
    const { progressed } = folder;
    listener.started?.({
      ...opened,
      images: inputs.length,
      before: progressed.done,
      failedBefore: progressed.failed,
    });
    const batch = options.explain?.batchSize ?? opened.fixedBatch ?? settings.batchSize;
    const tally = new Tally();
    const failed = () => progressed.failed + tally.failed;
    const isComplete = () => progressed.done + tally.pictures === inputs.length;
    let error: GradcamppError | undefined;
    try {
      for await (const done of drive({
        groups: groupsOf(inputs, batch, progressed, options.signal),
        run: async (pictures) => {
          const result = await team.run(pictures, { share: pictures.length });
          tally.sample(result);
          return result.done;
        },
        failed: (picture, cause) => (cause instanceof TaskError ? blamed(picture, cause) : undefined),
        limit: team.depth,
        window: 16 * team.depth,
        order: 'input',
      })) {
        if (done.index < progressed.done) continue;
        await folder.add(done, inputs[done.index].archive);
        tally.count(done);
        listener.picture?.(done.lines);
      }
      if (isComplete()) {
        await Promise.all([folder.finish(inputs.length - failed(), failed()), team.close()]);
        if (options.table !== undefined) await writeTable(options.table, out);
      }
    } catch (cause) {
      if (!(cause instanceof GradcamppError)) throw cause;
      error = cause;
    }
    return {
      out,
      images: inputs.length,
      explained: progressed.done + tally.pictures - failed(),
      failed: failed(),
      before: progressed.done,
      stopped: !isComplete(),
      error,
      seconds: (performance.now() - since) / 1000,
      workers: team.size,
      stages: tally.stages,
      peakMemory: tally.peakMemory(workforce.isolate ? team.size : 0),
    };
  } finally {
    await team.close();
    await folder?.close();
  }
}

/** What the parts that take these options do not check. */
function checkTypes(options: RunOptions): void {
  onlyKeys('explainFolder', options, runKeys);
  const { out, images, archives, explain, table, signal, stdin, resume, overwrite } = options;
  text('model', options.model, 'the path of an ONNX file');
  if (out !== undefined) text('out', out, 'the path of a folder');
  if (table !== undefined) text('table', table, 'a file name');
  for (const [name, paths] of Object.entries({ images, archives }))
    if (paths !== undefined && (!Array.isArray(paths) || paths.some((path) => typeof path !== 'string')))
      throw invalid(name, 'a list of paths', paths);
  for (const [name, value] of Object.entries({ resume, overwrite }))
    if (value !== undefined && typeof value !== 'boolean') throw invalid(name, 'true or false', value);
  if (resume && overwrite)
    throw new GradcamppError(
      'INVALID_OPTION',
      '"resume" goes on with a run and "overwrite" replaces it: give one of the two.',
    );
  for (const [name, value] of Object.entries({ explain, signal, stdin }))
    if (value !== undefined && (value === null || typeof value !== 'object'))
      throw invalid(name, 'an object', value);
}

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

/** Every option that changes a result, as it was understood. */
function settingsRecord(open: ExplainerOptions, opened: Opened, explain: Settings, outputs: OutputSettings) {
  const { executionProviders = ['cpu'], threads = 1 } = open;
  const { output, preprocessing, classesSha256 } = opened;
  return { executionProviders, threads, output, preprocessing, classesSha256, explain, outputs };
}

type Team = Workforce<readonly Picture[], FilesResult, Opened>;

/** That very run is finished already. */
function summaryOf({ out = 'gradcampp-out' }: RunOptions, record: RunRecord, since: number): Summary {
  const { explained = 0, failed = 0 } = record;
  const images = explained + failed;
  const seconds = (performance.now() - since) / 1000;
  return {
    out,
    images,
    explained,
    failed,
    before: images,
    stopped: false,
    seconds,
    workers: 0,
    peakMemory: process.resourceUsage().maxRSS * 1024,
  };
}

/**
 * Groups of `batch` pictures, those that are left: first those whose files are damaged, then the rest. Groups begin at
 * multiples of `batch` whatever is done already, so that a picture is always computed in the same company.
 */
function* groupsOf(
  inputs: readonly Input[],
  batch: number,
  { done, redo }: { done: number; redo: readonly number[] },
  signal: AbortSignal | undefined,
): Generator<readonly Input[]> {
  const startOf = (index: number) => index - (index % batch);
  const first = startOf(done);
  const damaged = new Set(redo.map(startOf).filter((start) => start < first));
  for (const start of damaged) {
    if (signal?.aborted) return;
    yield inputs.slice(start, start + batch);
  }
  for (let start = first; start < inputs.length; start += batch) {
    if (signal?.aborted) return;
    yield inputs.slice(start, start + batch);
  }
}

/** What is listed of a picture that ended its worker, or took too long. */
function blamed({ index, path }: Input, { code, reason }: TaskError): Done {
  const error = new GradcamppError(code, `${JSON.stringify(path)} ${reason}.`);
  return { index, lines: [failedLine(index, path, error)], files: [], bytes: [] };
}

/** What the summary needs of every result. */
class Tally {
  pictures = 0;
  failed = 0;
  #worker = 0;
  readonly #sum: Sample = { decode: 0, inference: 0, map: 0, encode: 0, pictures: 0 };

  count({ lines }: Done): void {
    this.pictures++;
    if (lines.some((line) => 'error' in line)) this.failed++;
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
