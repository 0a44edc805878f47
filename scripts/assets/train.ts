import type { Builder } from '../../src/graph/builder.js';
import type { Graph } from '../../src/graph/graph.js';
import { DataType } from '../../src/onnx/types.js';
import { Adam } from '../../src/train/optimizers/adam.js';
import { binaryCrossEntropy } from '../../src/train/losses/binary-cross-entropy.js';
import { Trainer } from '../../src/train/trainer.js';
import { drawPicture } from './draw.js';
import { classifier, inputSize, lastActivation, mean, std } from './network.js';
import { Random } from './random.js';
import { classes } from './things.js';

export interface Recipe {
  readonly seed: number;
  /** Pictures drawn for training: seeds `firstPicture` … `firstPicture + pictures − 1`. */
  readonly firstPicture: number;
  readonly pictures: number;
  readonly epochs: number;
  readonly batch: number;
  readonly learningRate: number;
  /** Weight of the mean of the last activations in the loss: light up only where it helps. */
  readonly activationPenalty: number;
  /** Weight of the sum of the classifier's |weights|: each channel for few classes. */
  readonly classifierPenalty: number;
}

/** Pictures and what is in them; labels [pictures, classes], 0 or 1. */
export interface Examples {
  readonly pixels: readonly Uint8Array[];
  readonly labels: Float32Array;
}

export function drawExamples(first: number, count: number): Examples {
  const pixels: Uint8Array[] = [];
  const labels = new Float32Array(count * classes.length);
  for (let i = 0; i < count; i++) {
    const picture = drawPicture(first + i, inputSize);
    pixels.push(picture.pixels);
    for (const { name } of picture.instances) labels[i * classes.length + classes.indexOf(name)] = 1;
  }
  return { pixels, labels };
}

/** Trains a network with the gradients of src/autodiff; the same recipe gives the same weights on one machine. */
export async function train(
  untrained: Graph,
  examples: Examples,
  recipe: Recipe,
  report: (line: string) => void,
): Promise<Graph> {
  const { epochs, batch } = recipe;
  const count = examples.pixels.length;
  const random = new Random(recipe.seed);
  const loss = (b: Builder) => {
    const lit = b.op('ReduceMean', [lastActivation], { keepdims: 0 });
    const size = b.op('ReduceSum', [b.op('Abs', [classifier])], { keepdims: 0 });
    return b.op('Sum', [
      binaryCrossEntropy(b, 'scores', 'labels'),
      b.scale(lit, recipe.activationPenalty),
      b.scale(size, recipe.classifierPenalty),
    ]);
  };
  const trainer = await Trainer.open(untrained, {
    weights: [...untrained.constants.keys()],
    inputs: [{ name: 'labels', type: DataType.FLOAT, dims: ['N', classes.length] }],
    loss,
    threads: 2,
  });
  const adam = new Adam();
  const perEpoch = Math.floor(count / batch);
  for (let epoch = 0, done = 0; epoch < epochs; epoch++) {
    const order = random.shuffle(Array.from({ length: count }, (_, i) => i));
    let sum = 0;
    for (let start = 0; start + batch <= count; start += batch, done++) {
      const feeds = batchOf(examples, order.slice(start, start + batch), random);
      const { loss: value, gradients } = await trainer.step(feeds);
      adam.update(
        trainer.weights,
        gradients,
        recipe.learningRate * schedule(done / (epochs * perEpoch), done),
      );
      sum += value;
    }
    report(`epoch ${epoch + 1} of ${epochs}: mean loss ${(sum / perEpoch).toFixed(4)}`);
  }
  await trainer.close();
  return trainer.trained();
}

/** Warm-up over 100 steps, then half a cosine down to 0. */
function schedule(progress: number, step: number): number {
  return Math.min(1, (step + 1) / 100) * (0.5 + 0.5 * Math.cos(Math.PI * progress));
}

/** Network input and labels of some examples, every other one mirrored by chance. */
function batchOf({ pixels, labels }: Examples, chosen: readonly number[], random: Random) {
  const plane = inputSize * inputSize;
  const data = new Float32Array(chosen.length * 3 * plane);
  const wanted = new Float32Array(chosen.length * classes.length);
  for (const [n, i] of chosen.entries()) {
    toInput(pixels[i], data.subarray(3 * n * plane, 3 * (n + 1) * plane), random.next() < 0.5);
    wanted.set(labels.subarray(i * classes.length, (i + 1) * classes.length), n * classes.length);
  }
  return {
    image: { type: 'float32', dims: [chosen.length, 3, inputSize, inputSize], data },
    labels: { type: 'float32', dims: [chosen.length, classes.length], data: wanted },
  } as const;
}

/** RGB interleaved, 0…255 → planes, normalised. */
export function toInput(pixels: Uint8Array, into: Float32Array, mirrored = false): void {
  const plane = inputSize * inputSize;
  for (let row = 0; row < inputSize; row++) {
    for (let column = 0; column < inputSize; column++) {
      const from = 3 * (row * inputSize + (mirrored ? inputSize - 1 - column : column));
      const to = row * inputSize + column;
      for (let c = 0; c < 3; c++) into[c * plane + to] = (pixels[from + c] / 255 - mean) / std;
    }
  }
}
