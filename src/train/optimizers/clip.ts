/**
 * Scales all gradients together so that their common length is at most this (Pascanu et al., arXiv 1211.5063), in place.
 *
 * @returns the length before
 */
export function clipGradients(gradients: ReadonlyMap<string, Float32Array>, longest: number): number {
  let squares = 0;
  for (const gradient of gradients.values()) for (const value of gradient) squares += value * value;
  const length = Math.sqrt(squares);
  if (length > longest)
    for (const gradient of gradients.values())
      for (let i = 0; i < gradient.length; i++) gradient[i] *= longest / length;
  return length;
}
