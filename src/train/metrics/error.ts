import { percent } from '../../evaluate/metric.js';
import type { Metric } from './metric.js';

/** Of pictures that have one class each. */
export const error: Metric = {
  key: 'error',
  name: 'Error',
  hint: 'share of the pictures whose class is not the best one',
  definition: 'share of the pictures whose class does not have the highest score (the first of several)',
  better: 'lower',
  ...percent,
  measure: ({ scores, labels, classes }) => {
    const counts = Array<number>(classes).fill(0);
    const wrong = Array<number>(classes).fill(0);
    for (const [n, [label]] of labels.entries()) {
      const row = scores.subarray(n * classes, (n + 1) * classes);
      counts[label]++;
      if (row.indexOf(Math.max(...row)) !== label) wrong[label]++;
    }
    const sum = wrong.reduce((total, count) => total + count, 0);
    return { value: sum / labels.length, byClass: wrong.map((count, c) => count / counts[c]) };
  },
};
