import { onlyKeys } from '../check.js';
import { asOurs, GradcamppError, messageOf } from '../errors.js';
import { type ExplainerOptions, type ExplainOptions, explainerOptions } from '../explain/explain-options.js';
import type { Explanation } from '../explain/explanation.js';
import type { Prediction } from '../explain/network-explainer.js';
import type { PageFile } from './download.js';
import type { Look } from './canvas-view.js';
import type { Facts, Opening, Service, ShownExplanation } from './service.js';
import { absolute, aborted, pageKeys, type PageOptions, pageParts, preprocessOf } from './page-options.js';
import { sendable, type WebImageInput } from './sendable.js';
import { serviceInWorker } from './worker-client.js';

export interface WebExplainerOptions extends Omit<ExplainerOptions, 'threads' | 'frames'>, PageOptions {}

/** What became of the picture `index` of the stream, counted from 0. */
export type PictureResult =
  | { readonly index: number; readonly explanation: Explanation; readonly error?: undefined }
  | { readonly index: number; readonly explanation?: undefined; readonly error: GradcamppError };

/**
 * A network opened for explaining, in a page. Options, targets, methods and results are those of Node; pictures are what a page
 * has. Nothing is asked of the network but what the caller names, and onnxruntime-web's own files.
 *
 * @example
 * const explainer = await Explainer.open('model.onnx', { preprocess: 'model.json' });
 * const [explanation] = await explainer.explain(document.querySelector('img'), { targets: { top: 3 } });
 * await explainer.close();
 */
export class Explainer {
  readonly #service: Service;
  #closing: Promise<void> | undefined;
  /** The layers that are explained. */
  readonly layers: Facts['layers'];
  /** Whether the layer was chosen automatically. */
  readonly layerIsAutomatic: boolean;
  /** How pictures become the input; undefined for models that take tensors only. */
  readonly preprocessing: Facts['preprocessing'];
  readonly classes: Facts['classes'];
  /** What the user should know: preprocessing that was assumed, the execution provider that was chosen. */
  readonly notes: readonly string[];
  /** The execution provider that runs the network. */
  readonly provider: Facts['provider'];
  /** The layers that can be explained, best first: `explain` takes one as "layer". */
  readonly candidates: Facts['candidates'];
  /** What is explained where no target is named; undefined: one must be. */
  readonly defaultTarget: Facts['defaultTarget'];
  /** Whether the network takes clips: then pictures are tensors alone. */
  readonly takesClips: boolean;

  private constructor(service: Service) {
    this.#service = service;
    const { layers, layerIsAutomatic, preprocessing, classes, notes, provider } = service.facts;
    this.layers = layers;
    this.layerIsAutomatic = layerIsAutomatic;
    this.preprocessing = preprocessing;
    this.classes = classes;
    this.notes = notes;
    this.provider = provider;
    this.candidates = service.facts.candidates;
    this.defaultTarget = service.facts.defaultTarget;
    this.takesClips = service.facts.takesClips;
  }

  /**
   * Downloads and reads a model and chooses its layer; nothing is run yet.
   *
   * @param model a URL (relative ones are the page's), a Blob or the bytes of an ONNX file
   * @param options those of Node, and a page's own. "preprocess" is a URL or an object; none is looked for
   * @throws GradcamppError INVALID_MODEL, UNSUPPORTED_MODEL, INVALID_LAYER, INVALID_OPTION, UNSUPPORTED_BACKEND, RUNTIME where
   *   onnxruntime-web or the worker does not load; the signal's reason
   */
  static async open(model: PageFile, options: WebExplainerOptions = {}): Promise<Explainer> {
    onlyKeys('Explainer.open', options, [...Object.keys(explainerOptions), ...pageKeys]);
    const { rest, worker, download, places } = pageParts(options);
    const opening: Opening = {
      model: absolute(model),
      options: { ...rest, preprocess: preprocessOf(rest.preprocess) } as ExplainerOptions,
      ...places,
    };
    const { signal } = download;
    try {
      if (worker !== false) return new Explainer(await serviceInWorker(opening, worker, download));
      const { openService } = await import('./service.js');
      return new Explainer(await openService(opening, download));
    } catch (error) {
      throw signal?.aborted ? signal.reason : asOurs(error);
    }
  }

