import { GradcamppError } from '../../errors.js';
import type { Label } from '../annotations/labels.js';
import { baselineTensor, maskByMap } from '../masking.js';
import type { CommonSettings, Job, Measurement } from '../measurement.js';
import { inParts, type OnStep } from '../../explain/progress.js';
import { Predictions } from '../predictions.js';
import type { Subject } from '../subject.js';

export interface GeneralizationSettings extends CommonSettings {
  /** Masked pictures in one forward pass. */
  readonly batch: number;
}

/** A labelled picture; maps are only measured on test pictures. */
export interface GeneralizationJob extends Job {
  readonly label: Label;
  readonly set: 'train' | 'test';
}

export interface GeneralizationRecord {
  readonly image: string;
  readonly set: 'train' | 'test';
  /** Whether the top class is the true one. */
  readonly correct: boolean;
  /** Y, of the top class. */
  readonly full: number;
  /** O on the explanation map, one a variant; empty for training pictures. */
  readonly masked: readonly number[];
}

/** One labelled picture: right or wrong and, in the test set, what is left of the confidence on the explanation maps. */
export async function measureGeneralization(
  subject: Subject,
  job: GeneralizationJob,
  settings: GeneralizationSettings,
  onStep?: OnStep,
): Promise<Measurement<GeneralizationRecord>> {
  if (typeof job.label === 'object') throw new GradcamppError('INVALID_IMAGE', job.label.problem);
  const { layout } = subject;
  const prepared = await subject.prepare(job.image);
  const { tensor } = prepared;
  const part = inParts(onStep);
  const variants = job.set === 'test' ? settings.variants : [];
  const explained = await subject.explain(prepared, variants, [{ top: 1 }], part());
  const [target] = explained.targets;
  const nothing = baselineTensor('zero', tensor, layout, subject.black, subject.size);
  const predictions = new Predictions(layout, target, settings.batch, part());
  const masked = explained.maps.map(([map]) =>
    predictions.ask((out) => maskByMap(tensor, map.data, nothing, layout, out)),
  );
  return {
    record: {
      image: job.image,
      set: job.set,
      correct: target.class === job.label,
      full: target.confidence,
      masked: await Promise.all(masked),
    },
    pictures: [],
  };
}
