import { GradcamppError } from '../../errors.js';
import { best } from '../../targets/common/probabilities.js';
import {
  type Annotation,
  relativeBox,
  type Size,
  sizeOfPixels,
  type SizeRemark,
} from '../annotations/annotation.js';
import { readMask } from '../annotations/mask-region.js';
import { type Box, boxInInput, regionOfBoxes, regionOfMask } from '../annotations/region.js';
import type { Job, Measurement } from '../measurement.js';
import type { OnStep } from '../../explain/progress.js';
import type { PreparedImage, Subject } from '../subject.js';
import { localizationMetrics } from './metrics/index.js';
import { areasAt, localization } from './metrics/loc.js';
import type { LocalizationSettings, Place } from './place.js';

/** Thresholds of the curve over δ. */
export const deltaGrid = Array.from({ length: 20 }, (_, i) => i / 20);

/** A picture and what is annotated of it, or why that cannot be told. */
export interface LocalizationJob extends Job {
  readonly annotation?: Annotation;
  readonly problem?: string;
}

/** Why a picture does not count. */
export type Exclusion =
  | 'not annotated'
  | 'no corresponding class'
  | 'class not in the picture'
  | 'outside the crop';

export interface LocalizationRecord {
  readonly image: string;
  readonly class: number;
  readonly probability: number;
  /** The annotated class, where there is one. */
  readonly annotated: string | null;
  /** Set where the picture does not count; there are no measures then. */
  readonly excluded?: Exclusion;
  /** How the picture's size was known where it is not the declared one, with both. */
  readonly size?: { readonly remark: SizeRemark; readonly declared?: Size; readonly picture: Size };
  /** What is drawn: boxes as fractions of the input. */
  readonly boxes: readonly (readonly [number, number, number, number])[];
  /** Share of the input that the ground truth covers. */
  readonly area: number;
  /** What a map gets that knows nothing of the picture, by the metric's key. */
  readonly chances: Readonly<Record<string, number>>;
  /** One a variant; empty where excluded. */
  readonly variants: readonly VariantLocalization[];
}

export interface VariantLocalization {
  readonly empty: boolean;
  /** By the metric's key. */
  readonly values: Readonly<Record<string, number>>;
  /** Loc(δ) at `deltaGrid`. */
  readonly curve: readonly number[];
}

/** One picture: the class explained by every variant, and how the maps agree with the annotated places of that class. */
export async function measureLocalization(
  subject: Subject,
  job: LocalizationJob,
  settings: LocalizationSettings,
  onStep?: OnStep,
): Promise<Measurement<LocalizationRecord>> {
  if (job.problem !== undefined) throw new GradcamppError('INVALID_IMAGE', job.problem);
  const prepared = await subject.prepare(job.image);
  const targets =
    settings.target === 'top' ? [{ top: 1 }] : await annotatedTarget(subject, prepared, job, settings);
  if (targets?.length === 0)
    return excluded(job.image, { class: -1, probability: NaN, annotated: null }, noTarget(job, settings));
  const explained = await subject.explain(prepared, settings.variants, targets, onStep);
  const [{ class: index, confidence: probability }] = explained.targets;
  const annotated = settings.mapping[index];
  const what = { class: index, probability, annotated };
  const found = await placeOf(job, annotated, prepared);
  if (typeof found === 'string') return excluded(job.image, what, found);
  const { place, size } = found;

  const [height, width] = subject.size.slice(-2);
  const maps = explained.maps.map(([map]) => map);
  const metrics = localizationMetrics(settings);
  const each = (value: (metric: (typeof metrics)[number]) => number) =>
    Object.fromEntries(metrics.map((metric) => [metric.key, value(metric)]));
  const record: LocalizationRecord = {
    image: job.image,
    ...what,
    ...(size ? { size } : {}),
    boxes: place.boxes.map(({ x0, y0, x1, y1 }) => [x0 / width, y0 / height, x1 / width, y1 / height]),
    area: place.area,
    chances: each(({ chance }) => chance(place)),
    variants: maps.map((map) => ({
      empty: map.empty,
      values: each(({ measure }) => measure(map, place)),
      curve: deltaGrid.map((delta) => localization(areasAt(map.data, place.inside, delta))),
    })),
  };
  return { record, pictures: [{ view: prepared.view, maps }] };
}

