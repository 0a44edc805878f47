import { GradcamppError, show } from '../../errors.js';
import { controlMap } from '../control.js';
import type { Job, Measurement } from '../measurement.js';
import { inParts, type OnStep } from '../../explain/progress.js';
import { saliencyOrder } from '../saliency-order.js';
import { Predictions } from '../predictions.js';
import type { ExplanationMap, Subject, Variant } from '../subject.js';
import type { FaithfulnessSettings } from './measuring-options.js';
import { metricsFor } from './metrics/index.js';
import { MaskedPicture, ShownMap } from './shown-map.js';

/** What was measured on one picture; probabilities are those of the explained target. */
export interface FaithfulnessRecord {
  readonly image: string;
  /** −1 where the target is of no class. */
  readonly class: number;
  /** What is explained. */
  readonly name: string;
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
  /** What a metric's chart draws, at its x; of metrics that have one. */
  readonly curves: Readonly<Record<string, readonly number[]>>;
}

/** One picture: its target explained by every variant, and what each metric finds. */
export async function measureFaithfulness(
  subject: Subject,
  job: Job,
  settings: FaithfulnessSettings,
  onStep?: OnStep,
): Promise<Measurement<FaithfulnessRecord>> {
  const prepared = await subject.prepare(job.image);
  const control = controlMap(subject, prepared, settings.seed);
  const part = inParts(onStep);
  const asked = settings.target === undefined ? undefined : [settings.target];
  const explained = await subject.explain(prepared, settings.variants, asked, part());
  const [target] = explained.targets;
  const full = target?.confidence ?? NaN;
  if (Number.isNaN(full))
    throw new GradcamppError('INVALID_IMAGE', `${show(job.image)} shows nothing of what is to be explained.`);
  const maps = explained.maps.map(([map]) => map);
  const predictions = new Predictions(subject.layout, target, settings.batch, part());
  const explainAgain = async (tensor: Float32Array, variants: readonly Variant[]) => {
    const again = await subject.explain({ image: job.image, tensor }, variants, [target.again], part());
    return again.maps.map(([map]) => map ?? emptyMap(subject));
  };
  // One after the other: each may hold many pictures at once.
  let turn: Promise<unknown> = Promise.resolve();
  const explain = (tensor: Float32Array, variants: readonly Variant[]): Promise<ExplanationMap[]> => {
    const found = turn.then(() => explainAgain(tensor, variants));
    turn = found.catch(() => undefined);
    return found;
  };
  const { seed, variants } = settings;
  const ties = saliencyOrder(control.data);
  const picture = new MaskedPicture({ subject, prepared, predictions, full, ties, seed, variants, explain });
  const metrics = metricsFor(settings);
  const measured = maps.map(async (map, v): Promise<VariantFaithfulness> => {
    const shown = new ShownMap(picture, map, v, settings.masking);
    const found = metrics.map(async ({ key, measure }) => [key, await measure(shown, settings)] as const);
    const readings = await Promise.all(found);
    return {
      empty: map.empty,
      masked: await shown.masked(),
      values: Object.fromEntries(readings.map(([key, { value }]) => [key, value])),
      curves: Object.fromEntries(readings.flatMap(([key, { curve }]) => (curve ? [[key, curve]] : []))),
    };
  });
  const { name, class: index } = target;
  return {
    record: { image: job.image, class: index, name, full, variants: await Promise.all(measured) },
    pictures: [{ view: prepared.view, maps }],
  };
}

/** The map where a changed picture shows nothing of the target. */
function emptyMap({ layout }: Subject): ExplanationMap {
  return { data: new Float32Array(layout.positions), empty: true };
}
