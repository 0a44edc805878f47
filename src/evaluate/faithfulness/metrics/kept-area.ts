import { plain } from '../../metric.js';
import { areaUnder, removed } from './curve.js';
import type { FaithfulnessMetric } from '../shown-map.js';

export const keptArea: FaithfulnessMetric = {
  asked: 'area',
  key: 'areaAuc',
  name: 'Confidence against area, AUC',
  hint: () => 'share of the confidence kept with the q most salient pixels, over all q',
  definition:
    'exactly the fraction q of the pixels, the most salient ones, is kept, the rest is zero; probability over `Y` at q = 0, 0.1, …, 1, area under the curve. All maps keep equal area, so marking more gains nothing',
  column: 'area AUC',
  better: 'higher',
  ...plain,
  byChance: 'no fixed number: that of pixels in random order, the random control',
  applies: ({ steps }) => steps > 0,
  measure: (shown, { steps, deletionBaseline }) =>
    areaUnder(shown, steps, deletionBaseline, 'picture', (probability) =>
      ratio(probability, shown.picture.full),
    ),
  chart: ({ deletionBaseline }) => ({
    key: 'keptConfidence',
    title: 'Confidence against area',
    caption: `Only the q most salient pixels are shown, the rest is ${removed[deletionBaseline]}. All maps keep the same area, so marking more gains nothing.`,
    xLabel: 'area kept, q',
    yLabel: 'confidence kept, share',
  }),
};

/** Confidence that is left relative to the picture's own, Y; 1 where Y is 0 and nothing can be lost. */
function ratio(value: number, full: number): number {
  return full > 0 ? value / full : 1;
}
