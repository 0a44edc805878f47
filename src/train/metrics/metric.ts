import type { MetricWords } from '../../evaluate/metric.js';

/** What a network says of pictures, and what is in them. */
export interface Answers {
  /** Before softmax or sigmoid, M a picture. */
  readonly scores: Float32Array;
  /** The classes of each picture. */
  readonly labels: readonly (readonly number[])[];
  /** M. */
  readonly classes: number;
}

/** What a network came to. */
export interface Measure {
  readonly value: number;
  /** In the order of the classes; NaN where no picture has the class. */
  readonly byClass: readonly number[];
}

/** What networks are compared by. */
export interface Metric extends Omit<MetricWords, 'byChance' | 'chanceIsBound'> {
  readonly better: 'lower' | 'higher';
  readonly measure: (answers: Answers) => Measure;
}
