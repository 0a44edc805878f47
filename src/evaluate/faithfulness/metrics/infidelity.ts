import { random } from '../../../random-stream.js';
import { type PictureLayout, stepOf } from '../../masking.js';
import { plain } from '../../metric.js';
import type { FaithfulnessMetric, MaskedPicture } from '../shown-map.js';

export const infidelity: FaithfulnessMetric = {
  asked: 'infidelity',
  isCostly: true,
  key: 'infidelity',
  name: 'Infidelity (× 1000)',
  hint: ({ perturbations }) =>
    `how wrong the map’s sum over a square tells what is lost with it, ${perturbations} squares`,
  definition:
    '`E (β Σ L − (Y − O))²` over squares that are set to zero, `Σ L` the map’s sum over the square, `O` the probability without it (Yeh et al., arXiv 1901.09392, Def. 2.1, with square removal). The sides are 1/28 to 10/28 of the input’s shorter edge, as the authors’ 1 to 10 pixels of 28, uniform, the places uniform: 100 are drawn (`--perturbations`) where the authors take all. A map says where, not how much, and so stands for the authors’ attributions of removal; β is their optimal scale, `E (Σ L · (Y − O)) / E (Σ L)²`',
  column: 'infidelity',
  better: 'lower',
  ...plain,
  scale: 1000,
  byChance:
    'no fixed number, at most the mean square of Y − O, which an empty map gets; the random control shows noise',
  measure: async ({ picture, map }, { perturbations }) => {
    const { width, height } = sizeOf(picture);
    const squares = drawnSquares(picture, perturbations);
    const losses = await lossesOf(picture, squares);
    const sums = squares.map((square) => sumOver(map.data, square, { width, height }));
    return { value: scaledInfidelity(sums, losses) };
  },
};

/** Mean of (β sums − losses)² with the β that makes it least. */
export function scaledInfidelity(sums: readonly number[], losses: readonly number[]): number {
  let [product, square] = [0, 0];
  sums.forEach((sum, i) => {
    product += sum * losses[i];
    square += sum * sum;
  });
  const beta = square > 0 ? product / square : 0;
  return sums.reduce((total, sum, i) => total + (beta * sum - losses[i]) ** 2, 0) / sums.length;
}

interface Square {
  readonly x: number;
  readonly y: number;
  readonly side: number;
}

function sizeOf({ subject: { size } }: MaskedPicture) {
  return { width: size[size.length - 1], height: size[size.length - 2] ?? 1 };
}

/** The same for all maps of a picture. */
function drawnSquares(picture: MaskedPicture, count: number): readonly Square[] {
  return picture.once('squares', () => {
    const { width, height } = sizeOf(picture);
    const stream = random(picture.seed, 'squares', picture.prepared.image);
    const edge = Math.min(width, height);
    return Array.from({ length: count }, () => {
      const side = Math.max(1, Math.round((edge * (1 + stream.below(10))) / 28));
      return { side, x: stream.below(width - side + 1), y: stream.below(height - side + 1) };
    });
  });
}

/** Y − O of each square. */
function lossesOf(picture: MaskedPicture, squares: readonly Square[]): Promise<readonly number[]> {
  const { prepared, subject, predictions, full } = picture;
  return picture.once('losses', () =>
    Promise.all(
      squares.map(async (square) => {
        const without = await predictions.ask((out) => {
          out.set(prepared.tensor);
          removeSquare(out, square, subject.layout, sizeOf(picture));
        });
        return full - without;
      }),
    ),
  );
}

/** Zeros in the square, in every channel, and in every frame of a video. */
function removeSquare(
  tensor: Float32Array,
  { x, y, side }: Square,
  layout: PictureLayout,
  { width, height }: { width: number; height: number },
): void {
  const step = stepOf(layout);
  const plane = width * height * step;
  for (let first = 0; first < tensor.length; first += plane)
    for (let row = y; row < y + side; row++) {
      const start = first + (row * width + x) * step;
      tensor.fill(0, start, start + side * step);
    }
}

/** The map's sum over the square, over all frames of a video. */
function sumOver(
  map: Float32Array,
  { x, y, side }: Square,
  { width, height }: { width: number; height: number },
): number {
  let sum = 0;
  for (let frame = 0; frame < map.length; frame += width * height)
    for (let row = y; row < y + side; row++)
      for (let at = frame + row * width + x, end = at + side; at < end; at++) sum += map[at];
  return sum;
}
