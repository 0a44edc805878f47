import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { GradcamppError } from '../errors.js';
import { ancestors, type ValueInfo } from '../graph/graph.js';
import type { Layer } from '../graph/layers.js';
import { findScores, type Scores } from '../graph/scores.js';
import { defaultPreprocessing } from '../image/imagenet.js';
import type { Preprocessing } from '../image/preprocess.js';
import { checkSidecar, type ClassName, readSidecar, type Sidecar } from '../image/sidecar.js';
import { openBackend, type OpenedBackend } from '../map/open.js';
import type { Tensor } from '../tensor.js';
import { explainBatch, type Watch } from './compute.js';
import type { Explanation } from './explanation.js';
import { checkFit, type ImageInput, type PreparedImage, prepareImages } from './input.js';
import { Network, scoreCount } from './network.js';
import {
  checkExplainerOptions,
  type ExplainerOptions,
  type ExplainOptions,
  type Settings,
  settingsOf,
} from './options.js';
import { probabilitiesOf } from './probabilities.js';
import { className, best, outputOf, seedsOf, targetLists } from './targets.js';

/** What a plain forward pass says of one picture. */
export interface Prediction {
  readonly scores: Float32Array;
  readonly probabilities?: Float32Array;
  /** The five best classes, best first. */
  readonly top: readonly { class: number; name: string; score: number; probability?: number }[];
}

/**
 * A classifier opened for explaining. The whole story: file → graph → gradient → run → map.
 *
 * @example
 * const explainer = await Explainer.open('model.onnx');
 * const [explanation] = await explainer.explain(['cat.jpg'], { targets: { top: 3 } });
 * await explainer.close();
 */
export class Explainer {
  /** The layers that are explained. */
  readonly layers: readonly string[];
  /** Whether the layer was chosen automatically. */
  readonly layerIsAutomatic: boolean;
  /** How pictures become the input; undefined for models that take tensors only. */
  readonly preprocessing: Preprocessing | undefined;
  readonly classes: readonly ClassName[] | undefined;
  /** What the user should know: preprocessing that was assumed, a layer before the activation. */
  readonly notes: readonly string[];
  /** What was opened, and how; workers open the same. */
  readonly source: string | URL | Uint8Array;
  readonly options: ExplainerOptions;
  /** The opened model, for tools that look inside. */
  readonly network: Network;
  readonly scores: Scores;
  readonly #backend: OpenedBackend;
  #isClosed = false;

  protected constructor(parts: {
    source: string | URL | Uint8Array;
    options: ExplainerOptions;
    network: Network;
    scores: Scores;
    layers: readonly Layer[];
    layerIsAutomatic: boolean;
    preprocessing: Preprocessing | undefined;
    classes: readonly ClassName[] | undefined;
    notes: readonly string[];
    backend: OpenedBackend;
  }) {
    this.source = parts.source;
    this.options = parts.options;
    this.network = parts.network;
    this.scores = parts.scores;
    this.layers = parts.layers.map((layer) => layer.name);
    this.layerIsAutomatic = parts.layerIsAutomatic;
    this.preprocessing = parts.preprocessing;
    this.classes = parts.classes;
    this.notes = parts.notes;
    this.#backend = parts.backend;
  }

  /**
   * Reads a model and chooses its layer; nothing is run yet.
   *
   * @param model a path, file URL, or the bytes of an ONNX file
   * @throws GradcamppError INVALID_MODEL, UNSUPPORTED_MODEL, INVALID_LAYER, INVALID_OPTION, UNSUPPORTED_BACKEND
   */
  static async open(model: string | URL | Uint8Array, options: ExplainerOptions = {}): Promise<Explainer> {
    checkExplainerOptions(options);
    const { executionProviders, threads } = options;
    const given = await sidecarOf(model, options.preprocess);
    const network = await Network.open(model, { executionProviders, threads }, given?.input.name);
    const notes: string[] = [];
    const assumed =
      !given && takesPictures(network.image) ? defaultPreprocessing(network.image.dims ?? []) : undefined;
    if (assumed) notes.push(assumed.sentence);
    const preprocessing = given?.input ?? assumed?.preprocessing;
    if (given) checkFit(given.input, network.image);
    const scores = findScores(network.graph, options.output ?? given?.output);
    checkInputs(network, scores);
    const named = given?.classes?.length;
    const count = classCount(scores);
    if (named !== undefined && count !== undefined && named !== count)
      notes.push(
        `The sidecar names ${named} classes, and the model has ${count} scores: the names may be another model's.`,
      );
    const { names, automatic } = layerNames(options.layer, given?.targetLayer);
    const layers = names.map((name) => network.layer(name, scores));
    for (const layer of layers)
      if (!layer.isActivation)
        notes.push(
          `Layer "${layer.name}" (${layer.opType}) comes before its activation; maps are cleaner after it.`,
        );
    const backend = await openBackend(options.backend ?? 'auto', { threads });
    return new this({
      source: model,
      options,
      network,
      scores,
      layers,
      layerIsAutomatic: automatic,
      preprocessing,
      classes: given?.classes,
      notes,
      backend,
    });
  }

  /**
   * Explains pictures: strict, the first picture that cannot be explained fails the call. `explainAll` goes on
   * instead.
   *
   * @throws GradcamppError INVALID_IMAGE, INVALID_TARGET, INVALID_OPTION, RUNTIME
   */
  async explain(
    images: ImageInput | readonly ImageInput[],
    options: ExplainOptions = {},
  ): Promise<Explanation[]> {
    const settings = settingsOf(options);
    const list = Array.isArray(images) ? (images as readonly ImageInput[]) : [images as ImageInput];
    const prepared = (await Promise.all(list.map((image) => this.prepare(image)))).flat();
    return this.explainPrepared(prepared, settings);
  }

