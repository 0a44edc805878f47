import type { Builder } from '../../src/graph/builder.js';
import type { Graph } from '../../src/graph/graph.js';
import { DataType } from '../../src/onnx/types.js';
import { Trainer } from '../../src/train/trainer.js';
import { weightsOf } from '../../src/train/training-form.js';
import type { Picture } from './draw.js';
import { type Drawn, fit, imagesOf, type Recipe } from './fit.js';
import { inputSize, Layers, trunkChannels, trunkStride } from './network.js';
import { Random } from './random.js';
import { classes } from './things.js';

/** What a pixel can show, in the order of the scores. */
export const segments = ['background', ...classes] as const;

const side = inputSize / trunkStride;

/**
 * A small fully convolutional segmenter (Long et al., arXiv 1411.4038), untrained: the classifier's trunk, a dilated convolution
 * that looks further, a score for each class at every fourth pixel, drawn out to the size of the input.
 */
export function untrainedSegmenter(seed: number): Graph {
  const b = new Layers(seed);
  const wide = { inputs: trunkChannels, outputs: 32, kernel: 3, dilation: 2 };
  const last = b.relu('relu5', b.convolution('conv5', b.trunk(), wide));
  b.convolution('logits', last, { inputs: 32, outputs: segments.length, kernel: 1 });
  const scales = b.floats([1, 1, trunkStride, trunkStride], [4]);
  const scores = b.op('Resize', ['logits', undefined, scales], { mode: 'linear' }, 'scores');
  return b.network('segments', scores, [segments.length, inputSize, inputSize]);
}

/** Softmax cross entropy at every position of the small scores; its labels are shares, since a position covers 16 pixels. */
function loss(b: Builder): string {
  const each = b.mul('labels', b.op('LogSoftmax', ['logits'], { axis: 1 }));
  const sum = b.op('ReduceMean', [each], { keepdims: 0 });
  return b.scale(b.neg(sum), segments.length);
}

/** Trains on every pixel of the pictures; the same recipe gives the same weights on one machine. */
export async function trainSegmenter(
  untrained: Graph,
  examples: readonly Picture[],
  recipe: Recipe,
  report: (line: string) => void,
): Promise<Graph> {
  const trainer = await Trainer.open(untrained, {
    weights: weightsOf(untrained),
    inputs: [{ name: 'labels', type: DataType.FLOAT, dims: ['N', segments.length, side, side] }],
    loss,
    threads: 1,
  });
  const feedsOf = (drawn: readonly Drawn[]) => ({
    image: imagesOf(examples, drawn),
    labels: sharesOf(examples, drawn),
  });
  await fit(trainer, recipe, feedsOf, new Random(recipe.seed), report);
  return trainer.trained();
}

/** The segment that is seen at each pixel. */
export function segmentsOf({ labels, instances }: Picture): Uint8Array {
  const own = [0, ...instances.map(({ name }) => segments.indexOf(name))];
  return labels.map((label) => own[label]);
}

/** [N, segments, side, side]: the share of each segment in the pixels of a position. */
function sharesOf(examples: readonly Picture[], drawn: readonly Drawn[]) {
  const plane = side * side;
  const data = new Float32Array(drawn.length * segments.length * plane);
  for (const [n, { index, isMirrored }] of drawn.entries())
    for (const [p, segment] of segmentsOf(examples[index]).entries()) {
      const column = p % inputSize;
      const x = Math.floor((isMirrored ? inputSize - 1 - column : column) / trunkStride);
      const y = Math.floor(p / inputSize / trunkStride);
      data[(n * segments.length + segment) * plane + y * side + x] += 1 / trunkStride ** 2;
    }
  return { type: 'float32', dims: [drawn.length, segments.length, side, side], data } as const;
}
