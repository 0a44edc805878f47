/**
 * Drop of confidence of one picture, in 0 … 1: max(0, Y − O) / Y. `full` is Y, the softmax probability of the
 * explained class on the picture, `masked` is O, its probability on the explanation map E = L ⊙ I. Averaged over
 * pictures and times 100 it is the paper's average drop %. Y = 0 leaves nothing to drop: 0.
 */
export function drop(full: number, masked: number): number {
  return full > 0 ? Math.max(0, full - masked) / full : 0;
}

/** 1 where the explanation map is more certain than the picture (O > Y), else 0: the paper's increase in confidence. */
export function increase(full: number, masked: number): number {
  return masked > full ? 1 : 0;
}

/** Shares of pictures in 0 … 1; they add up to 1. */
export interface Wins {
  readonly a: number;
  readonly b: number;
  readonly ties: number;
}

/** How often method a drops less than method b on the same picture, and the reverse; equal drops are ties. */
export function wins(dropsA: readonly number[], dropsB: readonly number[]): Wins {
  if (dropsA.length !== dropsB.length) throw new RangeError('wins are counted on the same pictures');
  let a = 0;
  let b = 0;
  for (let i = 0; i < dropsA.length; i++) {
    if (dropsA[i] < dropsB[i]) a++;
    else if (dropsB[i] < dropsA[i]) b++;
  }
  const count = dropsA.length;
  return { a: a / count, b: b / count, ties: (count - a - b) / count };
}
