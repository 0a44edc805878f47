import { availableCores } from '../batch/workers/cores.js';
import type { OutputOptions, SaveKind } from '../batch/output-options.js';
import { outputOptions } from '../batch/output-options.js';
import type { Done, Picture } from '../batch/picture.js';
import type { AnyLine, ResultLine } from '../batch/results/result-line.js';
import { type WorkforceOptions, workforceSettingsOf } from '../batch/run-options.js';
import { type FilesInit, type FilesResult, openFiles } from '../batch/workers/files-service.js';
import type { Opened } from '../batch/workers/open-explainer.js';
import { TaskError } from '../batch/workers/task-error.js';
import { defaultBatch, isCpu, startWorkforce, type Workforce } from '../batch/workers/workforce.js';
import { invalid, missing } from '../check.js';
import { asOurs, GradcamppError } from '../errors.js';
import {
  checkExplainerOptions,
  type ExplainerOptions,
  type ExplainOptions,
  settingsOf,
} from '../explain/explain-options.js';
import { type NamedTime, type Observed, type Observer, observer } from '../observe.js';
import { readOptions } from '../options.js';
import type { Target } from '../targets/index.js';
import { clock } from '../watch.js';
import { queueOptions, type QueueOptions } from './serve-options.js';

/** What a service explains, and how; the options are those of `explainFolder`, in the same groups. */
export interface ServiceOptions extends QueueOptions {
  /** The path of an ONNX file. */
  readonly model: string;
  readonly open?: ExplainerOptions;
  readonly explain?: ExplainOptions;
  /** How maps are drawn; which kinds, every request says. */
  readonly outputs?: Omit<OutputOptions, 'save'>;
  readonly workforce?: WorkforceOptions;
}

/** What is asked of one picture. */
export interface ServiceRequest {
  /** Default: those of the service. They may name files, so do not take them from strangers as they come. */
  readonly targets?: Target | readonly Target[];
  /** What is drawn. Default nothing: the numbers alone. */
  readonly save?: readonly SaveKind[];
  /** What the picture is called in messages. */
  readonly name?: string;
  /** Takes the picture out of the queue, where its explanation is not begun; rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** A map of a picture: a line as of results.jsonl, and what was drawn. */
export interface ServiceResult extends Omit<ResultLine, 'index' | 'files'> {
  readonly files: { readonly [K in SaveKind]?: { readonly ending: string; readonly bytes: Uint8Array } };
}

type Team = Workforce<readonly Picture[], FilesResult, Opened>;

interface Waiting {
  readonly picture: Picture;
  readonly since: number;
  readonly seen: Observed;
  readonly resolve: (results: ServiceResult[]) => void;
  readonly reject: (error: Error) => void;
}

/** More pictures than the queue holds. */
export class Busy extends GradcamppError {
  /** Seconds after which there will be room, as far as can be told. */
  readonly retryAfter: number;

  constructor(waiting: number, retryAfter: number) {
    super('RUNTIME', `${waiting} pictures wait already; try again in ${retryAfter} s.`);
    this.retryAfter = retryAfter;
  }
}

/**
 * Explains pictures as they come, one or many at a time, in workers that stay: for servers. Pictures that wait together are
 * explained together where the model's provider gains by it.
 *
 * @example
 * const service = await ExplainService.open({ model: 'model.onnx' });
 * const [result] = await service.explain(bytes, { targets: { top: 1 }, save: ['overlay'] });
 * await service.close();
 */
export class ExplainService {
  /** What the model was opened as. */
  readonly opened: Opened;
  readonly #team: Team;
  readonly #queue: number;
  readonly #batch: number;
  readonly #observer: Observer;
  /** Ends what is told to whoever looks on. */
  readonly #unwatch: readonly (() => void)[];
  #waiting: Waiting[] = [];
  #tasks = 0;
  #pictures = 0;
  #count = 0;
  #closing: Promise<void> | undefined;
  #idle: (() => void) | undefined;
  #failure: GradcamppError | undefined;
  /** Seconds of a picture, smoothed. */
  #seconds = 0.1;

