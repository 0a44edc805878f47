import type { Box } from '../annotations/region.js';
import type { CommonSettings } from '../measurement.js';
import type { Metric } from '../metric.js';
import type { ExplanationMap } from '../subject.js';

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

/** Where the explained class is in the network's input. */
export interface Place {
  /** 1 at the positions of the ground truth, all boxes or masks of the class united; 0 elsewhere; row-major. */
  readonly inside: Uint8Array;
  /** Share of the positions that are inside. */
  readonly area: number;
  readonly boxes: readonly Box[];
  readonly width: number;
}

/** A metric of localisation: it compares a map with the place of its class. */
export interface LocalizationMetric extends Omit<Metric<never>, 'value' | 'chance'> {
  readonly measure: (map: ExplanationMap, place: Place) => number;
  /** What `byChance` comes to on this place. */
  readonly chance: (place: Place) => number;
}
