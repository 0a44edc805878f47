import { linearUpsampler } from '../map/upsample.js';
import { random } from '../random-stream.js';
import type { Explained, ExplanationMap, PreparedImage, Subject, Variant } from './subject.js';

/**
 * The random control of a picture: uniform noise with the explained layer's dims, enlarged and normalised as every
 * map is, so that it is as smooth as they are and marks places without reason. Depends on the seed, the picture's
 * name and `purpose` alone; another purpose gives an unrelated map.
 */
export function controlMap(
  subject: Subject,
  image: PreparedImage,
  seed: number,
  purpose = 'control',
): ExplanationMap {
  const { layer, size } = subject;
  const stream = random(seed, purpose, image.image);
  const noise = new Float64Array(layer.reduce((product, dim) => product * dim, 1)).map(() =>
    stream.uniform(),
  );
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

/** `subject.explain` with the random control in the places where a variant asks for it. */
export async function explainWithControl(
  subject: Subject,
  { tensor }: PreparedImage,
  variants: readonly Variant[],
  control: ExplanationMap,
  targets?: readonly number[],
): Promise<Explained> {
  const real = variants.filter((variant) => variant.method !== 'random');
  const explained = await subject.explain(tensor, real, targets);
  const maps = variants.map((variant) =>
    variant.method === 'random'
      ? explained.targets.map(() => control)
      : explained.maps[real.indexOf(variant)],
  );
  return { ...explained, maps };
}