  private constructor(team: Team, opened: Opened, queue: number, batch: number, seen: Observer) {
    this.#team = team;
    this.opened = opened;
    this.#queue = queue;
    this.#batch = batch;
    this.#observer = seen;
    const gauge = (name: string, description: string, read: () => number) =>
      seen.gauge(`gradcampp.service.${name}`, { unit: '{picture}', description }, read);
    this.#unwatch = [
      gauge('waiting', 'Pictures in the queue', () => this.waiting),
      gauge('running', 'Pictures that are being explained', () => this.running),
    ];
  }

  /**
   * Opens the model in every worker, and makes its sessions.
   *
   * @throws GradcamppError where nothing could be explained
   */
  static async open(options: ServiceOptions): Promise<ExplainService> {
    const { model, open = {}, explain = {}, outputs = {}, workforce = {}, ...rest } = options;
    if (typeof model !== 'string') throw missing('model', 'the path of an ONNX file', '--model <file>');
    if ('save' in outputs)
      throw invalid('outputs.save', 'nothing here: every request says what is drawn', outputs.save);
    if (outputs.timeline)
      throw invalid(
        'outputs.timeline',
        'left out: the service answers with what is drawn of each clip',
        true,
      );
    const { queue } = readOptions('the service', queueOptions, rest);
    const checked = checkExplainerOptions(open);
    const batchSize = explain.batchSize ?? defaultBatch(checked);
    const init: FilesInit = {
      kind: 'files',
      model,
      open: checked,
      explain: { ...explain, batchSize },
      outputs: { ...outputs, save: [] },
    };
    settingsOf(init.explain);
    readOptions('the outputs', outputOptions, init.outputs);
    const script = new URL('../batch/worker.js', import.meta.url);
    const workers = workforceSettingsOf(workforce);
    const team: Team = startWorkforce(
      { script, init, openHere: () => openFiles(init) },
      { ...workers, workers: workers.workers ?? (isCpu(checked) ? availableCores() : 1) },
    );
    try {
      const opened = await team.ready;
      const batch = explain.batchSize ?? opened.fixedBatch ?? batchSize;
      return new ExplainService(team, opened, queue, batch, await observer());
    } catch (error) {
      await team.close();
      throw asOurs(error);
    }
  }

  /** Pictures that are in the queue, not begun. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Pictures that are being explained. */
  get running(): number {
    return this.#pictures;
  }

  /** Pictures that can be here at once. */
  get capacity(): number {
    return this.#queue + this.#team.depth * this.#batch;
  }

  /** Why nothing is explained any more; undefined while all is well. */
  get failure(): GradcamppError | undefined {
    return this.#failure;
  }

  /** Seconds after which there will be room, as far as can be told. */
  get retryAfter(): number {
    const ahead = (this.waiting + this.running) / Math.max(1, this.#team.depth);
    return Math.min(600, Math.max(1, Math.ceil(ahead * this.#seconds)));
  }

  /**
   * Explains one picture.
   *
   * @param bytes a picture file; the network's input as .npy; or, of networks that take clips, a video or an animation
   * @returns a result for each target and method, and for each tensor of a .npy or clip of a video
   * @throws GradcamppError INVALID_IMAGE, INVALID_TARGET; `Busy` where the queue is full; CLOSED; RUNTIME where the picture
   *   took too long or ended its worker; the reason of `signal`
   */
  async explain(bytes: Uint8Array, request: ServiceRequest = {}): Promise<ServiceResult[]> {
    const { targets, save = [], name = 'The picture', signal } = request;
    if (!(bytes instanceof Uint8Array)) throw invalid('bytes', 'the bytes of a picture', bytes);
    readOptions('the request', { save: outputOptions.save }, { save });
    signal?.throwIfAborted();
    if (this.#closing) throw new GradcamppError('CLOSED', 'The service was closed; open another.');
    if (this.waiting >= this.#queue && !this.#hasRoom) throw new Busy(this.waiting, this.retryAfter);
    const index = this.#count++;
    const picture: Picture = { index, path: name, name: 'picture', bytes, targets, save };
    return this.#observer.during('explain picture', { 'gradcampp.bytes': bytes.length }, (seen) =>
      this.#enqueue(picture, seen, signal),
    );
  }

  #enqueue(picture: Picture, seen: Observed, signal: AbortSignal | undefined): Promise<ServiceResult[]> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        if (!this.#waiting.includes(waiting)) return; // it is being explained
        this.#waiting = this.#waiting.filter((other) => other !== waiting);
        reject(signal?.reason);
        this.#settle();
      };
      const waiting: Waiting = {
        picture,
        since: clock(),
        seen,
        resolve: (results) => {
          signal?.removeEventListener('abort', leave);
          resolve(results);
        },
        reject: (error) => {
          signal?.removeEventListener('abort', leave);
          reject(error);
        },
      };
      signal?.addEventListener('abort', leave, { once: true });
      this.#waiting.push(waiting);
      this.#begin();
    });
  }

  /** Takes no more pictures, explains those that it has, and ends the workers. Can be called again. */
  close(): Promise<void> {
    this.#closing ??= new Promise<void>((resolve) => {
      this.#idle = resolve;
      this.#settle();
    }).then(() => {
      for (const end of this.#unwatch) end();
      return this.#team.close();
    });
    return this.#closing;
  }

