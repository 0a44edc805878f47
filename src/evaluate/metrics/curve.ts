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
