import { asOurs, GradcamppError } from '../errors.js';
import type { Layer } from '../graph/layers.js';
import type { Scores } from '../graph/scores.js';
import type { ClipPreprocessing } from '../clip/clip.js';
import type { ClipCrops, ClipOptions } from '../clip/read-clips.js';
import type { Preprocessing } from '../image/preprocess.js';
import type { ClassName } from '../image/sidecar.js';
import type { OpenedBackend } from '../map/open-backend.js';
import { className } from '../targets/class.js';
import { noScores, outputOf, type Target, targetLists } from '../targets/index.js';
import { best, probabilitiesOf } from '../targets/common/probabilities.js';
import { isOfScores, type Row } from '../targets/target.js';
import type { Tensor } from '../tensor.js';
import type { Watch } from '../watch.js';
import type { Context } from './explain-batch.js';
import type { OnStep } from './progress.js';
import type { Explanation } from './explanation.js';
import type { Feeds } from './feeds.js';
import type { HeldPicture } from './held-picture.js';
import { type ImageInput, isTensorInput, type PreparedImage, prepareClips, prepareImages } from './input.js';
import type { ModelSource } from './model-files.js';
import type { MadeNetwork, Network } from './network.js';
import type { Parts } from './open-parts.js';
import type { ReadyTargets } from './ready-targets.js';
import { meanRow, mergedCrops, viewsOf } from './crops.js';
import { predictRow } from './predict-row.js';
import {
  checkExplainerOptions,
  type ExplainerOptions,
  type ExplainOptions,
  type Settings,
  settingsOf,
} from './explain-options.js';

/** What a plain forward pass says of one picture. */
export interface Prediction {
  readonly scores: Float32Array;
  readonly probabilities?: Float32Array;
  /** The five best classes, best first; none where the scores are no scores of classes. */
  readonly top: readonly { class: number; name: string; score: number; probability?: number }[];
}

/** What explaining one picture after another takes of an explainer. */
export type ExplainerCalls = Pick<NetworkExplainer, 'prepare' | 'clipsOf' | 'explainPrepared' | 'targetsOf'>;

/**
 * A network opened for explaining, in one thread. The whole story: file → graph → gradient → run → map. Programs get the
 * `Explainer` of batch/, which takes streams too.
 */
