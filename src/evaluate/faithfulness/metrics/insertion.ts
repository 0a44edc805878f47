import { plain } from '../../metric.js';
import { areaUnder, nothing } from './curve.js';
import type { FaithfulnessMetric } from '../shown-map.js';

export const insertion: FaithfulnessMetric = {
  asked: 'insertion',
  key: 'insertionAuc',
  name: 'Insertion AUC',
  hint: ({ insertionBaseline }) =>
    `probability while the most salient pixels return to ${nothing[insertionBaseline]}`,
  definition:
    'probability while the most salient pixels return to the blurred picture (Gaussian σ = 5 in 11 taps, edges clamped), area under the curve (Petsiuk et al.)',
  column: 'insertion AUC',
  better: 'higher',
  ...plain,
  byChance: 'no fixed number: that of pixels in random order, the random control',
  applies: ({ steps }) => steps > 0,
  measure: (shown, { steps, insertionBaseline }) => areaUnder(shown, steps, insertionBaseline, 'picture'),
  chart: ({ insertionBaseline }) => ({
    key: 'insertion',
    title: 'Insertion',
    caption: `The most salient pixels are put first into ${nothing[insertionBaseline]}. A fast rise is good.`,
    xLabel: 'area inserted',
    yLabel: 'probability',
  }),
};
