import type { Link } from '../target.js';

/** Probabilities of one picture's scores; undefined where the scores are no class scores (regression). */
export function probabilitiesOf(scores: Float32Array, link: Link): Float32Array | undefined {
  if (typeof link === 'object') {
    const { of, scale, shift, least, most } = link;
    const plain = probabilitiesOf(scores, of);
    return plain?.map((value) => Math.min(Math.max(scale * value + shift, least), most));
  }
  if (link === 'sigmoid') return scores.map((score) => 1 / (1 + Math.exp(-score)));
  if (link === 'identity') return scores;
  return link === 'softmax' && scores.length > 1 ? softmax(scores) : undefined;
}

export function softmax(scores: Float32Array): Float32Array {
  let maximum = scores[0];
  for (let i = 1; i < scores.length; i++) if (scores[i] > maximum) maximum = scores[i];
  const powers = new Float64Array(scores.length);
  let sum = 0;
  for (let i = 0; i < scores.length; i++) sum += powers[i] = Math.exp(scores[i] - maximum);
  const probabilities = new Float32Array(scores.length);
  for (let i = 0; i < scores.length; i++) probabilities[i] = powers[i] / sum;
  return probabilities;
}

/** Indices of the n largest scores, largest first, the lower index first among equals. */
export function best(scores: ArrayLike<number>, n: number): number[] {
  const found: number[] = [];
  for (let i = 0; i < scores.length; i++) {
    let at = found.length;
    if (at === n && !(scores[found[at - 1]] < scores[i])) continue; // most are
    while (at > 0 && scores[found[at - 1]] < scores[i]) at--;
    found.splice(at, 0, i);
    if (found.length > n) found.pop();
  }
  return found;
}