/** The most probable class among those that are annotated in the picture, or none; a mask of no class is of whatever class. */
async function annotatedTarget(
  subject: Subject,
  { tensor }: PreparedImage,
  { annotation = {} }: LocalizationJob,
  { mapping }: LocalizationSettings,
): Promise<number[]> {
  const probabilities = await subject.predict(tensor, 1);
  const { objects = [], masks = {} } = annotation;
  if ('' in masks) return best(probabilities, 1);
  const present = new Set([...objects.map((object) => object.class), ...Object.keys(masks)]);
  const candidates = probabilities.map((value, i) => (present.has(mapping[i] ?? '') ? value : -1));
  const [target] = best(candidates, 1);
  return candidates[target] >= 0 ? [target] : [];
}

function noTarget({ annotation }: LocalizationJob, { mapping }: LocalizationSettings): Exclusion {
  if (!annotation) return 'not annotated';
  return mapping.every((name) => name === null) ? 'no corresponding class' : 'class not in the picture';
}

/** Where the annotated class is in the network's input. */
async function placeOf(
  { annotation }: LocalizationJob,
  annotated: string | null,
  { geometry }: PreparedImage,
): Promise<{ place: Place; size?: LocalizationRecord['size'] } | Exclusion> {
  if (!annotation) return 'not annotated';
  const { width, height } = geometry.input;
  const { objects = [], declared, masks } = annotation;
  const file = masks && (masks[annotated ?? ''] ?? masks['']);
  if (file !== undefined) {
    const mask = await readMask(file);
    if (!mask.data.includes(1)) return 'class not in the picture';
    const inside = regionOfMask(mask, geometry);
    const box = boundsOf(inside, width);
    return box ? { place: placeAt(inside, [box], width) } : 'outside the crop';
  }
  if (annotated === null) return 'no corresponding class';
  const own = objects.filter((object) => object.class === annotated);
  if (own.length === 0) return 'class not in the picture';
  const { picture } = geometry;
  const { size, remark } = sizeOfPixels(declared, picture);
  const boxes = own.flatMap((object) => boxInInput(relativeBox(object, size), geometry) ?? []);
  if (boxes.length === 0) return 'outside the crop';
  const isSaid = remark !== undefined && own.some(({ unit }) => unit === 'pixel');
  return {
    place: placeAt(regionOfBoxes(boxes, width, height), boxes, width),
    ...(isSaid ? { size: { remark, declared, picture } } : {}),
  };
}

function placeAt(inside: Uint8Array, boxes: readonly Box[], width: number): Place {
  return { inside, boxes, width, area: inside.reduce((sum, value) => sum + value, 0) / inside.length };
}

function boundsOf(inside: Uint8Array, width: number): Box | undefined {
  let [x0, y0, x1, y1] = [Infinity, Infinity, 0, 0];
  for (let p = 0; p < inside.length; p++) {
    if (!inside[p]) continue;
    const x = p % width;
    const y = (p - x) / width;
    x0 = Math.min(x0, x);
    y0 = Math.min(y0, y);
    x1 = Math.max(x1, x + 1);
    y1 = Math.max(y1, y + 1);
  }
  return x1 > 0 ? { x0, y0, x1, y1 } : undefined;
}

function excluded(
  image: string,
  what: Pick<LocalizationRecord, 'class' | 'probability' | 'annotated'>,
  why: Exclusion,
): Measurement<LocalizationRecord> {
  return {
    record: { image, ...what, excluded: why, boxes: [], area: 0, chances: {}, variants: [] },
    pictures: [],
  };
}
