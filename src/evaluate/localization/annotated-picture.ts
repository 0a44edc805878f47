import { decodeImage } from '../../image/decode.js';
import type { AnnotatedObject } from '../annotations/annotation.js';
import { type Box, boxInInput, regionOfBoxes, regionOfMask } from '../annotations/region.js';
import type { Job, Measurement } from '../measurement.js';
import type { PreparedImage, Subject } from '../subject.js';
import { localizationMetrics } from './metrics/index.js';
import { areasAt, localization } from './metrics/loc.js';
import type { LocalizationSettings, Place } from './place.js';

/** Thresholds of the curve over δ. */
export const deltaGrid = Array.from({ length: 20 }, (_, i) => i / 20);

/** A picture and what is known of it: objects with boxes, or mask files by class ('' where the class is not said). */
export interface LocalizationJob extends Job {
  readonly objects?: readonly AnnotatedObject[];
  readonly masks?: Readonly<Record<string, string>>;
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
): Promise<Measurement<LocalizationRecord>> {
  const prepared = await subject.prepare(job.image);
  const targets =
    settings.target === 'top' ? undefined : await annotatedTarget(subject, prepared, job, settings);
  if (targets?.length === 0)
    return excluded(job.image, { class: -1, probability: NaN, annotated: null }, noTarget(job, settings));
  const explained = await subject.explain(prepared, settings.variants, targets);
  const index = explained.targets[0];
  const annotated = settings.mapping[index];
  const what = { class: index, probability: explained.probabilities[index], annotated };
  const place = await placeOf(job, annotated, prepared);
  if (typeof place === 'string') return excluded(job.image, what, place);

  const [height, width] = subject.size.slice(-2);
  const maps = explained.maps.map(([map]) => map);
  const metrics = localizationMetrics(settings);
  const each = (value: (metric: (typeof metrics)[number]) => number) =>
    Object.fromEntries(metrics.map((metric) => [metric.key, value(metric)]));
  const record: LocalizationRecord = {
    image: job.image,
    ...what,
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

/** The most probable class among those that are annotated in the picture, or none. */
async function annotatedTarget(
  subject: Subject,
  { tensor }: PreparedImage,
  { objects = [], masks = {} }: LocalizationJob,
  { mapping }: LocalizationSettings,
): Promise<number[]> {
  const probabilities = await subject.predict(tensor, 1);
  const present = new Set([...objects.map((object) => object.class), ...Object.keys(masks)]);
  let best: number | undefined;
  mapping.forEach((name, i) => {
    if (name !== null && present.has(name) && (best === undefined || probabilities[i] > probabilities[best]))
      best = i;
  });
  return best === undefined ? [] : [best];
}

function noTarget({ objects, masks }: LocalizationJob, { mapping }: LocalizationSettings): Exclusion {
  if (!objects && !masks) return 'not annotated';
  return mapping.every((name) => name === null) ? 'no corresponding class' : 'class not in the picture';
}

async function placeOf(
  { objects, masks }: LocalizationJob,
  annotated: string | null,
  { geometry }: PreparedImage,
): Promise<Place | Exclusion> {
  const { width, height } = geometry.input;
  const file = masks && (masks[annotated ?? ''] ?? masks['']);
  if (file !== undefined) {
    const { data, ...size } = await decodeImage(file);
    const mask = {
      ...size,
      data: Uint8Array.from({ length: size.width * size.height }, (_, i) => data[i * 3] >> 7),
    };
    const inside = regionOfMask(mask, geometry);
    const box = boundsOf(inside, width);
    return box ? placeAt(inside, [box], width) : 'outside the crop';
  }
  if (!objects && !masks) return 'not annotated';
  if (annotated === null) return 'no corresponding class';
  const own = (objects ?? []).filter((object) => object.class === annotated);
  if (own.length === 0) return 'class not in the picture';
  const boxes = own.flatMap((object) => boxInInput(object.box, geometry) ?? []);
  return boxes.length > 0 ? placeAt(regionOfBoxes(boxes, width, height), boxes, width) : 'outside the crop';
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
