import { count, number } from '../options.js';
import { sizeOf } from '../tensor.js';
import { type Blocks, linearBlocks } from '../upsample.js';
import type { Enlargement, Evidence, Mask, MaskChange, RandomNumbers } from './common/evidence.js';
import { type Attribution, inputMethod } from './common/method.js';
import { seed } from './common/sampling-options.js';

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
      draw: (n) => shiftedMasks(evidence.random(seed, n, 'masks'), evidence.size, { cells, keep }),
      enlargement: enlargementOf(evidence.size, cells),
      count: masks,
      keep,
    }),
});

interface Masks {
  /** The masks of a picture. */
  readonly draw: (n: number) => Iterator<Mask>;
  readonly enlargement: Enlargement;
  /** n */
  readonly count: number;
  /** p */
  readonly keep: number;
}

/** Σ_m p(x ⊙ M_m) M_m / (n p). */
export async function meanOfMasks(
  evidence: Evidence,
  { draw, enlargement, count, keep }: Masks,
): Promise<Attribution> {
  const { images, size } = evidence;
  const positions = sizeOf(size);
  const sums = new Float64Array(images * positions);
  const enlarged = linearBlocks(enlargement.from, enlargement.to, size);
  const changes = Array.from({ length: images }, (_, n) => {
    const masks = draw(n);
    const sum = sums.subarray(n * positions, (n + 1) * positions);
    return Array.from({ length: count }, (): MaskChange => {
      let mask: Mask;
      return {
        of: n,
        mask: () => {
          mask = masks.next().value;
          return mask;
        },
        take: (probability) =>
          addTimes(sum, probability, enlarged(Float64Array.from(mask.cells), mask.offsets)),
      };
    });
  });
  await evidence.maskedPass(changes.flat(), enlargement, 'probability');
  return { values: Float32Array.from(sums, (sum) => sum / (count * keep)) };
}

function addTimes(sum: Float64Array, factor: number, mask: Blocks): void {
  for (let block = 0, at = 0; block < mask.count; block++) {
    const values = mask.at(block);
    for (let i = 0; i < mask.length; i++, at++) sum[at] += factor * values[i];
  }
}

/** Pixels of a cell along every axis. */
function cellSize(size: readonly number[], cells: number): number[] {
  return size.map((dim) => Math.ceil(dim / cells));
}

/** Cells are enlarged to one more than the picture has room for. */
export function enlargementOf(size: readonly number[], cells: number): Enlargement {
  const to = cellSize(size, cells).map((length) => (cells + 1) * length);
  return { from: size.map(() => cells), to, size, isNormalized: false };
}

/** Random cells, and a random place in the first of them. */
export function* shiftedMasks(
  numbers: Pick<RandomNumbers, 'uniform'>,
  size: readonly number[],
  { cells, keep }: { cells: number; keep: number },
): Generator<Mask> {
  const count = cells ** size.length;
  while (true) {
    const kept = Float64Array.from({ length: count }, () => (numbers.uniform() < keep ? 1 : 0));
    const offsets = cellSize(size, cells).map((length) => Math.floor(numbers.uniform() * length));
    yield { cells: kept, offsets };
  }
}