  get #hasRoom(): boolean {
    return this.#tasks < this.#team.depth;
  }

  #begin(): void {
    while (this.#hasRoom && this.#waiting.length > 0) void this.#run(this.#waiting.splice(0, this.#batch));
  }

  /** When nothing is left. */
  #settle(): void {
    if (this.#tasks === 0 && this.#waiting.length === 0) this.#idle?.();
  }

  async #run(group: readonly Waiting[]): Promise<void> {
    this.#tasks++;
    this.#pictures += group.length;
    const [begun, since] = [clock(), performance.now()];
    try {
      const pictures = group.map(({ picture }) => picture);
      const { done, times } = await this.#team.run(pictures, { share: pictures.length });
      const failed = done.filter(({ lines }) => lines.some((line) => 'error' in line)).length;
      this.#observer.count(times, { explained: done.length - failed, failed });
      for (const { seen, since: start } of group) {
        const wait: NamedTime = { stage: 'wait', start, end: begun };
        seen.add([wait, ...times]);
      }
      group.forEach(({ resolve, reject, picture }, i) => answer(done[i], picture, resolve, reject));
      this.#seconds += 0.1 * ((performance.now() - since) / 1000 / group.length - this.#seconds);
    } catch (error) {
      // Of a group that ended its worker, each is tried alone: one is to blame.
      if (error instanceof TaskError && error.isRepeatable && group.length > 1)
        for (const one of group) await this.#run([one]);
      else this.#reject(group, error);
    } finally {
      this.#tasks--;
      this.#pictures -= group.length;
      this.#begin();
      this.#settle();
    }
  }

  #reject(group: readonly Waiting[], cause: unknown): void {
    const error = asOurs(cause) as GradcamppError;
    const isTask = error instanceof TaskError;
    if (!isTask) this.#failure = error;
    this.#observer.count([], { explained: 0, failed: group.length });
    for (const { reject, picture } of group)
      reject(isTask ? new GradcamppError(error.code, `${picture.path} ${error.reason}.`) : error);
  }
}

function answer(
  { lines, files, bytes = [] }: Done,
  { save = [] }: Picture,
  resolve: Waiting['resolve'],
  reject: Waiting['reject'],
): void {
  const failed = lines.find((line) => 'error' in line);
  if (failed) return reject(new GradcamppError(failed.error.code, failed.error.message));
  const content = new Map(files.map(([name], i) => [name, bytes[i]]));
  resolve(lines.map((line) => resultOf(line as ResultLine, save, content)));
}

function resultOf(
  { index: _, files, ...line }: Extract<AnyLine, ResultLine>,
  save: readonly SaveKind[],
  content: ReadonlyMap<string, Uint8Array>,
): ServiceResult {
  const drawn = save.flatMap((kind) => {
    const name = files[kind];
    if (name === undefined) return [];
    return [[kind, { ending: name.slice(name.lastIndexOf('.')), bytes: content.get(name) as Uint8Array }]];
  });
  return { ...line, files: Object.fromEntries(drawn) };
}
