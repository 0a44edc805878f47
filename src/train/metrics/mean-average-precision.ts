import { percent } from '../../evaluate/metric.js';
import type { Metric } from './metric.js';

/** Of pictures that have any number of classes each. */
export const meanAveragePrecision: Metric = {
  key: 'mAP',
  name: 'mAP',
  hint: 'mean over the classes of the area under precision and recall',
  definition:
    'mean over the classes that any picture has of the average precision: Σ (R_n − R_n−1) P_n over the distinct scores from the highest on, without interpolation. That of VOC 2007 takes the largest precision at 11 recalls instead and is a little higher (Everingham et al., IJCV 2010)',
  better: 'higher',
  ...percent,
  measure: ({ scores, labels, classes }) => {
    const byClass = Array.from({ length: classes }, (_, c) =>
      averagePrecision(
        labels.map((_, n) => scores[n * classes + c]),
        labels.map((own) => own.includes(c)),
      ),
    );
    const known = byClass.filter((value) => !Number.isNaN(value));
    return { value: known.reduce((sum, value) => sum + value, 0) / known.length, byClass };
  },
};

/** Σ (R_n − R_n−1) P_n; pictures of equal scores are found together. NaN where none is right. */
export function averagePrecision(scores: readonly number[], isRight: readonly boolean[]): number {
  const order = scores.map((_, i) => i).sort((a, b) => scores[b] - scores[a]);
  let [found, before, sum] = [0, 0, 0];
  for (const [rank, i] of order.entries()) {
    found += Number(isRight[i]);
    if (scores[order[rank + 1]] === scores[i]) continue;
    sum += ((found - before) * found) / (rank + 1);
    before = found;
  }
  return sum / found;
}
