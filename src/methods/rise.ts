import { count, number } from '../options.js';
import { sizeOf } from '../tensor.js';
import { linearUpsampler } from '../upsample.js';
import { addTimes } from './arrays.js';
import type { Change, Evidence, RandomNumbers } from './evidence.js';
import { maskPicture } from './masked-pictures.js';
import { type Attribution, inputMethod } from './method.js';
import { seed } from './sampling-options.js';

const options = {
  /** Masked pictures; default 1000. */
  masks: count({
    from: 1,
    to: 1_000_000,
    default: 1000,
    help: 'masked pictures of RISE',
    flag: '--masks <n>',
  }),
  /** Cells of a mask along every axis of the picture; default 7. */
  cells: count({
    from: 1,
    to: 1024,
    default: 7,
    help: 'cells of a mask along every axis',
    flag: '--cells <n>',
  }),
  /** The probability that a cell is kept; default 0.5. */
  keep: number({
    above: 0,
    to: 1,
    default: 0.5,
    help: 'probability that a cell is kept',
    flag: '--keep <number>',
  }),
  seed,
};

/**
 * RISE, Petsiuk et al., arXiv 1806.07421, Eq. 6: Σ_m p_c(x ⊙ M_m) M_m / (n p) over n random masks, whose cells are kept with
 * probability p; they are enlarged linearly to one cell more than the picture has room for, and cut out at random (Sec. 3.2). Needs
 * no layer and no gradient: it explains whatever ONNX Runtime runs. Targets without a probability are weighed by their share or
 * their value.
 *
 * Where we differ: the paper takes 4000 to 8000 masks.
 */
export const rise = inputMethod({
  name: 'rise',
  kind: 'input',
  source: 'arXiv 1806.07421, Eq. 6',
  formula: 'Σ_m p_c(x ⊙ M_m) M_m / (n p), M random masks',
  needs: ['passes'],
  hasTarget: true,
  options,
  channels: 'sum',
  scaled: 'min-max',
  attribute: (evidence, { masks, cells, keep, seed }) =>
    meanOfMasks(evidence, {
      masks: (n) => shiftedMasks(evidence.random(seed, n, 'masks'), evidence.size, { cells, keep }),
      count: masks,
      keep,
    }),
});

/**
 * Σ_m p(x ⊙ M_m) M_m / (n p); `masks` draws those of a picture, each in the array of the one before if it likes. No more than a
 * group of passes is held at a time.
 */
export async function meanOfMasks(
  evidence: Evidence,
  { masks, count, keep }: { masks: (n: number) => Iterator<Float64Array>; count: number; keep: number },
): Promise<Attribution> {
  const { images, size } = evidence;
  const positions = sizeOf(size);
  const sums = new Float64Array(images * positions);
  const free: Float64Array[] = [];
  const changes = Array.from({ length: images }, (_, n) => {
    const drawn = masks(n);
    const sum = sums.subarray(n * positions, (n + 1) * positions);
    return Array.from({ length: count }, (): Change => {
      let mask: Float64Array;
      return {
        of: n,
        fill: (out) => {
          mask = free.pop() ?? new Float64Array(positions);
          mask.set(drawn.next().value);
          maskPicture(evidence, n, mask, out);
        },
        take: (probability) => {
          addTimes(sum, probability, mask);
          free.push(mask);
        },
      };
    });
  });
  await evidence.pass(changes.flat(), 'probability');
  return { values: Float32Array.from(sums, (sum) => sum / (count * keep)) };
}

/** Random cells, enlarged to (cells + 1) / cells of the picture and cut out at a random place in the first cell; in one array. */
export function* shiftedMasks(
  numbers: Pick<RandomNumbers, 'uniform'>,
  size: readonly number[],
  { cells, keep }: { cells: number; keep: number },
): Generator<Float64Array> {
  const coarse = size.map(() => cells);
  const cell = size.map((dim) => Math.ceil(dim / cells));
  const whole = cell.map((length) => (cells + 1) * length);
  const upsample = linearUpsampler(coarse, whole, size);
  while (true) {
    const kept = Float64Array.from({ length: sizeOf(coarse) }, () => (numbers.uniform() < keep ? 1 : 0));
    const offsets = cell.map((length) => Math.floor(numbers.uniform() * length));
    yield upsample(kept, offsets);
  }
}
