import { asOurs, GradcamppError } from '../errors.js';
import type { ImageInput } from '../explain/input.js';
import type { CaptionExplanation } from './caption-explanation.js';
import type { CaptionerOptions, CaptionOptions } from './caption-options.js';
import type { CaptionNetworks } from './caption-networks.js';

/**
 * An encoder of pictures and a decoder that says what is on them, opened for explaining: a map for every word.
 *
 * @example
 * const captioner = await Captioner.open({ encoder: 'encoder_model.onnx', decoder: 'decoder_model.onnx' });
 * const { tokens, caption } = await captioner.explain('cat.jpg', { ids: [1, 5, 0] });
 * await captioner.close();
 */
export class Captioner {
  readonly #networks: CaptionNetworks;
  #isClosed = false;

  private constructor(networks: CaptionNetworks) {
    this.#networks = networks;
  }

  /** The layers that are explained. */
  get layers(): readonly string[] {
    return this.#networks.first.explainer.layers;
  }

  /** What the user should know: preprocessing that was assumed, which decoder is explained. */
  get notes(): readonly string[] {
    return this.#networks.notes;
  }

  /**
   * Reads both models and finds how they belong together; nothing is run yet.
   *
   * @throws GradcamppError INVALID_MODEL, UNSUPPORTED_MODEL, INVALID_OPTION
   */
  static async open(options: CaptionerOptions): Promise<Captioner> {
    try {
      const { CaptionNetworks } = await import('./caption-networks.js'); // ONNX and gradients; importing the package stays cheap
      const { readParts } = await import('./read-parts.js');
      return new Captioner(await CaptionNetworks.of(await readParts(options)));
    } catch (error) {
      throw asOurs(error);
    }
  }

  /**
   * Explains the tokens of a caption, and the caption: one forward pass, and one backward pass for all of them together, in one gradient
   * graph.
   *
   * @throws GradcamppError INVALID_IMAGE, INVALID_TARGET, INVALID_OPTION, INVALID_LAYER, UNSUPPORTED_MODEL, RUNTIME, CLOSED
   */
  async explain(picture: ImageInput, options: CaptionOptions = {}): Promise<CaptionExplanation> {
    if (this.#isClosed)
      throw new GradcamppError('CLOSED', 'The captioner is closed: open another with Captioner.open.');
    try {
      return await this.#networks.explain(picture, options);
    } catch (error) {
      throw asOurs(error);
    }
  }

  /** Frees the sessions, once what was called before is done. Can be called again. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#networks.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
