import { plain } from '../../metric.js';
import { areaUnder, removed } from './curve.js';
import type { FaithfulnessMetric } from '../shown-map.js';

export const deletion: FaithfulnessMetric = {
  asked: 'deletion',
  key: 'deletionAuc',
  name: 'Deletion AUC',
  hint: ({ deletionBaseline }) =>
    `probability while the most salient pixels become ${removed[deletionBaseline]}`,
  definition:
    'probability while the most salient pixels become zero, area under the curve (Petsiuk et al., arXiv 1806.07421)',
  column: 'deletion AUC',
  better: 'lower',
  ...plain,
  byChance: 'no fixed number: that of pixels in random order, the random control',
  applies: ({ steps }) => steps > 0,
  measure: (shown, { steps, deletionBaseline }) => areaUnder(shown, steps, deletionBaseline, 'baseline'),
  chart: ({ deletionBaseline }) => ({
    key: 'deletion',
    title: 'Deletion',
    caption: `The most salient pixels are removed first and become ${removed[deletionBaseline]}. A fast fall is good.`,
    xLabel: 'area deleted',
    yLabel: 'probability',
  }),
};
