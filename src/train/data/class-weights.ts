import { GradcamppError } from '../../errors.js';
import type { Labelled } from './labelled.js';

/** What `--class-weights` takes: a number for each class, or 'balanced'. */
export type ClassWeights = 'balanced' | readonly number[];

/**
 * How much each class counts in the loss of the labels. 'balanced': of one class a picture N / (M n_c), so that all classes count the
 * same and a picture 1 in the mean; of several classes (N − n_c) / n_c, so that a class counts as much where it is as where it is not.
 *
 * @param train indices of the pictures that are trained on, which are counted
 * @throws GradcamppError INVALID_OPTION where there are not as many numbers as classes
 */
export function classWeightsOf(
  given: ClassWeights | undefined,
  { labels, classes, isMultiLabel }: Pick<Labelled, 'labels' | 'classes' | 'isMultiLabel'>,
  train: readonly number[],
): readonly number[] | undefined {
  if (given === undefined) return undefined;
  if (given !== 'balanced') {
    if (given.length === classes.length) return given;
    throw new GradcamppError(
      'INVALID_OPTION',
      `"classWeights" has ${given.length} numbers, and there are ${classes.length} classes: ${classes.slice(0, 12).join(', ')}${classes.length > 12 ? ', …' : ''}. Give one for each, in this order, or balanced.`,
    );
  }
  const counts = Array<number>(classes.length).fill(0);
  for (const i of train) for (const label of labels[i]) counts[label]++;
  return counts.map((count) =>
    isMultiLabel
      ? Math.max(train.length - count, 1) / Math.max(count, 1)
      : train.length / (classes.length * Math.max(count, 1)),
  );
}
