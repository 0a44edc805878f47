import { normals, random } from '../../../random-stream.js';
import { impute } from '../../imputation.js';
import { positionOf } from '../../masking.js';
import { plain } from '../../metric.js';
import { mean } from '../../statistics.js';
import type { FaithfulnessSettings } from '../measuring-options.js';
import type { FaithfulnessMetric, MaskedPicture, ShownMap } from '../shown-map.js';
import { countAt } from './curve.js';
import { rangeOf } from './max-sensitivity.js';

const charted = (key: string, title: string, caption: string): FaithfulnessMetric['chart'] => {
  return ({ percentiles }) => ({
    key,
    title,
    caption,
    xLabel: 'area removed',
    yLabel: 'probability',
    x: ascending(percentiles).map((percentile) => percentile / 100),
  });
};

export const roadMostFirst: FaithfulnessMetric = {
  asked: 'road',
  isCostly: true,
  key: 'roadMostFirst',
  name: 'ROAD, most relevant first',
  hint: ({ percentiles }) => `probability without the most salient ${shares(percentiles)} %, mean`,
  definition:
    'the most salient pixels are removed and imputed from their neighbours, so that the shape of what is missing tells the network nothing; mean of the probability at 10, 20, …, 90 % of the pixels (`--percentile`). Noisy linear imputation (Rong et al., arXiv 2202.00449, Sec. 4.2): each removed pixel is the mean of its eight neighbours with the weights 1/6 beside and 1/12 across, all in one linear system, solved to a residual of 10⁻⁵, plus normal noise of σ = 0.01 of the range of the picture’s values. The paper counts how often the class stays the top one; the probability is there for every target',
  column: 'ROAD MoRF',
  better: 'lower',
  ...plain,
  byChance: 'no fixed number: that of pixels in random order, the random control',
  measure: (shown, settings) => roadCurve(shown, settings, 'most'),
  chart: charted(
    'roadMostFirst',
    'ROAD, most relevant first',
    'The most salient pixels are removed first and imputed from what is around them. A fast fall is good.',
  ),
  chartValue: 'mean',
};

export const roadLeastFirst: FaithfulnessMetric = {
  asked: 'road',
  isCostly: true,
  key: 'roadLeastFirst',
  name: 'ROAD, least relevant first',
  hint: ({ percentiles }) => `probability without the least salient ${shares(percentiles)} %, mean`,
  definition: 'the same of the least salient pixels',
  column: 'ROAD LeRF',
  better: 'higher',
  ...plain,
  byChance: 'no fixed number: that of pixels in random order, the random control',
  measure: (shown, settings) => roadCurve(shown, settings, 'least'),
  chart: charted(
    'roadLeastFirst',
    'ROAD, least relevant first',
    'The least salient pixels are removed first and imputed from what is around them. A late fall is good.',
  ),
  chartValue: 'mean',
};

export const roadDifference: FaithfulnessMetric = {
  asked: 'road',
  isCostly: true,
  key: 'roadDifference',
  name: 'ROAD, combined',
  hint: () => 'half of least first less most first',
  definition: 'half of the difference, least less most relevant first, as pytorch-grad-cam combines the two',
  column: 'ROAD',
  better: 'higher',
  ...plain,
  byChance: 'none in the mean: a map that knows nothing removes as much of what matters first as last',
  chance: 0,
  measure: async (shown, settings) => {
    const most = await roadCurve(shown, settings, 'most');
    const least = await roadCurve(shown, settings, 'least');
    return { value: (least.value - most.value) / 2 };
  },
};

/** Parts of the range of the picture's values. */
const noise = 0.01;

type Order = 'most' | 'least';

function roadCurve(shown: ShownMap, { percentiles }: FaithfulnessSettings, order: Order) {
  return shown.once(`road ${order}`, async () => {
    const points = ascending(percentiles).map((percentile) => without(shown, percentile / 100, order));
    const curve = await Promise.all(points);
    return { value: mean(curve), curve };
  });
}

/** The probability without a fraction of the positions. */
function without(shown: ShownMap, fraction: number, order: Order): Promise<number> {
  const { prepared, subject, predictions } = shown.picture;
  const { layout, size } = subject;
  const { positions } = layout;
  const ranks = shown.ranks();
  const count = countAt(fraction, positions);
  return predictions.ask((out) => {
    const removed = Uint8Array.from(ranks, (rank) =>
      Number(order === 'most' ? rank < count : rank >= positions - count),
    );
    impute(prepared.tensor, removed, layout, size, out);
    const added = noiseOf(shown.picture);
    for (let i = 0; i < out.length; i++) if (removed[positionOf(layout, i)]) out[i] += added[i];
  });
}

/** Normal noise for every value, the same for all maps and fractions of a picture. */
function noiseOf(picture: MaskedPicture): Float32Array {
  return picture.once('road noise', () => {
    const { tensor, image } = picture.prepared;
    const sigma = noise * rangeOf(tensor);
    const normal = normals(random(picture.seed, 'road', image));
    return tensor.map(() => sigma * normal());
  });
}

function ascending(percentiles: readonly number[]): number[] {
  return [...new Set(percentiles)].sort((a, b) => a - b);
}

function shares(percentiles: readonly number[]): string {
  return ascending(percentiles).join(', ');
}
