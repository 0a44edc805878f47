import { didYouMean, invalid } from '../../../check.js';
import type { FaithfulnessSettings } from '../measuring-options.js';
import type { FaithfulnessMetric } from '../shown-map.js';
import { adcc, coherency, shownArea } from './adcc.js';
import { averageDrop } from './average-drop.js';
import { complexity } from './complexity.js';
import { deletion } from './deletion.js';
import { emptyMaps } from './empty-maps.js';
import { frameDeletion } from './frame-deletion.js';
import { increaseInConfidence } from './increase.js';
import { infidelity } from './infidelity.js';
import { insertion } from './insertion.js';
import { keptArea } from './kept-area.js';
import { maxSensitivity } from './max-sensitivity.js';
import { roadDifference, roadLeastFirst, roadMostFirst } from './road.js';
import { sparseness } from './sparseness.js';

/** Every metric, in the order of the report. */
export const faithfulnessMetrics: readonly FaithfulnessMetric[] = [
  averageDrop,
  increaseInConfidence,
  keptArea,
  deletion,
  insertion,
  frameDeletion,
  roadMostFirst,
  roadLeastFirst,
  roadDifference,
  infidelity,
  maxSensitivity,
  coherency,
  shownArea,
  adcc,
  sparseness,
  complexity,
  emptyMaps,
];

/** What `--metric` calls them, and those of them that are measured where none is named. */
export const metricNames = [...new Set(faithfulnessMetrics.map(({ asked }) => asked))];
export const usualMetrics = metricNames.filter((name) =>
  faithfulnessMetrics.some(({ asked, isCostly }) => asked === name && !isCostly),
);
const groups: Readonly<Record<string, readonly string[]>> = { usual: usualMetrics, all: metricNames };

/** Names and groups of metrics. */
export function checkMetrics(value: unknown, option: string): readonly string[] {
  const known = [...Object.keys(groups), ...metricNames];
  const expected = `a list of ${known.join(', ')}`;
  if (!Array.isArray(value) || value.length === 0) throw invalid(option, expected, value);
  for (const name of value)
    if (!known.includes(name)) throw invalid(option, expected, name, didYouMean(String(name), known));
  return value;
}

/** The metrics that names and groups stand for, in the order of the report. Pictures are compared by their drop: it is one of them. */
export function namesOf(chosen: readonly string[]): string[] {
  const asked = new Set([averageDrop.asked, ...chosen.flatMap((name) => groups[name] ?? [name])]);
  return metricNames.filter((name) => asked.has(name));
}

/** Those that are measured with these settings. */
export function metricsFor(settings: FaithfulnessSettings): FaithfulnessMetric[] {
  return faithfulnessMetrics.filter(
    ({ asked, applies }) => settings.metrics.includes(asked) && (applies?.(settings) ?? true),
  );
}
