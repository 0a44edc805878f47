import { plain } from '../../metric.js';
import type { LocalizationMetric } from '../place.js';

export function loc(delta: number): LocalizationMetric {
  return {
    key: `localization(${delta})`,
    name: `Loc(${delta})`,
    hint:
      delta === 0
        ? 'overlap of the non-zero part of the map and the boxes'
        : `overlap of the map ≥ ${delta} and the boxes`,
    definition:
      'internal / (box area + external area) of the positions with `L ≥ δ`, boxes of the class united (Chattopadhyay et al., arXiv 1710.11063). Written out that is the intersection over the union of marked positions and boxes. At δ = 0 the non-zero positions are meant, as the paper says: `L ≥ 0` would be the whole picture for every method',
    column: `Loc(${delta})`,
    better: 'higher',
    ...plain,
    byChance: 'the share of the input that the places cover, which is what marking everything gets',
    chance: ({ area }) => area,
    chanceIsBound: true,
    measure: ({ data }, { inside }) => localization(areasAt(data, inside, delta)),
  };
}

/** Positions that a map marks, by where they lie. */
export interface Areas {
  /** Marked positions inside the ground truth. */
  readonly internal: number;
  /** Marked positions outside of it. */
  readonly external: number;
  /** Positions of the ground truth. */
  readonly truth: number;
}

/**
 * Areas after binarising at L ≥ δ. A position whose value is 0 is never marked, so at δ = 0 the marked positions
 * are the non-zero ones: the paper counts "non-zero pixels", and L ≥ 0 would mark the whole picture for every method.
 *
 * @param map normalised, 0 … 1, at the network's input size
 * @param inside 1 at the positions of the ground truth, 0 elsewhere
 */
export function areasAt(map: Float32Array, inside: Uint8Array, delta: number): Areas {
  let internal = 0;
  let external = 0;
  let truth = 0;
  for (let p = 0; p < map.length; p++) {
    const marked = map[p] >= delta && map[p] > 0;
    truth += inside[p];
    if (marked && inside[p]) internal++;
    else if (marked) external++;
  }
  return { internal, external, truth };
}

/**
 * The paper's Loc(δ) = internal / (box area + external area), 0 … 1. Written out this is the intersection over the
 * union of the marked positions and the ground truth.
 */
export function localization({ internal, external, truth }: Areas): number {
  return truth + external > 0 ? internal / (truth + external) : 0;
}
