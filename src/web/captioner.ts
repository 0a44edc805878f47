import type { CaptionExplanation } from '../caption/caption-explanation.js';
import { captionerOptions, type CaptionerOptions, type CaptionOptions } from '../caption/caption-options.js';
import { missing, onlyKeys } from '../check.js';
import { asOurs, GradcamppError } from '../errors.js';
import type { CaptionFacts, CaptionOpening, CaptionService, PageJson } from './caption-service.js';
import type { PageFile } from './download.js';
import { absolute, aborted, pageKeys, type PageOptions, pageParts, preprocessOf } from './page-options.js';
import { sendable, type WebImageInput } from './sendable.js';
import { captionerInWorker } from './worker-client.js';

export interface WebCaptionerOptions
  extends Omit<CaptionerOptions, 'encoder' | 'decoder' | 'tokenizer' | 'threads'>,
    PageOptions {
  /** What makes features of the picture, an ONNX file. */
  readonly encoder: PageFile;
  /** What says tokens of them, an ONNX file: without past, merged, or one that makes one step with its states. */
  readonly decoder: PageFile;
  /** `decoder_model.onnx`, where the decoder may be one that goes on with what that has stored; it is read only then. */
  readonly withoutPast?: PageFile;
  /** How tokens are spelt: a `tokenizer.json` of Hugging Face, or a vocabulary; a file, or what is in it. Default: ids alone. */
  readonly tokenizer?: PageJson;
  /** The `tokenizer_config.json` of Hugging Face. */
  readonly tokenizerConfig?: PageJson;
  /** `generation_config.json`, `config.json`, or both, which say what begins and ends captions. A page looks for none. */
  readonly generation?: PageJson | readonly PageJson[];
}

const ownKeys = ['withoutPast', 'tokenizerConfig', 'generation'] as const;

/**
 * An encoder and a decoder opened for explaining, in a page: a map for every word. Options and results are those of Node.
 *
 * @example
 * const captioner = await Captioner.open({ encoder: 'encoder.onnx', decoder: 'decoder.onnx', tokenizer: 'vocabulary.json' });
 * const { tokens, caption } = await captioner.explain(document.querySelector('img'));
 * await captioner.close();
 */
export class Captioner {
  readonly #service: CaptionService;
  #closing: Promise<void> | undefined;
  /** The layers that are explained. */
  readonly layers: CaptionFacts['layers'];
  /** Whether the layer was chosen automatically. */
  readonly layerIsAutomatic: boolean;
  /** How pictures become the encoder's input. */
  readonly preprocessing: CaptionFacts['preprocessing'];
  /** What the user should know: preprocessing that was assumed, the execution provider that was chosen. */
  readonly notes: readonly string[];
  /** The execution provider that runs the networks. */
  readonly provider: CaptionFacts['provider'];
  /** The encoder's layers that can be explained, best first: `explain` takes one as "layer". */
  readonly candidates: CaptionFacts['candidates'];
  /** Id of the token that begins captions; undefined where nothing says it. */
  readonly begin: CaptionFacts['begin'];
  /** Whether there is a tokenizer; else captions are ids. */
  readonly hasWords: boolean;

  private constructor(service: CaptionService) {
    this.#service = service;
    const { layers, layerIsAutomatic, preprocessing, notes, provider, candidates, begin, hasWords } =
      service.facts;
    this.layers = layers;
    this.layerIsAutomatic = layerIsAutomatic;
    this.preprocessing = preprocessing;
    this.notes = notes;
    this.provider = provider;
    this.candidates = candidates;
    this.begin = begin;
    this.hasWords = hasWords;
  }

  /**
   * Downloads both models and finds how they belong together; nothing is run yet.
   *
   * @throws GradcamppError INVALID_MODEL, UNSUPPORTED_MODEL, INVALID_LAYER, INVALID_OPTION, RUNTIME where onnxruntime-web or the worker
   *   does not load; the signal's reason
   */
  static async open(options: WebCaptionerOptions): Promise<Captioner> {
    onlyKeys('Captioner.open', options, [...Object.keys(captionerOptions), ...ownKeys, ...pageKeys]);
    const { rest, worker, download, places } = pageParts(options);
    const { encoder, decoder, withoutPast, tokenizer, tokenizerConfig, generation = [], ...own } = rest;
    if (encoder === undefined) throw missing('encoder', 'a URL, a Blob or bytes');
    if (decoder === undefined) throw missing('decoder', 'a URL, a Blob or bytes');
    const opening: CaptionOpening = {
      encoder: absolute(encoder),
      decoder: absolute(decoder),
      withoutPast: withoutPast === undefined ? undefined : absolute(withoutPast),
      tokenizer: tokenizer === undefined ? undefined : json(tokenizer),
      tokenizerConfig: tokenizerConfig === undefined ? undefined : json(tokenizerConfig),
      generation: (Array.isArray(generation) ? generation : [generation]).map(json),
      options: { ...own, preprocess: preprocessOf(own.preprocess) },
      ...places,
    };
    const { signal } = download;
    try {
      if (worker !== false) return new Captioner(await captionerInWorker(opening, worker, download));
      const { openCaptionService } = await import('./caption-service.js');
      return new Captioner(await openCaptionService(opening, download));
    } catch (error) {
      throw signal?.aborted ? signal.reason : asOurs(error);
    }
  }

  /**
   * Explains the tokens of a caption, and the caption: one that the network says, or that is given as `text` or `ids`.
   *
   * @throws GradcamppError INVALID_IMAGE, INVALID_OPTION, INVALID_LAYER, UNSUPPORTED_MODEL, RUNTIME, CLOSED; the signal's reason, and
   *   then what is computed already is lost
   */
  async explain(
    picture: WebImageInput,
    { signal, ...options }: CaptionOptions & { readonly signal?: AbortSignal } = {},
  ): Promise<CaptionExplanation> {
    if (this.#closing)
      throw new GradcamppError('CLOSED', 'The captioner is closed: open another with Captioner.open.');
    signal?.throwIfAborted();
    const work = async () => {
      const [image] = await sendable(picture);
      return this.#service.explain(image, options);
    };
    const done = work().catch((error: unknown) => {
      throw asOurs(error);
    });
    return signal ? Promise.race([done, aborted(signal)]) : done;
  }

  /** Frees the networks once what was called before is done, and ends the worker: its memory is given back. */
  close(): Promise<void> {
    this.#closing ??= this.#service.close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function json(file: PageJson): PageJson {
  return typeof file === 'string' || file instanceof URL ? absolute(file) : file;
}
