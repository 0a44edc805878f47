import type { FaithfulnessSettings } from '../masking-options.js';
import type { FaithfulnessMetric } from '../shown-map.js';
import { averageDrop } from './average-drop.js';
import { deletion } from './deletion.js';
import { emptyMaps } from './empty-maps.js';
import { increaseInConfidence } from './increase.js';
import { insertion } from './insertion.js';
import { keptArea } from './kept-area.js';
import { sparseness } from './sparseness.js';

/** Every metric, in the order of the report. */
export const faithfulnessMetrics: readonly FaithfulnessMetric[] = [
  averageDrop,
  increaseInConfidence,
  keptArea,
  deletion,
  insertion,
  sparseness,
  emptyMaps,
];

/** Those that are measured with these settings. */
export function metricsFor(settings: FaithfulnessSettings): FaithfulnessMetric[] {
  return faithfulnessMetrics.filter(({ applies }) => applies?.(settings) ?? true);
}
