import { rangeOf } from './arrays.js';
import type { Evidence } from './evidence.js';

/** How much noise, and how often. */
export interface Noise {
  readonly samples: number;
  readonly sigma: number;
  readonly seed: number;
}

/**
 * x + σ (max x − min x) ε, ε normal, of all pictures of a batch, again and again in the same array. A picture's noise depends on the
 * seed and its name alone.
 */
export function* noisyPictures(
  { images, input, random }: Pick<Evidence, 'images' | 'input' | 'random'>,
  { samples, sigma, seed }: Noise,
): Generator<Float32Array> {
  const size = input.length / images;
  const pictures = Array.from({ length: images }, (_, n) => {
    const own = input.subarray(n * size, (n + 1) * size);
    const { least, most } = rangeOf(own);
    return { own, scale: sigma * (most - least), numbers: random(seed, n, 'noise') };
  });
  const noisy = new Float32Array(input.length);
  for (let sample = 0; sample < samples; sample++) {
    for (const [n, { own, scale, numbers }] of pictures.entries())
      for (let i = 0; i < size; i++) noisy[n * size + i] = own[i] + scale * numbers.normal();
    yield noisy;
  }
}
