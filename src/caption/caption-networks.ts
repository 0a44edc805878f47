import { invalid, onlyKeys } from '../check.js';
import { GradcamppError } from '../errors.js';
import type { ExplainOptions } from '../explain/explain-options.js';
import type { ImageInput, PreparedImage } from '../explain/input.js';
import { inTurn } from '../in-turn.js';
import { onlyOneOf, readOptions } from '../options.js';
import type { CaptionTarget } from '../targets/caption.js';
import type { CaptionExplanation } from './caption-explanation.js';
import { CaptionNetwork, type Explained } from './caption-network.js';
import { captionExplainOptions, captionOptions, type CaptionOptions } from './caption-options.js';
import type { CaptionParts } from './caption-parts.js';

/** Networks of so many lengths are kept open, beside the first one. */
const mostLengths = 4;

/** Where nothing says how long a caption may be. */
const usualLength = 20;

/** Encoder and decoder as networks of picture and tokens: one for each length of captions, made when it is asked for. */
export class CaptionNetworks {
  readonly parts: CaptionParts;
  /** Of the shortest captions: it prepares pictures and says captions for all. */
  readonly first: CaptionNetwork;
  /** By length, the one that was used last behind the others. */
  readonly #networks = new Map<number, Promise<CaptionNetwork>>();
  readonly #turn = inTurn();

  private constructor(parts: CaptionParts, first: CaptionNetwork) {
    this.parts = parts;
    this.first = first;
  }

  static async of(parts: CaptionParts): Promise<CaptionNetworks> {
    return new CaptionNetworks(parts, await CaptionNetwork.open(parts, fixedLength(parts) ?? 1));
  }

  get notes(): readonly string[] {
    return [...this.parts.notes, ...this.first.explainer.notesFor({ targets: [] })];
  }

  /** Refuses a caption that can be said of no picture, before any is read. */
  check(options: CaptionOptions): void {
    const { own } = optionsOf(options);
    const given = this.#given(own);
    if (given) this.parts.words.pieces(given.slice(1));
  }

  /** The caption that is given, with the token that begins it. */
  #given({ text, ids }: OwnOptions): readonly number[] | undefined {
    const typed = text === undefined ? ids : this.parts.words.encode(text);
    const all = typed && this.#withBegin(typed, text);
    if (all) this.#checkScored(all.slice(1), text);
    return all;
  }

  /** Refuses tokens that the decoder has no scores of, as those of another one's tokenizer. */
  #checkScored(ids: readonly number[], text: string | undefined): void {
    const count = this.first.explainer.scores.info.dims?.at(-1);
    const unknown = typeof count === 'number' ? ids.find((id) => id >= count) : undefined;
    if (unknown === undefined) return;
    if (text === undefined)
      throw invalid(
        'ids',
        `ids below ${count}, the number of tokens that the decoder has scores of`,
        unknown,
      );
    const [{ text: word }] = this.parts.words.pieces([unknown]);
    throw invalid(
      'text',
      `of tokens that the decoder has scores of, ids below ${count}`,
      word,
      `Its id is ${unknown}: the tokenizer may be another decoder's.`,
    );
  }

  /** One call after the other: networks of other lengths are closed between them, and a run has all cores anyway. */
  explain(picture: ImageInput, options: CaptionOptions): Promise<CaptionExplanation> {
    return this.#inTurn(async () => {
      const settings = optionsOf(options);
      const pictures = await this.first.explainer.prepare(picture);
      if (pictures.length === 1) return this.#explain(pictures[0], settings);
      throw new GradcamppError(
        'INVALID_IMAGE',
        `One picture is explained at a time; received ${pictures.length}. Take them one by one.`,
      );
    });
  }

  /** A tensor file may hold several pictures. */
  prepare(picture: ImageInput, name?: string): Promise<PreparedImage[]> {
    return this.first.explainer.prepare(picture, name);
  }

  explainPrepared(picture: PreparedImage, options: CaptionOptions): Promise<CaptionExplanation> {
    return this.#inTurn(() => this.#explain(picture, optionsOf(options)));
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    return this.#turn(work).catch((error: unknown) => {
      throw tooLong(error);
    });
  }

  close(): Promise<void> {
    return this.#turn(async () => {
      const all = await Promise.allSettled(this.#networks.values());
      this.#networks.clear();
      const open = all.flatMap((made) => (made.status === 'fulfilled' ? [made.value] : []));
      await Promise.all([this.first, ...open].map(({ explainer }) => explainer.close()));
    });
  }

  async #explain(
    prepared: PreparedImage,
    { own, explain }: ReturnType<typeof optionsOf>,
  ): Promise<CaptionExplanation> {
    const given = this.#given(own);
    const isGiven = given !== undefined;
    const tokens = given ?? (await this.#said(prepared, own));
    const ids = tokens.slice(1);
    const { words } = this.parts;
    const pieces = words.pieces(ids);
    const names = pieces.map(({ text }) => text);
    const network = await this.#network(ids.length);
    const target: CaptionTarget = { kind: 'caption', ids, names };
    const found = await network.explain(prepared, tokens.slice(0, -1), { ...explain, targets: target });
    return captionOf(found, { ids, pieces, text: own.text ?? words.decode(ids), isGiven });
  }

  /** The token that begins the caption is put in front where it is known; else it is the first of those that are given. */
  #withBegin(ids: readonly number[], text: string | undefined): readonly number[] {
    const { begin } = this.parts.limits;
    if (text !== undefined && begin === undefined) throw noBegin();
    const all = begin === undefined || ids[0] === begin ? ids : [begin, ...ids];
    if (all.length > 1) return all;
    throw invalid(
      'ids',
      'at least two ids, the first of them that of the token which begins a caption',
      ids,
      begin === undefined ? 'Say which it is as "begin" (--begin ID), and it may be left out.' : '',
    );
  }

  async #said(prepared: PreparedImage, own: OwnOptions): Promise<readonly number[]> {
    const { begin, end, maxLength } = this.parts.limits;
    if (begin === undefined) throw noBegin();
    if (end.length === 0 && own.maxLength === undefined)
      throw new GradcamppError(
        'INVALID_OPTION',
        'Which token ends a caption is not known: say its id as "end" (--end ID), or how many tokens there are as "maxLength" (--max-length N).',
      );
    const search = {
      begin,
      end,
      beams: own.beams,
      maxLength: Math.min(
        own.maxLength ?? maxLength ?? usualLength,
        fixedLength(this.parts) ?? Number.POSITIVE_INFINITY,
      ),
    };
    const ids = await this.first.say(prepared, search);
    if (ids.length > 0) return [begin, ...ids];
    throw new GradcamppError(
      'INVALID_IMAGE',
      `The network says nothing of ${prepared.path === undefined ? 'the picture' : `"${prepared.path}"`}: it ends the caption at once. Give one as "text" (--text) or "ids" (--ids).`,
    );
  }

  async #network(length: number): Promise<CaptionNetwork> {
    const fixed = fixedLength(this.parts);
    if (fixed !== undefined && length > fixed)
      throw invalid('ids', `at most ${fixed} tokens, as many as the decoder reads`, length);
    if (fixed !== undefined || length === this.first.length) return this.first;
    const made = this.#networks.get(length) ?? CaptionNetwork.open(this.parts, length);
    this.#networks.delete(length);
    this.#networks.set(length, made);
    made.catch(() => this.#networks.delete(length));
    const [[oldest, old]] = this.#networks;
    if (this.#networks.size > mostLengths) {
      this.#networks.delete(oldest);
      await (await old).explainer.close();
    }
    return made;
  }
}

