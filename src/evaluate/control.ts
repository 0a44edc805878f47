import { linearUpsampler } from '../upsample.js';
import { uniformNoise } from '../methods/random.js';
import { random } from '../random-stream.js';
import { sizeOf } from '../tensor.js';
import type { ExplanationMap, PreparedImage, Subject, Variant } from './subject.js';

/**
 * The map of the method `random`, which breaks ties: it depends on the seed, the picture's name and `purpose` alone; another
 * purpose gives an unrelated map.
 */
export function controlMap(
  subject: Subject,
  image: Pick<PreparedImage, 'image'>,
  seed: number,
  purpose = 'control',
): ExplanationMap {
  const { layer, size } = subject;
  const noise = uniformNoise(random(seed, purpose, image.image), sizeOf(layer));
  const data = normalize(linearUpsampler(layer, size)(noise));
  return { data, empty: data.every((value) => value === 0) };
}

/** (L − min L) / (max L − min L); a constant map becomes zeros. */
function normalize(map: Float64Array): Float32Array {
  let [low, high] = [Infinity, -Infinity];
  for (const value of map) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  const result = new Float32Array(map.length);
  if (high > low) for (let i = 0; i < map.length; i++) result[i] = (map[i] - low) / (high - low);
  return result;
}

/** The same variants with a control that is drawn anew: it reads nothing of the network, and would always be the same map. */
export function withNewControl(variants: readonly Variant[], seed: number, purpose: string): Variant[] {
  return variants.map((variant) =>
    variant.method === 'random' ? { ...variant, seed: random(seed, purpose).bits() } : variant,
  );
}