  /**
   * Explains pictures: strict, the first picture that cannot be explained fails the call.
   *
   * @throws GradcamppError INVALID_IMAGE, INVALID_TARGET, INVALID_OPTION, RUNTIME, CLOSED; the signal's reason, and then what is
   *   computed already is lost
   */
  async explain(
    images: WebImageInput | readonly WebImageInput[],
    { signal, ...options }: ExplainOptions & { readonly signal?: AbortSignal } = {},
  ): Promise<Explanation[]> {
    return this.#use(signal, async () => this.#service.explain(await sendable(images), options));
  }

  /** Explains one picture after the other; one that cannot be explained is a result with an `error`. */
  async *explainAll(
    images: Iterable<WebImageInput> | AsyncIterable<WebImageInput>,
    options: Omit<ExplainOptions, 'targetsPerImage'> & { readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<PictureResult> {
    let index = 0;
    for await (const image of images) {
      try {
        for (const explanation of await this.explain(image, options)) yield { index, explanation };
      } catch (error) {
        if (!(error instanceof GradcamppError) || !ofOnePicture.has(error.code)) throw error;
        yield { index, error };
      }
      index++;
    }
  }

  /** Scores and probabilities alone, without the cost of a gradient. */
  async predict(images: WebImageInput | readonly WebImageInput[]): Promise<Prediction[]> {
    return this.#use(undefined, async () => this.#service.predict(await sendable(images)));
  }

  /** Makes the sessions, which otherwise the first picture waits for. */
  async warmUp(): Promise<void> {
    await this.#use(undefined, () => this.#service.warmUp());
  }

  /**
   * Takes a canvas, on which it shows explanations from then on. On a GPU they stay there: what is read are the scores; colours,
   * opacity, threshold and, among methods of gradients, the method change without running the network and without reading anything.
   *
   * @param canvas one on which nothing was drawn; its size becomes that of the picture
   * @throws GradcamppError INVALID_OPTION, CLOSED
   */
  async view(canvas: HTMLCanvasElement | OffscreenCanvas): Promise<View> {
    return this.#use(undefined, async () => {
      const service = this.#service;
      let id: number;
      try {
        id = await service.view(canvas);
      } catch (cause) {
        throw new GradcamppError(
          'INVALID_OPTION',
          `"canvas" must be a canvas on which nothing was drawn before: ${messageOf(cause)}.`,
          { cause },
        );
      }
      return new View((work, signal) => this.#use(signal, () => work(service, id)));
    });
  }

  /**
   * Frees the network once what was called before is done, and ends the worker: its memory is given back. Without a worker
   * the WebAssembly's stays with the page, for the next network.
   */
  close(): Promise<void> {
    this.#closing ??= this.#service.close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #use<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    if (this.#closing)
      throw new GradcamppError('CLOSED', 'The explainer is closed: open another with Explainer.open.');
    signal?.throwIfAborted();
    const done = work().catch((error: unknown) => {
      throw asOurs(error);
    });
    if (!signal) return done;
    return Promise.race([done, aborted(signal)]);
  }
}

/** A canvas that shows explanations. */
export class View {
  readonly #use: <T>(work: (service: Service, id: number) => Promise<T>, signal?: AbortSignal) => Promise<T>;

  /** @internal `Explainer.view` makes it. */
  constructor(
    use: <T>(work: (service: Service, id: number) => Promise<T>, signal?: AbortSignal) => Promise<T>,
  ) {
    this.#use = use;
  }

  /**
   * Explains a picture and draws its first target, in the last colours, opacity and threshold.
   *
   * @returns the targets that were found, one for each target and method, without maps
   * @throws GradcamppError as `Explainer.explain`; the signal's reason
   */
  async show(
    image: WebImageInput,
    { signal, ...options }: ExplainOptions & { readonly signal?: AbortSignal } = {},
  ): Promise<ShownExplanation> {
    return this.#use(async (service, id) => {
      const [own] = await sendable(image);
      return service.show(id, own, options);
    }, signal);
  }

  /** Draws anew what is shown; what `look` leaves out stays as it was. */
  async draw(look: Look): Promise<void> {
    await this.#use((service, id) => service.draw(id, look));
  }

  /** The whole explanation of what is shown, as `Explainer.explain` gives it. */
  async read(): Promise<Explanation> {
    return this.#use((service, id) => service.read(id));
  }

  /** Gives back what it holds on the GPU; the canvas keeps its picture. */
  async close(): Promise<void> {
    await this.#use((service, id) => service.closeView(id));
  }
}

/** Codes of errors that are one picture's. */
const ofOnePicture = new Set(['INVALID_IMAGE', 'INVALID_TARGET', 'RUNTIME']);
