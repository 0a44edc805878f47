import { basename, join } from 'node:path';
import type { Summary } from '../batch/explain-folder.js';
import { Inputs } from '../batch/inputs/inputs.js';
import type { LeftOut } from '../batch/inputs/left-out.js';
import type { Done, Input } from '../batch/picture.js';
import { type FailedLine, failedLine } from '../batch/results/result-line.js';
import { ResultNames } from '../batch/results/result-names.js';
import { ResultsFolder } from '../batch/results/results-folder.js';
import { resultsFile } from '../batch/results/run-folder.js';
import { makeRecord, type RunRecord } from '../batch/results/run-record.js';
import { folderWriter, isFatal } from '../batch/results/write-file.js';
import { chooseBackend } from '../batch/workers/open-explainer.js';
import { missing } from '../check.js';
import { asOurs, GradcamppError } from '../errors.js';
import { settingsOf } from '../explain/explain-options.js';
import { hashFile } from '../files.js';
import type { SourceOptions } from '../image/sources.js';
import { type OptionsOf, readOptions } from '../options.js';
import { captionOutput, type CaptionLine, entryOf } from './caption-files.js';
import { readParts } from './read-parts.js';
import { CaptionNetworks, optionsOf } from './caption-networks.js';
import type { CaptionerOptions, CaptionOptions } from './caption-options.js';
import { writeCaptionPages } from './caption-page.js';
import {
  captionOutputOptions,
  type CaptionOutputOptions,
  type CaptionOutputSettings,
  captionRunOptions,
} from './caption-run-options.js';

/** What `captionFolder` takes. */
export interface CaptionRun extends OptionsOf<typeof captionRunOptions> {
  /** Files, folders, patterns, or "-" for paths on standard input. */
  readonly images: readonly string[];
  readonly open: CaptionerOptions;
  readonly explain?: CaptionOptions;
  readonly outputs?: CaptionOutputOptions;
  /** Stops the run: the picture in work is finished, the rest is left for a later run with `resume`. */
  readonly signal?: AbortSignal;
  readonly stdin?: NonNullable<SourceOptions['stdin']>;
}

export type AnyCaptionLine = CaptionLine | FailedLine;

export interface CaptionListener {
  /** The inputs are known. */
  listed?(images: number, leftOut: LeftOut): void;
  /** The networks are open and the folder too. */
  started?(start: {
    readonly images: number;
    readonly before: number;
    readonly failedBefore: number;
    readonly layers: readonly string[];
    readonly layerIsAutomatic: boolean;
    readonly notes: readonly string[];
    readonly backend: string;
  }): void;
  /** One picture's lines, in the order of the inputs. */
  picture?(lines: readonly AnyCaptionLine[]): void;
}

/**
 * Explains captions of pictures into a folder: `results.jsonl`, one line for each picture and method; overlays, strips and maps;
 * `index.html`, which shows the map of the word that is pointed at; `run.json`. A picture that fails becomes a line, and the others go
 * on.
 *
 * @throws GradcamppError where the run cannot start; what ends it later is the summary's `error`
 */
export async function captionFolder(given: CaptionRun, listener: CaptionListener = {}): Promise<Summary> {
  return run(given, listener).catch((error: unknown) => {
    throw asOurs(error);
  });
}

async function run(given: CaptionRun, listener: CaptionListener): Promise<Summary> {
  const since = performance.now();
  const asked = planOf(given);
  const { backend, note } = await chooseBackend(asked.open);
  const plan = { ...asked, open: { ...asked.open, backend } };
  const { encoder, decoder } = plan.open;
  const inputs = await Inputs.list(plan.images, [], { stdin: plan.stdin });
  let networks: CaptionNetworks | undefined;
  let folder: ResultsFolder | undefined;
  try {
    networks = await CaptionNetworks.of(await readParts(plan.open));
    networks.check(plan.explain);
    const { explainer, layerIsAutomatic } = networks.first;
    await inputs.settle(false);
    const images = inputs.list.length;
    listener.listed?.(images, inputs.leftOut);
    const found = await ResultsFolder.open(plan.out, await recordOf(plan, networks, inputs), inputs, plan);
    if (found instanceof ResultsFolder) folder = found;
    const before = folder?.count() ?? { done: images, failed: (found as RunRecord).failed ?? 0 };
    const { layers } = explainer;
    if (folder)
      listener.started?.({
        images,
        before: before.done,
        failedBefore: before.failed,
        layers,
        layerIsAutomatic,
        notes: [...networks.notes, ...folder.notes, ...(note === undefined ? [] : [note])],
        backend,
      });
    let error: GradcamppError | undefined;
    try {
      if (folder) await explainInto(folder, { plan, inputs, networks, listener });
      const isComplete = folder?.count().done === images;
      const heading = {
        model: [encoder, decoder].map((source) => basename(String(source))).join(', '),
        layers,
      };
      if (folder && isComplete)
        await folder.finish((others) =>
          writeCaptionPages({
            out: plan.out,
            results: join(plan.out, resultsFile),
            images,
            others,
            ...heading,
          }),
        );
    } catch (cause) {
      if (!(cause instanceof GradcamppError)) throw cause;
      error = cause;
    }
    const { done, failed } = folder?.count() ?? before;
    return {
      out: plan.out,
      images,
      explained: done - failed,
      failed,
      before: before.done,
      stopped: done < images,
      error,
      leftOut: inputs.leftOut,
      seconds: (performance.now() - since) / 1000,
      workers: folder ? 1 : 0,
      peakMemory: process.resourceUsage().maxRSS * 1024,
    };
  } finally {
    await folder?.close();
    await networks?.close();
    await inputs.close();
  }
}

