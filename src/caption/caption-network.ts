import { GradcamppError } from '../errors.js';
import { type ExplainOptions, settingsOf } from '../explain/explain-options.js';
import type { Explanation } from '../explain/explanation.js';
import { type Feeds, openFeeds } from '../explain/feeds.js';
import type { PreparedImage } from '../explain/input.js';
import { NetworkExplainer } from '../explain/network-explainer.js';
import { ancestors, subgraph, valueInfo } from '../graph/graph.js';
import type { Layer } from '../graph/layers.js';
import { finishGraph } from '../runtime/prepare.js';
import { attentionMaps, attentionOf, type ReadAttention } from './attention.js';
import type { AttentionMap } from './caption-explanation.js';
import type { CaptionParts } from './caption-parts.js';
import type { Decoder } from './decoder.js';
import { encodedValues, join } from './join.js';
import { say, type Search } from './say.js';

/** What was found of one caption. */
export interface Explained {
  readonly explanation: Explanation;
  readonly attention: readonly AttentionMap[] | undefined;
}

/** Encoder and decoder as one network of picture and tokens, for captions of one length. */
export class CaptionNetwork {
  readonly explainer: NetworkExplainer;
  /** Whether nobody named the layer. */
  readonly layerIsAutomatic: boolean;
  readonly #parts: CaptionParts;
  /** Tokens that the decoder reads. */
  readonly length: number;
  readonly #ids: string;
  readonly #attention: ReadAttention | undefined;

  private constructor(
    explainer: NetworkExplainer,
    parts: CaptionParts,
    own: { length: number; ids: string; attention: ReadAttention | undefined; layerIsAutomatic: boolean },
  ) {
    this.explainer = explainer;
    this.#parts = parts;
    this.length = own.length;
    this.#ids = own.ids;
    this.#attention = own.attention;
    this.layerIsAutomatic = own.layerIsAutomatic;
  }

  static async open(parts: CaptionParts, length: number): Promise<CaptionNetwork> {
    const { source, name, producer, encoder, decoder, explainer: options } = parts;
    const { graph, ids, logits, attention } = join(encoder, decoder, length);
    const made = { graph: await finishGraph(graph, [], { inference: true }), name, producer };
    const inputs = { ...options.inputs, [ids]: Array<number>(length).fill(0) };
    const openWith = (own: typeof options) =>
      NetworkExplainer.openMade(source, { ...own, output: logits, inputs }, made);
    let explainer = await openWith(options);
    const { layerIsAutomatic } = explainer;
    const other = otherLayer(explainer, decoder);
    if (other !== undefined) {
      await explainer.close();
      explainer = await openWith({ ...options, layer: other });
    }
    return new CaptionNetwork(explainer, parts, {
      length,
      ids,
      attention: attentionOf(explainer, attention, decoder),
      layerIsAutomatic,
    });
  }

  /**
   * The tokens that the decoder reads, beside what else the network takes. Where these are fewer than it reads the last is repeated:
   * what comes behind a token does not count for it.
   */
  feeds(read: readonly number[]): Promise<Feeds> {
    const { network, scores } = this.explainer;
    const { graph, image, original } = network;
    const ids = Array.from({ length: this.length }, (_, t) => read[Math.min(t, read.length - 1)]);
    const inputs = { ...this.#parts.explainer.inputs, [this.#ids]: ids };
    return openFeeds(graph, image.name, original.name, [scores.info.name], inputs);
  }

  /** The encoder's layers that can be explained, best first. */
  candidates(): Layer[] {
    return encoderLayers(this.explainer, this.#parts.decoder);
  }

  /** What the network says of a picture. */
  async say(picture: PreparedImage, search: Search): Promise<number[]> {
    const { decoder } = this.#parts;
    const { network, scores } = this.explainer;
    const names = encodedValues(decoder);
    const encoder = await network.session('encoder', () =>
      subgraph(
        network.graph,
        network.graph.inputs,
        names.map((name) => valueInfo(network.graph, name)),
      ),
    );
    const session = await network.session('decoder', () => decoder.graph);
    const image = { type: 'float32', dims: [1, ...picture.dims], data: picture.tensor } as const;
    const feeds = (await this.feeds([0])).of(0, 1, 1, 1);
    const values = await encoder.run({ ...feeds, [network.image.name]: image });
    const states = decoder.states.flatMap(({ input, initial }) => (initial ? [[input.name, initial]] : []));
    const encoded = [...decoder.encoded, ...states].map(([input, output]) => [input, values[output]]);
    return say(decoder, session, Object.fromEntries(encoded), scores.link, search);
  }

  /** @param read what the decoder reads: the tokens but the last, the one that begins the caption first */
  async explain(
    picture: PreparedImage,
    read: readonly number[],
    options: ExplainOptions,
  ): Promise<Explained> {
    const { explainer } = this;
    const feeds = await this.feeds(read);
    const reads = this.#attention?.names ?? [];
    const settings = settingsOf(options);
    const [explanation] = await explainer.explainPrepared([picture], settings, undefined, undefined, {
      feeds,
      reads,
    });
    const [first] = explanation.targets;
    const attention =
      this.#attention &&
      explanation.values &&
      attentionMaps(this.#attention, explanation.values, {
        length: this.length,
        size: first.map.dims,
      });
    return { explanation, attention };
  }
}

/** Layers of the encoder, best first: what lies in the decoder tells nothing of places. */
function encoderLayers(
  { network, scores, options }: Pick<NetworkExplainer, 'network' | 'scores' | 'options'>,
  decoder: Decoder,
): Layer[] {
  const own = ancestors(network.graph, encodedValues(decoder));
  return network.layers(scores, options.tokens).filter(({ name }) => own.has(name));
}

/** The best layer of the encoder, where none was named and the one that was chosen lies behind it, in the decoder. */
function otherLayer(explainer: NetworkExplainer, decoder: Decoder): string | undefined {
  const { network, layers, layerIsAutomatic } = explainer;
  if (!layerIsAutomatic) return undefined;
  const own = ancestors(network.graph, encodedValues(decoder));
  if (layers.every((name) => own.has(name))) return undefined;
  const best = encoderLayers(explainer, decoder).find(({ isRead }) => isRead);
  if (best) return best.name;
  throw new GradcamppError(
    'UNSUPPORTED_MODEL',
    'No layer of the encoder is known to be laid out as a picture, so none can be chosen automatically. Name one as "layer" (--layer NAME), or say where the tokens lie as "tokens" (--tokens HEIGHTxWIDTH+BEFORE).',
  );
}
