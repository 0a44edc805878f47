import { type Baseline, baselineTensor, maskByMap, mergeByRank } from '../masking.js';
import type { MetricWords } from '../metric.js';
import { ranksOf, saliencyOrder } from '../saliency-order.js';
import type { Predictions } from '../predictions.js';
import type { Chart } from '../report/report.js';
import type { ExplanationMap, PreparedImage, Subject } from '../subject.js';
import type { FaithfulnessSettings } from './masking-options.js';

/** A picture parts of which are hidden; what several maps ask of it is computed once. */
export class MaskedPicture {
  readonly subject: Subject;
  readonly prepared: PreparedImage;
  readonly predictions: Predictions;
  /** Y, the explained class's probability on the whole picture. */
  readonly full: number;
  /** Positions as the random control orders them: it decides where a map ties. */
  readonly ties: Uint32Array;
  readonly #baselines = new Map<Baseline, { readonly tensor: Float32Array; probability?: Promise<number> }>();

  constructor(given: Pick<MaskedPicture, 'subject' | 'prepared' | 'predictions' | 'full' | 'ties'>) {
    this.subject = given.subject;
    this.prepared = given.prepared;
    this.predictions = given.predictions;
    this.full = given.full;
    this.ties = given.ties;
  }

  baseline(name: Baseline) {
    const { layout, black, size } = this.subject;
    const made = this.#baselines.get(name) ?? {
      tensor: baselineTensor(name, this.prepared.tensor, layout, black, size),
    };
    this.#baselines.set(name, made);
    return made;
  }

  /** The probability where everything is hidden. */
  hidden(name: Baseline): Promise<number> {
    const baseline = this.baseline(name);
    return (baseline.probability ??= this.predictions.ask((out) => out.set(baseline.tensor)));
  }
}

/** One map on its picture: what a metric measures. */
export class ShownMap {
  readonly map: ExplanationMap;
  readonly picture: MaskedPicture;
  readonly #masking: Baseline;
  #masked: Promise<number> | undefined;
  #ranks: Uint32Array | undefined;

  constructor(picture: MaskedPicture, map: ExplanationMap, masking: Baseline) {
    this.picture = picture;
    this.map = map;
    this.#masking = masking;
  }

  /** O, the explained class's probability on the explanation map E = L ⊙ I + (1 − L) ⊙ B. */
  masked(): Promise<number> {
    const { predictions, prepared, subject } = this.picture;
    const { tensor } = this.picture.baseline(this.#masking);
    return (this.#masked ??= predictions.ask((out) =>
      maskByMap(prepared.tensor, this.map.data, tensor, subject.layout, out),
    ));
  }

  /** The probability where the `count` most salient positions show the picture and the others the baseline, or the reverse. */
  async merged(count: number, name: Baseline, salient: 'picture' | 'baseline'): Promise<number> {
    const { predictions, prepared, subject, full } = this.picture;
    const { layout } = subject;
    if (count === 0 || count === layout.positions)
      return (count === 0) === (salient === 'baseline') ? full : this.picture.hidden(name);
    const ranks = (this.#ranks ??= ranksOf(saliencyOrder(this.map.data, this.picture.ties)));
    const { tensor } = this.picture.baseline(name);
    const [first, rest] = salient === 'picture' ? [prepared.tensor, tensor] : [tensor, prepared.tensor];
    return predictions.ask((out) => mergeByRank(ranks, count, first, rest, layout, out));
  }
}

/** What a metric finds of one map: its number, and the curve that its chart draws. */
export interface Reading {
  readonly value: number;
  readonly curve?: readonly number[];
}

/** A metric of faithfulness: it asks what the network says of the picture as the map changes it. */
export interface FaithfulnessMetric extends Omit<MetricWords, 'hint'> {
  readonly hint: (settings: FaithfulnessSettings) => string;
  /** Its column in the table of pictures; none: it is not in there. */
  readonly column?: string;
  /** Whether it is measured with these settings; default: always. */
  readonly applies?: (settings: FaithfulnessSettings) => boolean;
  readonly measure: (shown: ShownMap, settings: FaithfulnessSettings) => Promise<Reading>;
  /** What `byChance` comes to, where it is a number. */
  readonly chance?: number;
  /** Words of the chart of its curve. */
  readonly chart?: (settings: FaithfulnessSettings) => Omit<Chart, 'x' | 'lines'>;
}
