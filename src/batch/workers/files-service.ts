import { isMainThread } from 'node:worker_threads';
import { crc32 } from 'node:zlib';
import { GradcamppError } from '../../errors.js';
import type { NetworkExplainer } from '../../explain/network-explainer.js';
import type { Explanation, TargetExplanation } from '../../explain/explanation.js';
import { type ExplainOptions, type Settings, settingsOf } from '../../explain/explain-options.js';
import { loadSharp } from '../../image/sharp.js';
import { release } from '../../memory.js';
import { readOptions } from '../../options.js';
import { explainClips, explainEach, type Item, type Outcome } from '../each.js';
import { HeldFrames } from '../held-frames.js';
import type { Done, Picture } from '../picture.js';
import { GrowingFiles } from '../results/growing-file.js';
import { folderWriter, isFatal } from '../results/write-file.js';
import { TimelineFiles } from '../timeline-files.js';
import { ResultNames, targetSuffix } from '../results/result-names.js';
import { type Opening, openForBatch } from './open-explainer.js';
import { outputOptions, type OutputOptions, type OutputSettings, type SaveKind } from '../output-options.js';
import { encodeOutput, endingOf, type Parts, showsPicture, writerFor } from '../output-files.js';
import { type AnyLine, failedLine, resultLine } from '../results/result-line.js';
import type { Service } from './messages.js';
import { OpenArchives } from './open-archives.js';
import { ownBuffers } from '../../transfer.js';
import { type Stage, type StageTime, StageWatch } from '../../watch.js';

export interface FilesInit extends Opening {
  readonly kind: 'files';
  /** The worker's number; no two of a run share one. */
  readonly id?: number;
  readonly explain: ExplainOptions;
  readonly outputs: OutputOptions;
  /** The folder that files are written to; without it their bytes are handed over. */
  readonly out?: string;
}

/** Milliseconds of pictures that were explained alone, so that the stages do not overlap. */
export type Sample = Record<Stage | 'pictures', number>;

export interface FilesResult {
  readonly done: readonly Done[];
  /** When what was done for them. */
  readonly times: readonly StageTime[];
  readonly sample?: Sample;
  /** Largest resident set so far of a worker that is a process, in bytes. */
  readonly peakMemory: number;
}

/** Every so many tasks one is explained while the worker does nothing else, to see where time goes. */
const sampleEvery = 32;
const firstSample = 4;

/** Explains pictures and writes their files. */
export async function openFiles(init: FilesInit): Promise<Service> {
  const worker = new FilesWorker(init);
  const loading = loadSharp().catch(() => undefined); // what is wrong with it is said with the first picture
  const { explainer, opened } = await openForBatch(init, worker.settings);
  if (worker.joinsClips && !takesManyClips(explainer)) {
    await explainer.close();
    throw new GradcamppError(
      'INVALID_OPTION',
      '"timeline" joins the maps of a video\'s clips, and here a picture or a video has one: give "frames" with stride (--frames stride=16), or leave it out.',
    );
  }
  await loading; // so that the first picture takes no longer than others
  let count = 0;
  let alone: Promise<unknown> = Promise.resolve();
  let running: Promise<unknown>[] = []; // not a Set, whose outgrown tables keep each other, and all in them, alive
  return {
    ready: opened,
    run: async (pictures: readonly Picture[]) => {
      const isSample = count++ % sampleEvery === firstSample;
      const before = isSample ? Promise.allSettled([alone, ...running]) : alone;
      const task = before.then(() => worker.run(explainer, pictures, isSample));
      if (isSample) alone = task.catch(() => undefined);
      running.push(task);
      const forget = () => {
        running = running.filter((other) => other !== task);
      };
      task.then(forget, forget);
      const result = await task;
      return { result, transfer: [...ownBuffers(result.done.map(({ bytes }) => bytes))] };
    },
    close: async () => {
      await worker.close();
      await explainer.close();
    },
  };
}

