import type { Builder } from '../../src/graph/builder.js';
import type { Graph } from '../../src/graph/graph.js';
import { DataType } from '../../src/onnx/types.js';
import { binaryCrossEntropy } from '../../src/train/losses/binary-cross-entropy.js';
import { Trainer } from '../../src/train/trainer.js';
import { weightsOf } from '../../src/train/training-form.js';
import { drawPicture, type Picture } from './draw.js';
import { type Drawn, fit, imagesOf, type Recipe } from './fit.js';
import { classifier, inputSize, lastActivation } from './network.js';
import { Random } from './random.js';
import { classes } from './things.js';

export interface ClassifierRecipe extends Recipe {
  /** Weight of the mean of the last activations in the loss: light up only where it helps. */
  readonly activationPenalty: number;
  /** Weight of the sum of the classifier's |weights|: each channel for few classes. */
  readonly classifierPenalty: number;
}

/** The pictures of a recipe, as large as the networks see them. */
export function drawExamples({ firstPicture, pictures }: Recipe): Picture[] {
  return Array.from({ length: pictures }, (_, i) => drawPicture(firstPicture + i, inputSize));
}

/** Trains a network with the gradients of src/autodiff; the same recipe gives the same weights on one machine. */
export async function train(
  untrained: Graph,
  examples: readonly Picture[],
  recipe: ClassifierRecipe,
  report: (line: string) => void,
): Promise<Graph> {
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
    weights: weightsOf(untrained),
    inputs: [{ name: 'labels', type: DataType.FLOAT, dims: ['N', classes.length] }],
    loss,
    threads: 2,
  });
  const feedsOf = (drawn: readonly Drawn[]) => ({
    image: imagesOf(examples, drawn),
    labels: labelsOf(examples, drawn),
  });
  await fit(trainer, recipe, feedsOf, new Random(recipe.seed), report);
  return trainer.trained();
}

/** [N, classes]: 1 for each class that is in the picture. */
function labelsOf(examples: readonly Picture[], drawn: readonly Drawn[]) {
  const data = new Float32Array(drawn.length * classes.length);
  for (const [n, { index }] of drawn.entries())
    for (const { name } of examples[index].instances) data[n * classes.length + classes.indexOf(name)] = 1;
  return { type: 'float32', dims: [drawn.length, classes.length], data } as const;
}
