import { GradcamppError, show } from '../../errors.js';
import type { OnStep } from '../../explain/progress.js';
import type { CommonSettings, Job, Measurement } from '../measurement.js';
import { onSheet } from '../report/frame-sheet.js';
import type { Subject } from '../subject.js';
import { tubeMetrics } from './metrics/index.js';
import type { Tube, Tubes } from './tube-file.js';
import { placeOfTube } from './tube-place.js';

/** A clip and what is annotated of it, or why that cannot be told. */
export interface TubeJob extends Job {
  readonly tubes: Tubes;
}

export interface TubeSettings extends CommonSettings {
  /** Explain the top class, or the most probable one of those that are annotated in the clip. */
  readonly target: 'top' | 'annotated';
}

/** Why a clip does not count. */
export type Exclusion = 'not annotated' | 'class not in the clip' | 'outside the frames or the crop';

export interface TubeRecord {
  readonly image: string;
  readonly class: number;
  readonly probability: number;
  /** The annotated class, where there is one. */
  readonly annotated: string | null;
  /** Set where the clip does not count; there are no measures then. */
  readonly excluded?: Exclusion;
  /** What is drawn: boxes as shares of the sheet of frames. */
  readonly boxes: readonly (readonly [number, number, number, number])[];
  /** What a map gets that knows nothing of the clip, by the metric's key. */
  readonly chances: Readonly<Record<string, number>>;
  /** One a variant, by the metric's key; empty where excluded. */
  readonly variants: readonly Readonly<Record<string, number>>[];
}

/** One clip: the class explained by every variant, and how the maps agree with where and when it takes place. */
export async function measureTubes(
  subject: Subject,
  { image, tubes }: TubeJob,
  { variants, target }: TubeSettings,
  onStep?: OnStep,
): Promise<Measurement<TubeRecord>> {
  if (tubes && 'problem' in tubes) throw new GradcamppError('INVALID_IMAGE', tubes.problem);
  if (!tubes) return excluded({ image, class: -1, probability: NaN, annotated: null }, 'not annotated');
  const prepared = await subject.prepare(image);
  const targets = target === 'top' ? [{ top: 1 }] : await annotatedTarget(subject, prepared.tensor, tubes);
  if (targets.length === 0)
    return excluded({ image, class: -1, probability: NaN, annotated: null }, 'class not in the clip');
  const explained = await subject.explain(prepared, variants, targets, onStep);
  const [{ class: index, confidence: probability }] = explained.targets;
  const tube =
    tubes.find((one) => isCalled(one, subject.classes[index])) ?? tubes.find((one) => one.class === '');
  const what = { image, class: index, probability, annotated: tube?.class ?? null };
  if (!tube) return excluded(what, 'class not in the clip');
  const place = placeOfTube(tube.boxes, prepared.geometry, subject.size, prepared.clip);
  if (!place) return excluded(what, 'outside the frames or the crop');
  const maps = explained.maps.map(([map]) => map);
  const each = (value: (metric: (typeof tubeMetrics)[number]) => number) =>
    Object.fromEntries(tubeMetrics.map((metric) => [metric.key, value(metric)]));
  const record: TubeRecord = {
    ...what,
    boxes: place.boxes.flatMap((own, t) => own.map((box) => onSheet(box, t, subject.size))),
    chances: each(({ chance }) => chance(place)),
    variants: maps.map(({ data }) => each(({ measure }) => measure(data, place))),
  };
  return { record, pictures: [{ view: prepared.view, maps }] };
}

/** The most probable class among those that are annotated; a tube of no class is of whatever class. */
async function annotatedTarget(
  subject: Subject,
  tensor: Float32Array,
  tubes: readonly Tube[],
): Promise<number[]> {
  const probabilities = await subject.predict(tensor, 1);
  const own = subject.classes.flatMap((name, i) =>
    tubes.some((tube) => tube.class === '' || isCalled(tube, name)) ? [i] : [],
  );
  return own.length > 0 ? [own.reduce((a, b) => (probabilities[b] > probabilities[a] ? b : a))] : [];
}

function isCalled(tube: Tube, name: string): boolean {
  return tube.class.toLowerCase() === name.toLowerCase();
}

function excluded(
  what: Pick<TubeRecord, 'image' | 'class' | 'probability' | 'annotated'>,
  why: Exclusion,
): Measurement<TubeRecord> {
  return { record: { ...what, excluded: why, boxes: [], chances: {}, variants: [] }, pictures: [] };
}

/** Refuses a file whose classes the network does not know. */
export function checkClasses(tubes: readonly Tubes[], { classes }: Pick<Subject, 'classes'>): void {
  const named = tubes.flatMap((own) => (own && !('problem' in own) ? own : []));
  if (
    named.length === 0 ||
    named.some((tube) => tube.class === '' || classes.some((name) => isCalled(tube, name)))
  )
    return;
  throw new GradcamppError(
    'INVALID_OPTION',
    `No class of the network is called as an annotated class (${show(named[0].class)}); the network has ${classes.slice(0, 3).join(', ')}, ….`,
  );
}
