import { percent } from '../../metric.js';
import type { FaithfulnessMetric, ShownMap } from '../shown-map.js';
import { drop } from './average-drop.js';

export const coherency: FaithfulnessMetric = {
  asked: 'adcc',
  isCostly: true,
  key: 'coherency',
  name: 'Coherency',
  hint: () => 'correlation of the map with the map of its explanation map, from 0 % to 100 %',
  definition:
    '`(ρ + 1) / 2` with ρ the correlation of the map with that of the explanation map `E = L ⊙ I`, for the same target (Poppi et al., arXiv 2104.10252, Eq. 5): the method should see the same in what it marks. 0 where either map is empty or the same everywhere, as in the authors’ code',
  column: 'coherency',
  better: 'higher',
  ...percent,
  byChance:
    'all of it for a map that reads nothing of the picture, such as the random control; half for two unrelated maps',
  chance: 1,
  measure: async (shown) => ({ value: await coherencyOf(shown) }),
};

export const shownArea: FaithfulnessMetric = {
  asked: 'adcc',
  isCostly: true,
  key: 'shownArea',
  name: 'Mean of the map (ADCC’s complexity)',
  hint: () => 'share of the picture that the explanation shows',
  definition:
    'mean of the map, `‖L‖₁` over the number of positions (Poppi et al., Eq. 6, who call it complexity)',
  column: 'mean',
  better: 'lower',
  ...percent,
  byChance: 'about 50 %, the mean of the random control’s noise',
  measure: async ({ map }) => ({ value: mean(map.data) }),
};

export const adcc: FaithfulnessMetric = {
  asked: 'adcc',
  isCostly: true,
  key: 'adcc',
  name: 'ADCC',
  hint: () => 'harmonic mean of coherency, what the map leaves out, and the confidence that stays',
  definition:
    '`3 / (1 / coherency + 1 / (1 − mean of the map) + 1 / (1 − drop))`, of each picture (Poppi et al., Eq. 7), 0 where one of the three is 0. Masking is that of the average drop',
  column: 'ADCC',
  better: 'higher',
  ...percent,
  byChance:
    'no fixed number: the random control has all of the coherency, and half of the picture; what is lost without the rest decides',
  measure: async (shown) => ({
    value: harmonicMean([
      await coherencyOf(shown),
      1 - mean(shown.map.data),
      1 - drop(shown.picture.full, await shown.masked()),
    ]),
  }),
};

function coherencyOf(shown: ShownMap): Promise<number> {
  return shown.once('coherency', async () => {
    const again = await shown.explained(shown.mask);
    return coherence(shown.map.data, again.data);
  });
}

/** (ρ + 1) / 2 with Pearson's ρ; 0 where one of the maps is constant and has no correlation. */
export function coherence(a: Float32Array, b: Float32Array): number {
  const [meanA, meanB] = [mean(a), mean(b)];
  let [ab, aa, bb] = [0, 0, 0];
  for (let p = 0; p < a.length; p++) {
    const [u, v] = [a[p] - meanA, b[p] - meanB];
    ab += u * v;
    aa += u * u;
    bb += v * v;
  }
  return aa > 0 && bb > 0 ? (ab / Math.sqrt(aa * bb) + 1) / 2 : 0;
}

/** 0 where one of the values is. */
export function harmonicMean(values: readonly number[]): number {
  return values.length / values.reduce((sum, value) => sum + 1 / Math.max(0, value), 0);
}

function mean(values: Float32Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}
