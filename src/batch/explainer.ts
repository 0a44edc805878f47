import { NetworkExplainer } from '../explain/network-explainer.js';
import type { ExplainerOptions } from '../explain/explain-options.js';
import type { ExplainAllOptions, PictureResult } from './explain-all.js';
import type { PictureInput } from './inputs/stream-items.js';

/**
 * A network opened for explaining: a few pictures at a time in this thread, or a stream of them in workers.
 *
 * @example
 * const explainer = await Explainer.open('model.onnx');
 * const [explanation] = await explainer.explain(['cat.jpg'], { targets: { top: 3 } });
 * await explainer.close();
 */
export class Explainer extends NetworkExplainer {
  /**
   * Reads a model and chooses its layer; nothing is run yet.
   *
   * @param model a path, file URL, or the bytes of an ONNX file
   * @throws GradcamppError INVALID_MODEL, UNSUPPORTED_MODEL, INVALID_LAYER, INVALID_OPTION, UNSUPPORTED_BACKEND
   */
  static override async open(
    model: string | URL | Uint8Array,
    options: ExplainerOptions = {},
  ): Promise<Explainer> {
    return (await super.open(model, options)) as Explainer;
  }

  /**
   * Explains a stream of pictures with a worker a core, and gives results in order or as they come. Nothing more is
   * taken from the stream than is in flight. A picture that cannot be explained is a result with an `error`, whatever it
   * is. Leaving the loop, `options.signal`, which ends it with the signal's reason, or `close` ends the workers once the
   * pictures in flight are done.
   *
   * Workers are started for the call and open the model again; this thread stays free. Their sessions have one thread
   * and their map backend is the addon, or else the reference, unless the explainer was opened otherwise.
   *
   * @example
   * for await (const { index, explanation, error } of explainer.explainAll(paths, { workers: 4 })) …
   * @throws GradcamppError INVALID_OPTION, also where the stream itself fails, INVALID_TARGET, CLOSED; RUNTIME where no
   *   worker starts; the reason of `options.signal`
   */
  async *explainAll(
    images: Iterable<PictureInput> | AsyncIterable<PictureInput>,
    options: ExplainAllOptions = {},
  ): AsyncGenerator<PictureResult> {
    const { explainAll } = await import('./explain-all.js');
    yield* explainAll(this, images, options);
  }
}