export class NetworkExplainer {
  /** The layers that are explained. */
  readonly layers: readonly string[];
  /** The same, with dims and how tokens are laid out. */
  readonly explained: readonly Layer[];
  /** Whether the layer was chosen automatically. */
  readonly layerIsAutomatic: boolean;
  /** Why there is no layer, for methods that want one. */
  readonly layerProblem: GradcamppError | undefined;
  /** How pictures become the input; undefined for models that take tensors only. */
  readonly preprocessing: Preprocessing | undefined;
  /** How clips become the input; undefined for models that take none. */
  readonly clips: ClipPreprocessing | undefined;
  readonly classes: readonly ClassName[] | undefined;
  /** What the user should know: preprocessing that was assumed, a layer before the activation. */
  readonly notes: readonly string[];
  /** What was opened, and how; workers open the same. */
  readonly source: ModelSource;
  readonly options: ExplainerOptions;
  /** The opened model, for tools that look inside. */
  readonly network: Network;
  readonly scores: Scores;
  /** What is explained where no target is named; undefined: one must be. */
  readonly defaultTarget: Target | undefined;
  readonly #backend: OpenedBackend;
  readonly #defaultNote: string | undefined;
  /** Values of the inputs beside the picture. */
  readonly feeds: Feeds;
  readonly #channelAxis: number;
  /** Targets made ready, for tools that look inside. */
  readonly targets: ReadyTargets;
  /** Calls that are not done, and what is told when none is left. */
  #calls = 0;
  #onIdle = () => {};
  #closing: Promise<void> | undefined;
  readonly #inner: ExplainerCalls = {
    prepare: (image, name) => this.#prepare(image, name),
    clipsOf: (image, options) => this.clipsOf(image, options),
    explainPrepared: (prepared, settings, watch, onStep) => this.#explain(prepared, settings, watch, onStep),
    targetsOf: (settings) => this.targetsOf(settings),
  };

  protected constructor(parts: Parts) {
    this.source = parts.source;
    this.options = parts.options;
    this.network = parts.network;
    this.scores = parts.scores;
    this.layers = parts.layers.map((layer) => layer.name);
    this.explained = parts.layers;
    this.layerIsAutomatic = parts.layerIsAutomatic;
    this.preprocessing = parts.preprocessing;
    this.clips = parts.clips;
    this.classes = parts.classes;
    this.notes = parts.notes;
    this.defaultTarget = parts.defaultTarget;
    this.#defaultNote = parts.defaultNote;
    this.#backend = parts.backend;
    this.layerProblem = parts.layerProblem;
    this.feeds = parts.feeds;
    this.targets = parts.targets;
    this.#channelAxis = parts.channelAxis;
  }

  /**
   * Reads a model and chooses its layer; nothing is run yet.
   *
   * @param model a path, file URL, or the bytes of an ONNX file
   * @throws GradcamppError INVALID_MODEL, UNSUPPORTED_MODEL, INVALID_LAYER, INVALID_OPTION, UNSUPPORTED_BACKEND
   */
  static async open(model: ModelSource, options: ExplainerOptions = {}): Promise<NetworkExplainer> {
    try {
      const checked = checkExplainerOptions(options);
      const { openParts } = await import('./open-parts.js'); // ONNX and gradients; importing the package stays cheap
      return new this(await openParts(model, checked));
    } catch (error) {
      throw asOurs(error);
    }
  }

  /**
   * Opens a network that was put together from others.
   *
   * @param model the one that takes the picture, whose sidecar counts
   */
  static async openMade(
    model: ModelSource,
    options: ExplainerOptions,
    made: MadeNetwork,
  ): Promise<NetworkExplainer> {
    const { openParts } = await import('./open-parts.js');
    return new NetworkExplainer(await openParts(model, options, made));
  }

  /**
   * Does what needs the network: `close` waits for it. What is called once the explainer is closed is refused.
   *
   * @param work given the calls that it may make meanwhile, even when the explainer has been closed
   * @throws GradcamppError CLOSED
   */
  async use<T>(work: (calls: ExplainerCalls) => Promise<T>): Promise<T> {
    if (this.#closing)
      throw new GradcamppError('CLOSED', 'The explainer is closed: open another with Explainer.open.');
    this.#calls++;
    try {
      return await work(this.#inner);
    } catch (error) {
      throw asOurs(error);
    } finally {
      if (--this.#calls === 0) this.#onIdle();
    }
  }

  /**
   * Explains pictures: strict, the first picture that cannot be explained fails the call. `explainAll` goes on
   * instead.
   *
   * @throws GradcamppError INVALID_IMAGE, INVALID_TARGET, INVALID_OPTION, RUNTIME, CLOSED
   */
  async explain(
    images: ImageInput | readonly ImageInput[],
    options: ExplainOptions = {},
  ): Promise<Explanation[]> {
    return this.use(async () => {
      const settings = settingsOf(options);
      return this.#explain(await this.#prepareAll(images), settings);
    });
  }

  /**
   * Explains pictures that are prepared already, in passes of `batchSize`.
   *
   * @param watch told which work is which stage
   * @param onStep told how far methods are that run the network many times, batch by batch
   * @param own other values of the inputs beside the picture, and values of the network that are wanted beside the maps
   */
  async explainPrepared(
    prepared: readonly PreparedImage[],
    settings: Settings,
    watch?: Watch,
    onStep?: OnStep,
    own: Partial<Pick<Context, 'feeds' | 'reads'>> = {},
  ): Promise<Explanation[]> {
    return this.use(() => this.#explain(prepared, settings, watch, onStep, own));
  }

  async #explain(
    prepared: readonly PreparedImage[],
    settings: Settings,
    watch?: Watch,
    onStep?: OnStep,
    own: Partial<Pick<Context, 'feeds' | 'reads'>> = {},
  ): Promise<Explanation[]> {
    const { targetsPerImage } = settings;
    const same = targetsPerImage ? [] : this.targetsOf(settings);
    const targets = await Promise.all(
      targetLists(same, targetsPerImage, prepared.length).map((list) => this.targets.ready(list)),
    );
    const { explainBatch } = await import('./explain-batch.js'); // with gradients; importing the package stays cheap
    const explanations: Explanation[] = [];
    const step = this.network.fixedBatch ?? settings.batchSize;
    for (let start = 0; start < prepared.length; ) {
      const { crops } = prepared[start];
      if (crops) {
        const place = { at: start, total: prepared.length };
        const clip = { ...prepared[start], crops };
        explanations.push(
          await this.#explainCrops(clip, targets[start++], place, settings, { watch, onStep, own }),
        );
        continue;
      }
      const end = endOfBatch(prepared, start, step);
      const pictures = {
        images: prepared.slice(start, end),
        targets: targets.slice(start, end),
        start,
        total: prepared.length,
      };
      const context = { ...this.#contextFor(settings), ...own };
      explanations.push(...(await explainBatch(context, pictures, settings, { watch, onStep })));
      start = end;
    }
    return explanations;
  }

  /** Each crop of a clip by itself, asked what the mean of their scores says. */
  async #explainCrops(
    image: PreparedImage & { readonly crops: ClipCrops },
    targets: readonly Target[],
    { at, total }: { readonly at: number; readonly total: number },
    settings: Settings,
    {
      watch,
      onStep,
      own,
    }: { watch?: Watch; onStep?: OnStep; own: Partial<Pick<Context, 'feeds' | 'reads'>> },
  ): Promise<Explanation> {
    const { explainBatch } = await import('./explain-batch.js');
    const context = { ...this.#context, ...own };
    const feeds: Feeds = { ...context.feeds, of: (_, __, ___, N) => context.feeds.of(at, 1, total, N) };
    const judge = (scores: Scores) => this.#meanOfCrops({ ...context, feeds }, image, scores);
    const views = viewsOf(image, judge);
    const step = this.network.fixedBatch ?? views.length;
    const explanations: Explanation[] = [];
    for (let start = 0; start < views.length; start += step) {
      const images = views.slice(start, start + step);
      const pictures = { images, targets: images.map(() => targets), start: 0, total: images.length };
      explanations.push(
        ...(await explainBatch({ ...context, feeds }, pictures, settings, { watch, onStep })),
      );
    }
    return mergedCrops(explanations, image.crops, settings.threshold);
  }

  async #meanOfCrops(
    context: Pick<Context, 'network' | 'feeds'>,
    image: PreparedImage & { readonly crops: ClipCrops },
    scores: Scores,
    place?: { readonly at: number; readonly total: number },
  ): Promise<Row> {
    const rows: Row[] = [];
    for (const { tensor } of image.crops.views)
      rows.push(await predictRow(context, { ...image, tensor }, scores, place));
    return meanRow(rows);
  }

  /**
   * Explains one picture and leaves all of it on the GPU but its scores, until it is released; undefined where that cannot be.
   *
   * @throws GradcamppError INVALID_IMAGE, INVALID_TARGET, INVALID_OPTION, RUNTIME, CLOSED
   */
  async hold(image: ImageInput, options: ExplainOptions = {}): Promise<HeldPicture | undefined> {
    return this.use(async () => {
      const settings = settingsOf(options);
      const context = this.#contextFor(settings);
      const { staysOnGpu } = await import('./stays-on-gpu.js');
      if (!(await staysOnGpu(context, settings))) return undefined;
      const images = await this.#prepareAll(image);
      if (images.length !== 1) return undefined;
      const [list] = targetLists(
        settings.targetsPerImage ? [] : this.targetsOf(settings),
        settings.targetsPerImage,
        1,
      );
      const targets = [await this.targets.ready(list)];
      const { holdPicture } = await import('./held-picture.js');
      return holdPicture(context, { images, targets, start: 0, total: 1 }, settings);
    });
  }

  /** Scores and probabilities alone, without the cost of a gradient. */
  async predict(images: ImageInput | readonly ImageInput[]): Promise<Prediction[]> {
    return this.use(async () => {
      const prepared = await this.#prepareAll(images);
      const predictions: Prediction[] = [];
      for (const [at, image] of prepared.entries()) {
        const place = { at, total: prepared.length };
        const { crops } = image;
        const row = crops
          ? await this.#meanOfCrops(this.#context, { ...image, crops }, this.scores, place)
          : await predictRow(this.#context, image, this.scores, place);
        predictions.push(this.#prediction(row));
      }
      return predictions;
    });
  }

  /** Scores of a batch of preprocessed pictures: [N, C, H, W] → [N, M]. Other inputs get the same row for all. */
  async scoresOf(images: Tensor<'float32'>): Promise<Float32Array> {
    const [N] = images.dims;
    const feeds = { ...this.feeds.of(0, 1, 1, N), [this.network.image.name]: images };
    return this.use(async () => (await this.network.predict(feeds, this.scores)).data);
  }

  /**
   * Decodes and preprocesses one picture, once for all that is done with it. A .npy file can hold several.
   *
   * @param name what the picture is called, where it is not a path
   */
  async prepare(image: ImageInput, name?: string): Promise<PreparedImage[]> {
    return this.use(() => this.#prepare(image, name));
  }

  /**
   * The clips of a video, decoded and preprocessed one after the other, so that a long one needs no more memory than a short one;
   * undefined where the network takes no clips, or the input is a tensor.
   */
  clipsOf(image: ImageInput, options?: ClipOptions): AsyncGenerator<PreparedImage> | undefined {
    const { maxPixels } = this.options;
    return this.clips && !isTensorInput(image)
      ? prepareClips(image, this.clips, { maxPixels, ...options })
      : undefined;
  }

  async #prepare(image: ImageInput, name?: string): Promise<PreparedImage[]> {
    const clips = this.clipsOf(image, { name });
    if (!clips)
      return prepareImages(image, this.preprocessing, this.network, {
        name,
        maxPixels: this.options.maxPixels,
      });
    const all: PreparedImage[] = [];
    for await (const clip of clips) all.push(clip);
    return all;
  }

  async #prepareAll(images: ImageInput | readonly ImageInput[]): Promise<PreparedImage[]> {
    const list = Array.isArray(images) ? (images as readonly ImageInput[]) : [images as ImageInput];
    return (await Promise.all(list.map((image) => this.#prepare(image)))).flat();
  }

  /**
   * Makes the sessions, which otherwise the first picture waits for; so an operator without a gradient is known now, and a
   * method that does not explain this network.
   *
   * @returns why another method takes the place of the default one, where none was named
   */
  async warmUp(settings = settingsOf({})): Promise<string[]> {
    return this.use(async () => {
      const { openFor } = await import('./explain-batch.js');
      const [list] = targetLists(this.targetsOf(settings), undefined, 1);
      const ready = await this.targets.ready(list);
      const notes: string[] = [];
      for (const output of new Set(ready.map(outputOf))) {
        const scores = this.targets.scoresOf(output);
        const own = ready.filter((target) => outputOf(target) === output);
        const opened = await openFor(this.#contextFor(settings), scores, settings, own);
        notes.push(...opened.settings.variants.flatMap(({ instead }) => instead ?? []));
      }
      return [...new Set(notes)];
    });
  }

  /** The layers that can be explained, best first, as `inspect` lists them. */
  candidates(): Layer[] {
    return this.network.layers(this.scores, this.options.tokens);
  }

  /**
   * Refuses targets that no picture can have, before any is read.
   *
   * @returns what the user should know of those that are asked for
   */
  async checkTargets(settings: Settings): Promise<string[]> {
    return this.use(async () => {
      const [list] = targetLists(this.targetsOf(settings), undefined, 1);
      const notes = await this.targets.check(list);
      return settings.targets === undefined ? [] : notes; // of the default, opening says it
    });
  }

  /** What the user should know of what was opened; how the default target was chosen, only where nothing else is asked for. */
  notesFor({ targets }: Pick<Settings, 'targets'>): string[] {
    return this.notes.filter((note) => targets === undefined || note !== this.#defaultNote);
  }

  /** What is explained where nothing is named: what fits the output. */
  targetsOf({ targets }: Pick<Settings, 'targets'>): Target | readonly Target[] {
    if (targets !== undefined) return targets;
    if (this.defaultTarget !== undefined) return this.defaultTarget;
    throw new GradcamppError('UNSUPPORTED_MODEL', `${noScores(this.targets.facts(this.scores))}.`);
  }

  /**
   * Frees the sessions and the backend, once what was called before is done. What is called afterwards is refused (CLOSED).
   * Can be called again.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (this.#calls > 0)
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    await this.network.close();
    await this.#backend.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  get #context(): Context {
    const { network, scores, explained: layers, classes, preprocessing } = this;
    return {
      network,
      scores,
      layers,
      classes,
      preprocessing,
      backend: this.#backend,
      feeds: this.feeds,
      channelAxis: this.#channelAxis,
      layerProblem: this.layerProblem,
      tokens: this.options.tokens,
    };
  }

  /** The same with the layers of a call. */
  #contextFor({ layer }: Pick<Settings, 'layer'>): Context {
    if (layer === undefined) return this.#context;
    const names = typeof layer === 'string' ? [layer] : layer;
    const layers = names.map((name) => this.network.layer(name, this.scores, this.options.tokens));
    return { ...this.#context, layers, layerProblem: undefined };
  }

  #prediction({ data: scores, dims }: Row): Prediction {
    if (!isOfScores(dims)) return { scores, top: [] };
    const probabilities = probabilitiesOf(scores, this.scores.link);
    const top = best(scores, 5).map((index) => ({
      class: index,
      name: className(index, this.classes),
      score: scores[index],
      probability: probabilities?.[index],
    }));
    return { scores, probabilities, top };
  }
}

/** Pictures of equal dims go together, up to `step`. */
function endOfBatch(prepared: readonly PreparedImage[], start: number, step: number): number {
  const { dims } = prepared[start];
  let end = start + 1;
  const isAlike = (other: PreparedImage) => !other.crops && other.dims.every((dim, i) => dim === dims[i]);
  while (end < prepared.length && end - start < step && isAlike(prepared[end])) end++;
  return end;
}
