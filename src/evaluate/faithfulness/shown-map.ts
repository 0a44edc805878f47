import { type Baseline, baselineTensor, maskByMap, mergeByRank } from '../masking.js';
import type { MetricWords } from '../metric.js';
import { ranksOf, saliencyOrder } from '../saliency-order.js';
import type { Predictions } from '../predictions.js';
import type { Chart } from '../report/report.js';
import type { ExplanationMap, PreparedImage, Subject, Variant } from '../subject.js';
import type { FaithfulnessSettings } from './measuring-options.js';

/** A picture parts of which are hidden; what several maps ask of it is computed once. */
export class MaskedPicture {
  readonly subject: Subject;
  readonly prepared: PreparedImage;
  readonly predictions: Predictions;
  /** Y, the explained target's probability on the whole picture. */
  readonly full: number;
  /** Positions as the random control orders them: it decides where a map ties. */
  readonly ties: Uint32Array;
  readonly seed: number;
  readonly variants: readonly Variant[];
  /** The maps of some variants, of the same target in a changed picture. */
  readonly explain: (
    tensor: Float32Array,
    variants: readonly Variant[],
  ) => Promise<readonly ExplanationMap[]>;
  readonly #made = new Map<string, unknown>();

  constructor(given: Omit<MaskedPicture, 'once' | 'baseline' | 'hidden'>) {
    this.subject = given.subject;
    this.prepared = given.prepared;
    this.predictions = given.predictions;
    this.full = given.full;
    this.ties = given.ties;
    this.seed = given.seed;
    this.variants = given.variants;
    this.explain = given.explain;
  }

  /** What is the same for all maps of the picture. */
  once<T>(key: string, make: () => T): T {
    if (!this.#made.has(key)) this.#made.set(key, make());
    return this.#made.get(key) as T;
  }

  baseline(name: Baseline): Float32Array {
    const { layout, black, size } = this.subject;
    return this.once(`baseline ${name}`, () =>
      baselineTensor(name, this.prepared.tensor, layout, black, size),
    );
  }

  /** The probability where everything is hidden. */
  hidden(name: Baseline): Promise<number> {
    return this.once(`hidden ${name}`, () => this.predictions.ask((out) => out.set(this.baseline(name))));
  }
}

/** One map on its picture: what a metric measures. */
export class ShownMap {
  readonly map: ExplanationMap;
  readonly picture: MaskedPicture;
  /** The map's number among the variants. */
  readonly index: number;
  readonly #masking: Baseline;
  readonly #made = new Map<string, unknown>();

  constructor(picture: MaskedPicture, map: ExplanationMap, index: number, masking: Baseline) {
    this.picture = picture;
    this.map = map;
    this.index = index;
    this.#masking = masking;
  }

  /** What several metrics ask of the map. */
  once<T>(key: string, make: () => T): T {
    if (!this.#made.has(key)) this.#made.set(key, make());
    return this.#made.get(key) as T;
  }

  /** Writes the explanation map E = L ⊙ I + (1 − L) ⊙ B. */
  readonly mask = (out: Float32Array): void => {
    const { prepared, subject } = this.picture;
    maskByMap(prepared.tensor, this.map.data, this.picture.baseline(this.#masking), subject.layout, out);
  };

  /** O, the explained target's probability on the explanation map. */
  masked(): Promise<number> {
    return this.once('masked', () => this.picture.predictions.ask(this.mask));
  }

  /** What the method gives, asked for the same target, of what `fill` writes. */
  async explained(fill: (out: Float32Array) => void): Promise<ExplanationMap> {
    const { prepared, variants } = this.picture;
    const tensor = new Float32Array(prepared.tensor.length);
    fill(tensor);
    return (await this.picture.explain(tensor, [variants[this.index]]))[0];
  }

  /** Place of every position from the most to the least salient. */
  ranks(): Uint32Array {
    return this.once('ranks', () => ranksOf(saliencyOrder(this.map.data, this.picture.ties)));
  }

  /** The probability where the `count` most salient positions show the picture and the others the baseline, or the reverse. */
  async merged(count: number, name: Baseline, salient: 'picture' | 'baseline'): Promise<number> {
    const { predictions, prepared, subject, full } = this.picture;
    const { layout } = subject;
    if (count === 0 || count === layout.positions)
      return (count === 0) === (salient === 'baseline') ? full : this.picture.hidden(name);
    const ranks = this.ranks();
    const tensor = this.picture.baseline(name);
    const [first, rest] = salient === 'picture' ? [prepared.tensor, tensor] : [tensor, prepared.tensor];
    return predictions.ask((out) => mergeByRank(ranks, count, first, rest, layout, out));
  }
}

/** What a metric finds of one map: its number, and the curve that its chart draws. */
export interface Reading {
  readonly value: number;
  readonly curve?: readonly number[];
}

/** A metric of faithfulness: it asks what the network, or the method, says of the picture as it is changed. */
export interface FaithfulnessMetric extends Omit<MetricWords, 'hint'> {
  /** What `--metric` calls it; those that are made of the same passes are called alike. */
  readonly asked: string;
  /** It takes many passes, or the method again: measured where it is asked for. */
  readonly isCostly?: true;
  readonly hint: (settings: FaithfulnessSettings) => string;
  /** Its column in the table of pictures; none: it is not in there. */
  readonly column?: string;
  /** Whether it is measured with these settings; default: always. */
  readonly applies?: (settings: FaithfulnessSettings) => boolean;
  readonly measure: (shown: ShownMap, settings: FaithfulnessSettings) => Promise<Reading>;
  /** What `byChance` comes to, where it is a number. */
  readonly chance?: number;
  /** Words of the chart of its curve; `x` where it is not 0, 1/steps, …, 1. */
  readonly chart?: (settings: FaithfulnessSettings) => Omit<Chart, 'x' | 'lines'> & Partial<Pick<Chart, 'x'>>;
  /** What the mean of `value` is called in the chart; default AUC. */
  readonly chartValue?: string;
}