function takesManyClips({ clips }: NetworkExplainer): boolean {
  const { stride, clips: count = 1 } = clips?.sampling ?? {};
  return stride !== undefined || count > 1;
}

class FilesWorker {
  readonly settings: Settings;
  readonly #outputs: OutputSettings;
  readonly #write: ReturnType<typeof folderWriter> | undefined;
  readonly #growing: GrowingFiles;
  readonly #archives = new OpenArchives();

  constructor(init: FilesInit) {
    this.settings = settingsOf(init.explain);
    this.#outputs = readOptions('the outputs', outputOptions, init.outputs);
    this.#write = init.out === undefined ? undefined : folderWriter(init.out, init.id ?? 0);
    this.#growing = new GrowingFiles(init.out, init.id ?? 0);
  }

  get joinsClips(): boolean {
    return this.#outputs.timeline;
  }

  run(explainer: NetworkExplainer, pictures: readonly Picture[], isSample: boolean): Promise<FilesResult> {
    return this.#archives.during(pictures, () => this.#run(explainer, pictures, isSample));
  }

  async #run(
    explainer: NetworkExplainer,
    pictures: readonly Picture[],
    isSample: boolean,
  ): Promise<FilesResult> {
    const watch = new StageWatch();
    const items = await watch.during('decode', () =>
      Promise.all(pictures.map((picture) => this.#itemOf(picture))),
    );
    const done: Done[] = [];
    const finish = (report: Report, outcome: Outcome, name: string) =>
      watch.during('encode', () => this.#finish(explainer, report, outcome, name));
    await explainer.use(async (calls) => {
      const clips = items.map(({ input, path, problem }, i) => {
        const frames = (pictures[i].save ?? this.#outputs.save).some(showsPicture);
        return problem ? undefined : calls.clipsOf(input, { name: path, frames });
      });
      const others = items.filter((_, i) => !clips[i]);
      const outcomes = others.length > 0 ? await explainEach(calls, others, this.settings, watch) : [];
      for (const [i, picture] of pictures.entries()) {
        const { name, path, targets } = picture;
        const timeline =
          clips[i] && this.#outputs.timeline ? new TimelineFiles(name, this.#growing) : undefined;
        const report: Report = { picture, lines: [], files: [], bytes: [], timeline };
        const own = clips[i]
          ? explainClips(calls, clips[i], { path, targets }, this.settings, watch)
          : (outcomes.shift() as Outcome[]);
        const isMany = Array.isArray(own) && own.length > 1;
        const held = new HeldFrames();
        let n = 0;
        for await (const outcome of own) {
          const number = isMany
            ? n++
            : 'explanation' in outcome
              ? outcome.explanation.image.clip?.number
              : undefined;
          await finish(report, outcome, number === undefined ? name : `${name}#${number}`);
          if ('explanation' in outcome) held.add(outcome.explanation);
        }
        held.release();
        const grown = (await report.timeline?.finish()) ?? [];
        for (const { name: file, size, checksum } of grown) report.files.push([file, size, checksum]);
        if (!this.#write) report.bytes.push(...grown.map((file) => file.bytes as Uint8Array));
        const { lines, files, bytes } = report;
        done.push({ index: picture.index, lines, files, ...(this.#write ? {} : { bytes }) });
      }
    });
    const isWhole = done.every(({ lines }) => lines.every((line) => !('error' in line)));
    const sample = isSample && isWhole ? { ...watch.sums, pictures: pictures.length } : undefined;
    // Threads are part of the process that asks, which knows its own.
    return {
      done,
      times: watch.times,
      sample,
      peakMemory: isMainThread ? process.resourceUsage().maxRSS * 1024 : 0,
    };
  }

  async close(): Promise<void> {
    await this.#growing.close();
  }

  async #itemOf({ path, part, frames, problem, bytes, targets }: Picture): Promise<Item> {
    if (problem) return { input: path, path, problem: new GradcamppError('INVALID_IMAGE', problem) };
    if (bytes) return { input: bytes, path, targets };
    if (frames) {
      const own = frames.map((frame) =>
        typeof frame === 'string' ? frame : { name: frame.name, bytes: () => this.#archives.read(frame) },
      );
      return { input: { frames: own }, path, targets };
    }
    if (!part) return { input: path, targets };
    return { input: await this.#archives.read(part), path, targets };
  }

  /** Draws and writes what was explained of one picture, or of one clip of a video, and adds it to the report. */
  async #finish(explainer: NetworkExplainer, report: Report, outcome: Outcome, name: string): Promise<void> {
    const { index, path } = report.picture;
    if ('error' in outcome) {
      report.lines.push(failedLine(index, outcome.path ?? path, outcome.error));
      return;
    }
    const { explanation } = outcome;
    const encoded: Encoded[][] = [];
    try {
      const names = new ResultNames(); // two variants of a method, or two combinations, may be called alike
      for (const target of explanation.targets) {
        const stem = names.reserve(`${name}${targetSuffix(target, this.settings)}`);
        encoded.push(await this.#encode(explainer, explanation, target, stem, report.picture.save));
      }
      const written = encoded.flat();
      if (this.#write) for (const { file, parts } of written) await this.#write(file, parts);
      const timelines = (await report.timeline?.add(explanation)) ?? [];
      explanation.targets.forEach((target, i) => {
        const files = Object.fromEntries(encoded[i].map(({ kind, file }) => [kind, file]));
        const timeline = timelines[i] === undefined ? {} : { timeline: timelines[i] };
        report.lines.push(resultLine(index, explanation, target, { ...files, ...timeline }));
      });
      for (const { file, parts } of written) report.files.push([file, sizeOf(parts), checksumOf(parts)]);
      if (!this.#write) report.bytes.push(...written.map(({ parts }) => Buffer.concat(parts)));
    } catch (error) {
      if (!(error instanceof GradcamppError) || isFatal(error)) throw error;
      report.lines.push(failedLine(index, explanation.image.path ?? path, error));
    }
    release(arraysOf(explanation));
    release(encoded.flat().flatMap(({ parts }) => parts));
  }

  async #encode(
    { preprocessing, clips }: NetworkExplainer,
    explanation: Explanation,
    target: TargetExplanation,
    stem: string,
    save = this.#outputs.save,
  ): Promise<Encoded[]> {
    const settings = { ...this.#outputs, save };
    const writer = await writerFor(target, settings);
    const drawing = { explanation, target, settings, preprocessing: preprocessing ?? clips?.frame, writer };
    const encoded: Encoded[] = [];
    for (const kind of settings.save)
      encoded.push({
        kind,
        file: `${stem}${endingOf(kind, settings, writer)}`,
        parts: await encodeOutput(kind, drawing),
      });
    return encoded;
  }
}

/** The large ones that are an explanation's own, once it is done with. Clips share their frames. */
function arraysOf({ targets, picture }: Explanation): unknown[] {
  return [
    picture?.data,
    ...targets.flatMap(({ map, raw, attribution }) => [map.data, raw?.data, attribution?.data]),
  ];
}

/** What is done of a picture. */
interface Report {
  readonly picture: Picture;
  readonly lines: AnyLine[];
  readonly files: Done['files'][number][];
  /** Of each file, where they are handed over. */
  readonly bytes: Uint8Array[];
  /** What its clips are joined in, where that is asked for. */
  readonly timeline: TimelineFiles | undefined;
}

interface Encoded {
  readonly kind: SaveKind;
  readonly file: string;
  readonly parts: Parts;
}

function sizeOf(parts: Parts): number {
  return parts.reduce((sum, { length }) => sum + length, 0);
}

function checksumOf(parts: Parts): number {
  return parts.reduce((checksum, part) => crc32(part, checksum), 0);
}
