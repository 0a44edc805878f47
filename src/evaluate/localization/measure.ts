import { decodeImage } from '../../image/decode.js';
import type { AnnotatedObject } from '../annotations/annotation.js';
import { boxInInput, regionOfBoxes, regionOfMask } from '../annotations/region.js';
import { controlMap, explainWithControl } from '../control.js';
import type { CommonSettings, Job, Measurement } from '../measurement.js';
import {
  areasAt,
  type Box,
  boxIoU,
  energyInside,
  localization,
  pointing,
  proposeBox,
} from '../metrics/localization.js';
import type { ExplanationMap, PreparedImage, Subject } from '../subject.js';

export interface LocalizationSettings extends CommonSettings {
  /** Thresholds of Loc(δ). */
  readonly deltas: readonly number[];
  /** Pixels of the input that the pointing game forgives. */
  readonly tolerance: number;
  /** Share of the maximum above which a map proposes its box. */
  readonly boxThreshold: number;
  /** Explain the top class (the paper), or the most probable class among those that are annotated in the picture. */
  readonly target: 'top' | 'annotated';
  /** Annotated class of every class of the network; null where none corresponds. */
  readonly mapping: readonly (string | null)[];
}

export const localizationDefaults = {
  deltas: [0, 0.25, 0.5],
  tolerance: 0,
  boxThreshold: 0.15,
  target: 'top',
  seed: 1,
} as const satisfies Omit<LocalizationSettings, 'variants' | 'mapping'>;

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
  /** One a variant; empty where excluded. */
  readonly variants: readonly VariantLocalization[];
}

export interface VariantLocalization {
  readonly empty: boolean;
  /** Loc(δ) at the settings' deltas. */
  readonly localization: readonly number[];
  /** Loc(δ) at `deltaGrid`. */
  readonly curve: readonly number[];
  /** IoU of the proposed box with the best of the true boxes; 0 without a proposal. */
  readonly boxIoU: number;
  readonly pointing: number;
  readonly energy: number;
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
  const control = controlMap(subject, prepared, settings.seed);
  const explained = await explainWithControl(subject, prepared, settings.variants, control, targets);
  const index = explained.targets[0];
  const annotated = settings.mapping[index];
  const what = { class: index, probability: explained.probabilities[index], annotated };
  const truth = await truthOf(job, annotated, prepared);
  if (typeof truth === 'string') return excluded(job.image, what, truth);

  const [height, width] = subject.size.slice(-2);
  const maps = explained.maps.map(([map]) => map);
  const { inside, boxes } = truth;
  const record: LocalizationRecord = {
    image: job.image,
    ...what,
    boxes: boxes.map(({ x0, y0, x1, y1 }) => [x0 / width, y0 / height, x1 / width, y1 / height]),
    area: inside.reduce((sum, value) => sum + value, 0) / inside.length,
    variants: maps.map((map) => measureMap(map, inside, boxes, width, settings)),
  };
  return { record, pictures: [{ view: prepared.view, maps }] };
}

function measureMap(
  { data, empty }: ExplanationMap,
  inside: Uint8Array,
  boxes: readonly Box[],
  width: number,
  { deltas, tolerance, boxThreshold }: LocalizationSettings,
): VariantLocalization {
  const at = (delta: number): number => localization(areasAt(data, inside, delta));
  const proposal = proposeBox(data, width, boxThreshold);
  return {
    empty,
    localization: deltas.map(at),
    curve: deltaGrid.map(at),
    boxIoU: proposal ? Math.max(...boxes.map((box) => boxIoU(proposal, box))) : 0,
    pointing: pointing(data, inside, tolerance, width),
    energy: energyInside(data, inside),
  };
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

async function truthOf(
  { objects, masks }: LocalizationJob,
  annotated: string | null,
  { geometry }: PreparedImage,
): Promise<{ inside: Uint8Array; boxes: readonly Box[] } | Exclusion> {
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
    return box ? { inside, boxes: [box] } : 'outside the crop';
  }
  if (!objects && !masks) return 'not annotated';
  if (annotated === null) return 'no corresponding class';
  const own = (objects ?? []).filter((object) => object.class === annotated);
  if (own.length === 0) return 'class not in the picture';
  const boxes = own.flatMap((object) => boxInInput(object.box, geometry) ?? []);
  return boxes.length > 0 ? { inside: regionOfBoxes(boxes, width, height), boxes } : 'outside the crop';
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
    record: { image, ...what, excluded: why, boxes: [], area: 0, variants: [] },
    pictures: [],
  };
}
