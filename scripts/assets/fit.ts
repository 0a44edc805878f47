import { Adam } from '../../src/train/optimizers/adam.js';
import { cosine } from '../../src/train/schedules/cosine.js';
import type { Trainer } from '../../src/train/trainer.js';
import type { Tensor } from '../../src/tensor.js';
import type { Picture } from './draw.js';
import { inputSize, mean, std } from './network.js';
import type { Random } from './random.js';

export interface Recipe {
  readonly seed: number;
  /** Pictures drawn for training: seeds `firstPicture` … `firstPicture + pictures − 1`. */
  readonly firstPicture: number;
  readonly pictures: number;
  readonly epochs: number;
  readonly batch: number;
  readonly learningRate: number;
}

/** An example of a batch: which one, and whether it is mirrored. */
export interface Drawn {
  readonly index: number;
  readonly isMirrored: boolean;
}

/**
 * Moves the trainer's weights by Adam, with a rate that rises over 100 steps and falls by half a cosine; every other example is
 * mirrored by chance. Closes the trainer.
 */
export async function fit(
  trainer: Trainer,
  { pictures, epochs, batch, learningRate }: Recipe,
  feedsOf: (drawn: readonly Drawn[]) => Readonly<Record<string, Tensor>>,
  random: Random,
  report: (line: string) => void,
): Promise<void> {
  const adam = new Adam();
  const half = cosine();
  const perEpoch = Math.floor(pictures / batch);
  for (let epoch = 0, done = 0; epoch < epochs; epoch++) {
    const order = random.shuffle(Array.from({ length: pictures }, (_, i) => i));
    let sum = 0;
    for (let start = 0; start + batch <= pictures; start += batch, done++) {
      const drawn = order
        .slice(start, start + batch)
        .map((index) => ({ index, isMirrored: random.next() < 0.5 }));
      const { loss, gradients } = await trainer.step(feedsOf(drawn));
      const warmUp = Math.min(1, (done + 1) / 100);
      adam.update(trainer.weights, gradients, learningRate * warmUp * half(done / (epochs * perEpoch)));
      sum += loss;
    }
    report(`epoch ${epoch + 1} of ${epochs}: mean loss ${(sum / perEpoch).toFixed(4)}`);
  }
  await trainer.close();
}

/** The network's input for some pictures: planes, normalised. */
export function imagesOf(pictures: readonly Picture[], drawn: readonly Drawn[]): Tensor<'float32'> {
  const size = 3 * inputSize * inputSize;
  const data = new Float32Array(drawn.length * size);
  for (const [n, { index, isMirrored }] of drawn.entries())
    toInput(pictures[index].pixels, data.subarray(n * size, (n + 1) * size), isMirrored);
  return { type: 'float32', dims: [drawn.length, 3, inputSize, inputSize], data };
}

function toInput(pixels: Uint8Array, into: Float32Array, isMirrored: boolean): void {
  const plane = inputSize * inputSize;
  for (let row = 0; row < inputSize; row++) {
    for (let column = 0; column < inputSize; column++) {
      const from = 3 * (row * inputSize + (isMirrored ? inputSize - 1 - column : column));
      const to = row * inputSize + column;
      for (let c = 0; c < 3; c++) into[c * plane + to] = (pixels[from + c] / 255 - mean) / std;
    }
  }
}
