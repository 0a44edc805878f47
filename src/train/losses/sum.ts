import type { Name } from '../../graph/builder.js';
import type { NetworkBuilder } from '../network-builder.js';

/** A term of a loss. */
export interface Term {
  /** Dims []. */
  readonly value: Name;
  /** Default 1. */
  readonly weight?: number;
}

/** Σ weight · value. Each term is known after every step by its name, before its weight. */
export function sumOfTerms(b: NetworkBuilder, terms: Readonly<Record<string, Term>>): Name {
  const parts = Object.entries(terms).map(([name, { value, weight = 1 }]) => {
    b.fetch(name, value);
    return b.scale(value, weight);
  });
  return parts.length > 1 ? b.op('Sum', parts) : parts[0];
}
