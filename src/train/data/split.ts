import { random } from '../../random-stream.js';
import type { Labelled } from './labelled.js';

/** Indices of the pictures that are trained on, and of those that are chosen by: as the source says, or else drawn. */
export function trainAndValidation(
  { labels, parts }: Pick<Labelled, 'labels' | 'parts'>,
  share: number,
  seed: number,
): { train: number[]; validation: number[] } {
  if (!parts?.includes('validation')) return validationSplit(labels, share, seed);
  const all = labels.map((_, i) => i);
  return {
    train: all.filter((i) => parts[i] === 'train'),
    validation: all.filter((i) => parts[i] === 'validation'),
  };
}

/**
 * Picks a share of every class, at least one picture where the share is not 0, for validation; where pictures have several classes,
 * a share of all.
 *
 * @returns indices of both parts, ascending
 */
export function validationSplit(
  labels: readonly (readonly number[])[],
  share: number,
  seed: number,
): { train: number[]; validation: number[] } {
  const isMultiLabel = labels.some(({ length }) => length !== 1);
  const byClass = new Map<number, number[]>();
  for (const [i, [first]] of labels.entries()) {
    const label = isMultiLabel ? 0 : first;
    const own = byClass.get(label);
    if (own) own.push(i);
    else byClass.set(label, [i]);
  }
  const chosen = new Set<number>();
  for (const [label, own] of byClass) {
    const count = share === 0 ? 0 : Math.min(Math.max(1, Math.round(share * own.length)), own.length - 1);
    for (const i of random(seed, 'validation', label).shuffle(own).slice(0, count)) chosen.add(i);
  }
  const all = labels.map((_, i) => i);
  return { train: all.filter((i) => !chosen.has(i)), validation: all.filter((i) => chosen.has(i)) };
}
