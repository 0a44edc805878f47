import { controlMap, explainWithControl } from '../control.js';
import { type Baseline, baselineTensor, maskByMap, mergeByRank } from '../masking.js';
import { countAt, fractions } from '../metrics/curve.js';
import { ranksOf, saliencyOrder } from '../metrics/order.js';
import type { CommonSettings, Job, Measurement } from '../measurement.js';
import { predictFilled } from '../predictions.js';
import type { Subject } from '../subject.js';

export interface FaithfulnessSettings extends CommonSettings {
  /** Explanation map E = L ⊙ I on the preprocessed tensor as in the paper ('zero'), or on pixels ('black'), or over another baseline. */
  readonly masking: Baseline;
  /** Intervals of every curve over 0 … 1; 0 leaves the curves out. */
  readonly steps: number;
  /** What replaces pixels in the area and deletion curves, and what insertion starts from. */
  readonly deletionBaseline: Baseline;
  readonly insertionBaseline: Baseline;
  /** Masked pictures in one forward pass. */
  readonly batch: number;
}

export const faithfulnessDefaults = {
  masking: 'zero',
  steps: 10,
  deletionBaseline: 'zero',
  insertionBaseline: 'blur',
  batch: 4,
  seed: 1,
} as const satisfies Omit<FaithfulnessSettings, 'variants'>;

/** What was measured on one picture; numbers are probabilities of the explained class. */
export interface FaithfulnessRecord {
  readonly image: string;
  readonly class: number;
  /** Y, on the full picture. */
  readonly full: number;
  /** One a variant. */
  readonly variants: readonly VariantFaithfulness[];
}

export interface VariantFaithfulness {
  readonly empty: boolean;
  /** O, on the explanation map. */
  readonly masked: number;
  /** With the most salient fraction kept, deleted or inserted, at 0, 1/steps, …, 1; empty without curves. */
  readonly kept: readonly number[];
  readonly deleted: readonly number[];
  readonly inserted: readonly number[];
}

/** One picture: its top class explained by every variant, the maps, and what the network says of the masked pictures. */
export async function measureFaithfulness(
  subject: Subject,
  job: Job,
  settings: FaithfulnessSettings,
): Promise<Measurement<FaithfulnessRecord>> {
  const { layout } = subject;
  const prepared = await subject.prepare(job.image);
  const { tensor } = prepared;
  const control = controlMap(subject, prepared, settings.seed);
  const explained = await explainWithControl(subject, prepared, settings.variants, control);
  const target = explained.targets[0];
  const full = explained.probabilities[target];
  const maps = explained.maps.map((targets) => targets[0]);

  const fills: ((out: Float32Array) => void)[] = [];
  const ask = (fill: (out: Float32Array) => void): number => fills.push(fill) - 1;
  const baselines = new Map<Baseline, { picture: Float32Array; asked?: number }>();
  const baselineOf = (name: Baseline) => {
    const made = baselines.get(name) ?? {
      picture: baselineTensor(name, tensor, layout, subject.black, subject.size),
    };
    baselines.set(name, made);
    return made;
  };
  const curve = (ranks: Uint32Array, name: Baseline, salient: 'picture' | 'baseline'): number[] => {
    const baseline = baselineOf(name);
    const [first, rest] = salient === 'picture' ? [tensor, baseline.picture] : [baseline.picture, tensor];
    return fractions(settings.steps).map((fraction) => {
      const count = countAt(fraction, layout.positions);
      if (count > 0 && count < layout.positions)
        return ask((out) => mergeByRank(ranks, count, first, rest, layout, out));
      if ((count === 0) === (salient === 'baseline')) return fullPicture;
      return (baseline.asked ??= ask((out) => out.set(baseline.picture)));
    });
  };

  const ties = saliencyOrder(control.data);
  const asked = maps.map((map) => {
    const masked = ask((out) =>
      maskByMap(tensor, map.data, baselineOf(settings.masking).picture, layout, out),
    );
    if (settings.steps === 0) return { masked, kept: [], deleted: [], inserted: [] };
    const ranks = ranksOf(saliencyOrder(map.data, ties));
    return {
      masked,
      kept: curve(ranks, settings.deletionBaseline, 'picture'),
      deleted: curve(ranks, settings.deletionBaseline, 'baseline'),
      inserted: curve(ranks, settings.insertionBaseline, 'picture'),
    };
  });
  const values = await predictFilled(subject, fills, target, settings.batch);
  const read = (points: readonly number[]): number[] =>
    points.map((point) => (point === fullPicture ? full : values[point]));
  const variants = asked.map(({ masked, kept, deleted, inserted }, i) => ({
    empty: maps[i].empty,
    masked: values[masked],
    kept: read(kept),
    deleted: read(deleted),
    inserted: read(inserted),
  }));
  return {
    record: { image: job.image, class: target, full, variants },
    pictures: [{ view: prepared.view, maps }],
  };
}

/** Stands for the picture itself in a curve: its probability is known from the explanation's own forward pass. */
const fullPicture = -1;
