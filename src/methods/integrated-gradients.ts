import { count } from '../options.js';
import { addTimes, timesInto } from './common/arrays.js';
import type { Change, Evidence } from './common/evidence.js';
import { type Facts, inputMethod } from './common/method.js';

const options = {
  /** Points on the way from the baseline to the picture; default 50. */
  steps: count({
    from: 1,
    to: 100_000,
    default: 50,
    help: 'points between the baseline and the picture',
    flag: '--steps <n>',
  }),
};

/**
 * Integrated gradients, Sundararajan et al., arXiv 1703.01365, Eq. 1: x ⊙ ∫ ∂S(t x)/∂x dt, t from 0 to 1, from the baseline 0 (the
 * preprocessing's mean) to the picture; signed. The map is the magnitude summed over the channels. `facts` has the completeness
 * error of each picture, |Σ − (S(x) − S(0))|, of which more steps leave less (Proposition 1: it is 0 for the integral).
 *
 * Where we differ: the integral is the mean over the middles of n equal steps, the paper's Eq. 3 takes their ends.
 */
export const integratedGradients = inputMethod({
  name: 'integrated-gradients',
  kind: 'input',
  source: 'arXiv 1703.01365, Eq. 1',
  formula: 'x ⊙ mean of ∂S(t x)/∂x over t in 0…1',
  needs: ['input gradients', 'passes'],
  hasTarget: true,
  options,
  channels: 'sum of magnitudes',
  scaled: 'min-max',
  attribute: async (evidence, { steps }) => {
    const { input } = evidence;
    const sum = new Float64Array(input.length);
    const between = new Float32Array(input.length);
    evidence.expect(steps);
    for (let step = 0; step < steps; step++) {
      const t = (step + 0.5) / steps;
      timesInto(between, t, input);
      addTimes(sum, 1 / steps, await evidence.inputGradients(between));
    }
    const values = sum.map((value, i) => value * input[i]);
    return { values: new Float32Array(values), facts: await completeness(evidence, values) };
  },
});

/** How far a picture's attributions are from adding up to S(x) − S(0). */
async function completeness(
  { images, values: scores, pass }: Pick<Evidence, 'images' | 'values' | 'pass'>,
  values: Float64Array,
): Promise<Facts[]> {
  const baselines = new Float64Array(images);
  const changes = Array.from(
    baselines,
    (_, n): Change => ({
      of: n,
      fill: (out) => out.fill(0),
      take: (value) => {
        baselines[n] = value;
      },
    }),
  );
  await pass(changes);
  const size = values.length / images;
  return Array.from(baselines, (baseline, n) => {
    const total = values.subarray(n * size, (n + 1) * size).reduce((sum, value) => sum + value, 0);
    return { completenessError: Math.abs(total - (scores[n] - baseline)) };
  });
}