type Plan = ReturnType<typeof planOf>;

/** Every option, checked. */
function planOf({ images, open, explain = {}, outputs = {}, signal, stdin, ...rest }: CaptionRun) {
  const own = readOptions('captionFolder', captionRunOptions, rest);
  if (own.resume && own.overwrite)
    throw new GradcamppError(
      'INVALID_OPTION',
      '"resume" goes on with a run and "overwrite" replaces it: give one of the two.',
    );
  for (const [name, flag] of [
    ['encoder', '--encoder <file>'],
    ['decoder', '--decoder <file>'],
  ] as const)
    if (typeof open[name] !== 'string') throw missing(name, 'the path of an ONNX file', flag);
  settingsOf(optionsOf(explain).explain);
  return {
    ...own,
    images,
    open,
    explain,
    outputs: readOptions('the outputs', captionOutputOptions, outputs),
    signal,
    stdin,
  };
}

/** What the run is: every option that changes a result, as it was understood. */
async function recordOf(plan: Plan, { parts, first }: CaptionNetworks, inputs: Inputs): Promise<RunRecord> {
  const {
    encoder,
    decoder,
    tokenizer,
    executionProviders = ['cpu'],
    threads,
    backend,
    state,
    output,
    tokens,
    inputs: fed,
  } = plan.open;
  const paths = [encoder, decoder, ...(typeof tokenizer === 'string' ? [tokenizer] : [])] as string[];
  const models = await Promise.all(paths.map(async (path) => ({ path, sha256: await hashFile(path) })));
  const { own, explain } = optionsOf(plan.explain);
  return makeRecord({
    command: 'caption',
    models,
    layers: first.explainer.layers,
    backend,
    settings: {
      executionProviders,
      threads,
      preprocessing: first.explainer.preprocessing,
      state,
      output,
      tokens,
      inputs: fed,
      vocabulary: typeof tokenizer === 'string' ? undefined : tokenizer,
      limits: parts.limits,
      caption: own,
      explain: settingsOf(explain),
      outputs: plan.outputs,
    },
    inputs: inputs.record,
  });
}

async function explainInto(
  folder: ResultsFolder,
  {
    plan,
    inputs,
    networks,
    listener,
  }: {
    readonly plan: Plan;
    readonly inputs: Inputs;
    readonly networks: CaptionNetworks;
    readonly listener: CaptionListener;
  },
): Promise<void> {
  const write = folderWriter(plan.out, 0);
  for (const input of inputs.list) {
    if (plan.signal?.aborted) return;
    if (folder.isDone(input.index)) continue;
    const done = await captionsOf(input, { plan, networks, write });
    await folder.add(done);
    listener.picture?.(done.lines);
  }
}

/** The captions of one file, which may hold several tensors; where it fails, why. */
async function captionsOf(
  { index, path, name, problem }: Input,
  {
    plan,
    networks,
    write,
  }: {
    readonly plan: Plan;
    readonly networks: CaptionNetworks;
    readonly write: ReturnType<typeof folderWriter>;
  },
): Promise<Done<AnyCaptionLine>> {
  const lines: AnyCaptionLine[] = [];
  const files: Done['files'][number][] = [];
  const failed = (error: unknown) => {
    const own = asOurs(error);
    if (!(own instanceof GradcamppError) || isFatal(own)) throw own;
    lines.push(failedLine(index, path, own));
  };
  try {
    if (problem) throw new GradcamppError('INVALID_IMAGE', problem);
    const pictures = await networks.prepare(path);
    for (const [n, picture] of pictures.entries()) {
      const explanation = await networks.explainPrepared(picture, plan.explain);
      const stem = pictures.length > 1 ? `${name}#${n}` : name;
      const settings: CaptionOutputSettings = plan.outputs;
      const { preprocessing } = networks.first.explainer;
      const names = new ResultNames(); // two variants of a method are called alike
      const { methods } = explanation.caption;
      for (const [m, { method }] of methods.entries()) {
        const own = names.reserve(methods.length > 1 ? `${stem}.${method}` : stem);
        const made = await captionOutput({ index, explanation, m }, { stem: own, settings, preprocessing });
        for (const file of made.files) {
          await write(file.name, file.parts);
          files.push(entryOf(file));
        }
        lines.push(made.line);
      }
    }
  } catch (error) {
    failed(error);
  }
  return { index, lines, files };
}
