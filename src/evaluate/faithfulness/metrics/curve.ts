import { type Baseline } from '../../masking.js';
import type { Reading, ShownMap } from '../shown-map.js';

/** What removed pixels become, and the picture of nothing but such pixels, in words. */
export const removed = { zero: 'zero', black: 'black', mean: 'the mean colour', blur: 'blurred' };
export const nothing = {
  zero: 'an input of zeros',
  black: 'a black picture',
  mean: 'the mean colour',
  blur: 'the blurred picture',
};

/** The area under probabilities at 0, 1/steps, …, 1 of the positions, the most salient first; `of` makes of them what is drawn. */
export async function areaUnder(
  shown: ShownMap,
  steps: number,
  baseline: Baseline,
  salient: 'picture' | 'baseline',
  of: (probability: number) => number = (probability) => probability,
): Promise<Reading> {
  const { positions } = shown.picture.subject.layout;
  const x = fractions(steps);
  const points = x.map((fraction) => shown.merged(countAt(fraction, positions), baseline, salient));
  const curve = (await Promise.all(points)).map(of);
  return { value: area({ x, y: curve }), curve };
}

/** A curve over the fraction of the picture that was kept, deleted or inserted; `y` at every `x`. */
export interface Curve {
  readonly x: readonly number[];
  readonly y: readonly number[];
}

/** 0, 1/steps, …, 1. */
export function fractions(steps: number): number[] {
  return Array.from({ length: steps + 1 }, (_, i) => i / steps);
}

/** How many of `positions` a fraction takes, rounded; 0 and 1 take none and all. */
export function countAt(fraction: number, positions: number): number {
  return Math.round(fraction * positions);
}

/** Area under a curve by the trapezoid rule, over the x it covers. */
export function area({ x, y }: Curve): number {
  let sum = 0;
  for (let i = 1; i < x.length; i++) sum += ((x[i] - x[i - 1]) * (y[i] + y[i - 1])) / 2;
  return sum;
}
