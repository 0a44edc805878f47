import { error } from './error.js';
import { meanAveragePrecision } from './mean-average-precision.js';
import type { Metric } from './metric.js';

/** What networks are compared by, by key. */
export const metrics: readonly Metric[] = [error, meanAveragePrecision];

/** Error of one class a picture, mAP of any number. */
export function metricFor(multiLabel: boolean): Metric {
  return multiLabel ? meanAveragePrecision : error;
}
