import { random } from '../../../random-stream.js';
import { plain } from '../../metric.js';
import type { ExplanationMap } from '../../subject.js';
import type { FaithfulnessMetric, MaskedPicture } from '../shown-map.js';

export const maxSensitivity: FaithfulnessMetric = {
  asked: 'max-sensitivity',
  isCostly: true,
  key: 'maxSensitivity',
  name: 'Max-sensitivity',
  hint: ({ repeats, radius }) =>
    `most that the map changes with noise of ${100 * radius} % of the range, of ${repeats} pictures`,
  definition:
    '`max ‖L(x + ε) − L(x)‖ / ‖L(x)‖` over noisy pictures (Yeh et al., arXiv 1901.09392, Def. 2.2, with the authors’ division by the map’s norm and their noise, uniform in ±r for each value of the input; the largest of 10 draws, `--repeats`). r is in parts of the range of the picture’s values (`--radius`), since inputs are of any scale. The target stays the same; empty maps have none and are left out',
  column: 'max-sensitivity',
  better: 'lower',
  ...plain,
  byChance:
    'none: the random control reads nothing of the picture; a map that is always the same is not a good one',
  chance: 0,
  measure: async ({ picture, map, index }, settings) => {
    if (map.empty) return { value: NaN };
    let most = 0;
    for (let i = 0; i < settings.repeats; i++)
      most = Math.max(most, distance((await noisyMaps(picture, i, settings.radius))[index], map));
    return { value: most / norm(map.data) };
  },
};

/** The maps of all variants of the i-th noisy picture. */
function noisyMaps(picture: MaskedPicture, i: number, radius: number): Promise<readonly ExplanationMap[]> {
  return picture.once(`noisy ${i}`, () => {
    const { tensor, image } = picture.prepared;
    const range = picture.once('range', () => rangeOf(tensor));
    const stream = random(picture.seed, 'sensitivity', image, i);
    const noisy = tensor.map((value) => value + radius * range * (2 * stream.uniform() - 1));
    return picture.explain(noisy, picture.variants);
  });
}

/** Largest less smallest value. */
export function rangeOf(values: Float32Array): number {
  let [least, most] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < least) least = value;
    if (value > most) most = value;
  }
  return most - least;
}

function distance({ data }: ExplanationMap, from: ExplanationMap): number {
  let sum = 0;
  for (let p = 0; p < data.length; p++) sum += (data[p] - from.data[p]) ** 2;
  return Math.sqrt(sum);
}

function norm(values: Float32Array): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return Math.sqrt(sum);
}
