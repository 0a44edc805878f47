import { controlMap } from '../control.js';
import type { Job, Measurement } from '../measurement.js';
import { inParts, type OnStep } from '../../explain/progress.js';
import { saliencyOrder } from '../saliency-order.js';
import { Predictions } from '../predictions.js';
import type { Subject } from '../subject.js';
import type { FaithfulnessSettings } from './masking-options.js';
import { metricsFor } from './metrics/index.js';
import { MaskedPicture, ShownMap } from './shown-map.js';

/** What was measured on one picture; probabilities are those of the explained class. */
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
  /** By the metric's key. */
  readonly values: Readonly<Record<string, number>>;
  /** What a metric's chart draws, at 0, 1/steps, …, 1; of metrics that have one. */
  readonly curves: Readonly<Record<string, readonly number[]>>;
}

/** One picture: its top class explained by every variant, and what each metric finds. */
export async function measureFaithfulness(
  subject: Subject,
  job: Job,
  settings: FaithfulnessSettings,
  onStep?: OnStep,
): Promise<Measurement<FaithfulnessRecord>> {
  const prepared = await subject.prepare(job.image);
  const control = controlMap(subject, prepared, settings.seed);
  const part = inParts(onStep);
  const explained = await subject.explain(prepared, settings.variants, undefined, part());
  const target = explained.targets[0];
  const full = explained.probabilities[target];
  const maps = explained.maps.map((targets) => targets[0]);
  const predictions = new Predictions(subject, target, settings.batch, part());
  const ties = saliencyOrder(control.data);
  const picture = new MaskedPicture({ subject, prepared, predictions, full, ties });
  const metrics = metricsFor(settings);
  const variants = maps.map(async (map): Promise<VariantFaithfulness> => {
    const shown = new ShownMap(picture, map, settings.masking);
    const found = metrics.map(async ({ key, measure }) => [key, await measure(shown, settings)] as const);
    const readings = await Promise.all(found);
    return {
      empty: map.empty,
      masked: await shown.masked(),
      values: Object.fromEntries(readings.map(([key, { value }]) => [key, value])),
      curves: Object.fromEntries(readings.flatMap(([key, { curve }]) => (curve ? [[key, curve]] : []))),
    };
  });
  return {
    record: { image: job.image, class: target, full, variants: await Promise.all(variants) },
    pictures: [{ view: prepared.view, maps }],
  };
}