  /**
   * Explains pictures that are prepared already, in passes of `batchSize`.
   *
   * @param watch what the stages took is added to
   */
  async explainPrepared(
    prepared: readonly PreparedImage[],
    settings: Settings,
    watch?: Watch,
  ): Promise<Explanation[]> {
    const targets = targetLists(settings.targets, settings.targetsPerImage, prepared.length);
    const explanations: Explanation[] = [];
    const step = this.network.fixedBatch ?? settings.batchSize;
    for (let start = 0; start < prepared.length; ) {
      const end = endOfBatch(prepared, start, step);
      const batch = prepared.slice(start, end);
      const context = { ...this.#context, watch };
      explanations.push(...(await explainBatch(context, batch, targets.slice(start, end), settings)));
      start = end;
    }
    return explanations;
  }

  /** Scores and probabilities alone, without the cost of a gradient. */
  async predict(images: ImageInput | readonly ImageInput[]): Promise<Prediction[]> {
    const list = Array.isArray(images) ? (images as readonly ImageInput[]) : [images as ImageInput];
    const prepared = (await Promise.all(list.map((image) => this.prepare(image)))).flat();
    const predictions: Prediction[] = [];
    for (const { tensor, dims } of prepared) {
      const N = this.network.fixedBatch ?? 1;
      const data = new Float32Array(N * tensor.length);
      for (let n = 0; n < N; n++) data.set(tensor, n * tensor.length);
      const all = await this.scoresOf({ type: 'float32', dims: [N, ...dims], data });
      predictions.push(this.#prediction(all.slice(0, all.length / N)));
    }
    return predictions;
  }

  /** Scores of a batch of preprocessed pictures: [N, C, H, W] → [N, M]. */
  scoresOf(images: Tensor<'float32'>): Promise<Float32Array> {
    return this.network.predict(images, this.scores);
  }

  /**
   * Decodes and preprocesses one picture, once for all that is done with it. A .npy file can hold several.
   *
   * @param name what the picture is called, where it is not a path
   */
  async prepare(image: ImageInput, name?: string): Promise<PreparedImage[]> {
    if (this.#isClosed)
      throw new GradcamppError('RUNTIME', 'The explainer is closed: open another with Explainer.open.');
    return prepareImages(image, this.preprocessing, this.network.image, name);
  }

  /** Makes the sessions, which otherwise the first picture waits for; so an operator without a gradient is known now. */
  async warmUp(): Promise<void> {
    await this.network.differentiator(this.layers, this.scores);
  }

  /** Refuses targets that no picture can have, before any is read. */
  checkTargets(settings: Settings): void {
    const nothing = new Float32Array(scoreCount(this.scores));
    for (const list of targetLists(settings.targets, undefined, 1))
      seedsOf(
        list.filter((target) => outputOf(target) === undefined),
        nothing,
        this.classes,
      );
  }

  /** Frees the sessions and the backend. The explainer cannot be used afterwards. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.network.close();
    await this.#backend.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  get #context() {
    const { network, scores, layers, classes, preprocessing } = this;
    return { network, scores, layers, classes, preprocessing, backend: this.#backend };
  }

  #prediction(scores: Float32Array): Prediction {
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
  while (end < prepared.length && end - start < step && prepared[end].dims.every((dim, i) => dim === dims[i]))
    end++;
  return end;
}

/** Only the picture is fed. */
function checkInputs({ graph, image }: Network, { info }: Scores): void {
  const needed = ancestors(graph, [info.name]);
  const others = graph.inputs.filter(({ name }) => name !== image.name && needed.has(name));
  if (others.length === 0) return;
  const names = others.map(({ name }) => JSON.stringify(name)).join(', ');
  throw new GradcamppError(
    'UNSUPPORTED_MODEL',
    `The scores need more than the picture "${image.name}": the inputs ${names}. Make constants of them in the model first.`,
  );
}

/** M, where it is known. */
function classCount({ info }: Scores): number | undefined {
  const rest = (info.dims ?? []).slice(1);
  return rest.length === 1 && typeof rest[0] === 'number' ? rest[0] : undefined;
}

/** [N, 1 or 3, H, W], or channels last. */
function takesPictures({ dims }: ValueInfo): boolean {
  return dims?.length === 4 && [dims[1], dims[3]].some((dim) => dim === 1 || dim === 3);
}

/** 'auto' is the sidecar's layer, where it names one. */
function layerNames(layer: ExplainerOptions['layer'], target: string | undefined) {
  const list = typeof layer === 'object' ? layer : [layer ?? 'auto'];
  const names = list.map((name) => (name === 'auto' ? (target ?? 'auto') : name));
  return { names, automatic: names.includes('auto') };
}

/** The sidecar that was named, or that lies beside the model. */
async function sidecarOf(
  model: string | URL | Uint8Array,
  given: ExplainerOptions['preprocess'],
): Promise<Sidecar | undefined> {
  if (typeof given === 'string') return readSidecar(given);
  if (given !== undefined) return checkSidecar(given);
  if (model instanceof Uint8Array) return undefined;
  const path = model instanceof URL && model.protocol === 'file:' ? fileURLToPath(model) : model;
  if (typeof path !== 'string') return undefined;
  const beside = path.replace(/(\.onnx)?$/i, '.json');
  return beside !== path && existsSync(beside) ? readSidecar(beside) : undefined;
}
