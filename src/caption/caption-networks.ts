import { invalid, missing } from '../check.js';
import type { ImageInput } from '../explain/input.js';
import { readOptions } from '../options.js';
import type { CaptionTarget } from '../targets/caption.js';
import type { CaptionExplanation } from './caption-explanation.js';
import { CaptionNetwork, type Explained } from './caption-network.js';
import {
  captionerOptions,
  type CaptionerOptions,
  captionOptions,
  type CaptionOptions,
} from './caption-options.js';
import { type CaptionParts, readParts } from './caption-parts.js';

/** Networks of so many lengths are kept open. */
const mostLengths = 4;

/** Encoder and decoder as networks of picture and tokens: one for each length of captions, made when it is asked for. */
export class CaptionNetworks {
  readonly #parts: CaptionParts;
  /** Id of the token that begins a caption, where it is known. */
  readonly #begin: number | undefined;
  /** By length, the one that was used last behind the others. */
  readonly #networks = new Map<number, Promise<CaptionNetwork>>();

  #last: Promise<unknown> = Promise.resolve();

  private constructor(parts: CaptionParts, begin: number | undefined) {
    this.#parts = parts;
    this.#begin = begin;
  }

  static async open(given: CaptionerOptions): Promise<CaptionNetworks> {
    const { begin } = readOptions('Captioner.open', captionerOptions, given);
    return new CaptionNetworks(await readParts(given), begin);
  }

  /** One call after the other: networks of other lengths are closed between them, and a run has all cores anyway. */
  explain(picture: ImageInput, options: CaptionOptions): Promise<CaptionExplanation> {
    const call = this.#last.then(() => this.#explain(picture, options));
    this.#last = call.catch(() => undefined);
    return call;
  }

  async #explain(picture: ImageInput, { ids, ...options }: CaptionOptions): Promise<CaptionExplanation> {
    const checked = readOptions('explain', { ids: captionOptions.ids }, { ids });
    if (checked.ids === undefined) throw missing('ids', 'the ids of the caption’s tokens', '--ids <list>');
    const tokens = this.#withBegin(checked.ids);
    const said = tokens.slice(1);
    const names = said.map(String);
    const network = await this.#network(said.length);
    const target: CaptionTarget = { kind: 'caption', ids: said, names };
    const explained = await network.explain(picture, tokens.slice(0, -1), { ...options, targets: target });
    return captionOf(explained, { ids: said, names, text: names.join(' ') });
  }

  async close(): Promise<void> {
    await this.#last;
    const all = await Promise.allSettled(this.#networks.values());
    this.#networks.clear();
    await Promise.all(
      all.map((made) => (made.status === 'fulfilled' ? made.value.explainer.close() : undefined)),
    );
  }

  /** The token that begins the caption is put in front where it is known; else it is the first of those that are given. */
  #withBegin(ids: readonly number[]): readonly number[] {
    const begin = this.#begin;
    const all = begin === undefined || ids[0] === begin ? ids : [begin, ...ids];
    if (all.length > 1) return all;
    throw invalid(
      'ids',
      'at least two ids, the first of them that of the token which begins a caption',
      ids,
      begin === undefined ? 'Say which it is as "begin" (--begin ID), and it may be left out.' : '',
    );
  }

  async #network(length: number): Promise<CaptionNetwork> {
    const made = this.#networks.get(length) ?? CaptionNetwork.open(this.#parts, length);
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

/** What was found, token by token: the caption is the first target, its tokens follow, each by every method. */
function captionOf(
  { explanation, attention }: Explained,
  {
    ids,
    names,
    text,
  }: { readonly ids: readonly number[]; readonly names: readonly string[]; readonly text: string },
): CaptionExplanation {
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
      token: names[t],
      id,
      ...part(t + 1),
      ...(attention ? { attention: attention[t] } : {}),
    })),
    caption: { text, ...part(0) },
  };
}
