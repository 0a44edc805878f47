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

/** Pixels between two candidates; one looks for things around the middle of its cell. */
const stride = 2 * trunkStride;
const side = inputSize / stride;
const candidates = side * side;
/** Pixels; sizes are learned as the logarithm of their multiple of this. */
const usualSize = 32;

/**
 * A small detector without anchors, untrained: the classifier's trunk, two convolutions at half its size, and for each of
 * 12 × 12 cells a box and a probability for each class. Its output is laid out as that of YOLOv8: [N, 4 + classes, candidates],
 * centre and size of the box in pixels first.
 */
export function untrainedDetector(seed: number): Graph {
  const b = new Layers(seed);
  const half = { inputs: trunkChannels, outputs: 24, kernel: 3, stride: 2 };
  const last = { inputs: 24, outputs: 40, kernel: 3 };
  const things = b.relu(
    'relu6',
    b.convolution('conv6', b.relu('relu5', b.convolution('conv5', b.trunk(), half)), last),
  );
  const head = (name: string, outputs: number, start = 0) => {
    const map = b.op('Conv', [things, ...b.weights(name, [outputs, last.outputs, 1, 1], start)]);
    return b.op('Reshape', [map, b.ints([0, outputs, candidates])], {}, name);
  };
  const centres = b.mul(
    b.add(head('shifts', 2), b.floats(cellCentres(), [1, 2, candidates])),
    b.scalar(stride),
  );
  const sizes = b.mul(b.op('Exp', [head('sizes', 2)]), b.scalar(usualSize));
  // Few candidates hold a thing: at first each says so with 1 % (Lin et al., arXiv 1708.02002, Sec. 4.1).
  const probabilities = b.op('Sigmoid', [head('scores', classes.length, -Math.log(99))]);
  const output = b.op('Concat', [centres, sizes, probabilities], { axis: 1 }, 'detections');
  return b.network('things', output, [4 + classes.length, candidates]);
}

/** x and y of the middle of each cell, in cells. */
function cellCentres(): number[] {
  const cells = Array.from({ length: candidates }, (_, i) => i);
  return [...cells.map((i) => (i % side) + 0.5), ...cells.map((i) => Math.floor(i / side) + 0.5)];
}

/**
 * Quality focal loss (Li et al., arXiv 2006.04388, Eq. 2, β = 2) of every score, and the mean absolute error of what makes a
 * box where there is one; both over the number of candidates that hold a thing.
 */
function loss(b: Builder): string {
  const [scores, wanted] = ['scores', 'wantedScores'];
  const entropy = b.sub(b.op('Softplus', [scores]), b.mul(wanted, scores));
  const focal = b.mul(b.square(b.sub(wanted, b.op('Sigmoid', [scores]))), entropy);
  const error = b.op('Abs', [b.sub(b.op('Concat', ['shifts', 'sizes'], { axis: 1 }), 'wantedBoxes')]);
  const boxes = b.mul(error, b.op('ReduceMax', [wanted, b.ints([1])], { keepdims: 1 }));
  const sum = b.add(sumOf(b, focal), sumOf(b, boxes));
  return b.div(sum, sumOf(b, wanted));
}

const sumOf = (b: Builder, value: string) => b.op('ReduceSum', [value], { keepdims: 0 });

/** Trains on the boxes of the pictures; the same recipe gives the same weights on one machine. */
export async function trainDetector(
  untrained: Graph,
  examples: readonly Picture[],
  recipe: Recipe,
  report: (line: string) => void,
): Promise<Graph> {
  const trainer = await Trainer.open(untrained, {
    weights: weightsOf(untrained),
    inputs: [
      { name: 'wantedScores', type: DataType.FLOAT, dims: ['N', classes.length, candidates] },
      { name: 'wantedBoxes', type: DataType.FLOAT, dims: ['N', 4, candidates] },
    ],
    loss,
    threads: 1,
  });
  const feedsOf = (drawn: readonly Drawn[]) => ({
    image: imagesOf(examples, drawn),
    ...wantedOf(examples, drawn),
  });
  await fit(trainer, recipe, feedsOf, new Random(recipe.seed), report);
  return trainer.trained();
}

/** What every candidate should say. A candidate holds a thing if the middle of its cell is in the inner half of the thing's box. */
function wantedOf(examples: readonly Picture[], drawn: readonly Drawn[]) {
  const scores = new Float32Array(drawn.length * classes.length * candidates);
  const boxes = new Float32Array(drawn.length * 4 * candidates);
  for (const [n, { index, isMirrored }] of drawn.entries())
    for (const { name, box } of examples[index].instances) {
      const [left, top, right, bottom] = box.map((share) => share * inputSize);
      const [width, height] = [right - left, bottom - top];
      const middleX = isMirrored ? inputSize - (left + right) / 2 : (left + right) / 2;
      const middleY = (top + bottom) / 2;
      for (let i = 0; i < candidates; i++) {
        const dx = middleX - ((i % side) + 0.5) * stride;
        const dy = middleY - (Math.floor(i / side) + 0.5) * stride;
        const reach = (size: number) => Math.max(size / 4, stride / 2);
        if (Math.abs(dx) > reach(width) || Math.abs(dy) > reach(height)) continue;
        scores[(n * classes.length + classes.indexOf(name)) * candidates + i] = 1;
        const wanted = [dx / stride, dy / stride, Math.log(width / usualSize), Math.log(height / usualSize)];
        for (const [k, value] of wanted.entries()) boxes[(n * 4 + k) * candidates + i] = value;
      }
    }
  return {
    wantedScores: { type: 'float32', dims: [drawn.length, classes.length, candidates], data: scores },
    wantedBoxes: { type: 'float32', dims: [drawn.length, 4, candidates], data: boxes },
  } as const;
}