/** Decoders have a vector for each place of a caption, and no more of them: ONNX Runtime names the operator that looks one up. */
function tooLong(error: unknown): unknown {
  const isOurs = error instanceof GradcamppError && error.code === 'RUNTIME';
  if (!isOurs || !/indices element out of data bounds/.test(error.message)) return error;
  return new GradcamppError(
    'INVALID_OPTION',
    `The caption has more tokens than the decoder has places, or a token that it does not know (${error.message.replace(/\.$/, '')}). Give fewer as "text" or "ids", or limit what is said by "maxLength" (--max-length).`,
    { cause: error },
  );
}

function noBegin(): GradcamppError {
  return new GradcamppError(
    'INVALID_OPTION',
    'Which token begins a caption is not known: say its id as "begin" (--begin ID), or put a generation_config.json beside the encoder.',
  );
}

/** How many tokens the decoder reads, where it was exported for captions of one length. */
function fixedLength({ decoder: { ids, isStep } }: CaptionParts): number | undefined {
  const length = ids.dims?.[1];
  return !isStep && typeof length === 'number' ? length : undefined;
}

type OwnOptions = ReturnType<typeof optionsOf>['own'];

/** What is said of the caption, and what of the maps, checked. */
export function optionsOf(given: CaptionOptions) {
  const known = { ...captionOptions, ...captionExplainOptions };
  onlyKeys('explain', given, Object.keys(known));
  onlyOneOf(given, ['text', 'ids']);
  const entries = Object.entries(given);
  const own = readOptions(
    'explain',
    captionOptions,
    Object.fromEntries(entries.filter(([key]) => key in captionOptions)),
  );
  const explain: ExplainOptions = Object.fromEntries(entries.filter(([key]) => key in captionExplainOptions));
  return { own, explain };
}

/** What was found, token by token: the caption is the first target, its tokens follow, each by every method. */
function captionOf(
  { explanation, attention }: Explained,
  said: {
    readonly ids: readonly number[];
    readonly pieces: readonly { readonly text: string; readonly continues: boolean }[];
    readonly text: string;
    readonly isGiven: boolean;
  },
): CaptionExplanation {
  const { ids, pieces, text, isGiven } = said;
  const { image, inputDims, picture, geometry, targets } = explanation;
  const count = targets.length / (ids.length + 1);
  const part = (i: number) => {
    const methods = targets.slice(i * count, (i + 1) * count);
    return { logProbability: methods[0].target.score, map: methods[0].map, methods };
  };
  return {
    image,
    inputDims,
    picture,
    geometry,
    tokens: ids.map((id, t) => ({
      token: pieces[t].text,
      id,
      ...(pieces[t].continues ? { continues: true } : {}),
      ...part(t + 1),
      ...(attention ? { attention: attention[t] } : {}),
    })),
    caption: { text, isGiven, ...part(0) },
  };
}
