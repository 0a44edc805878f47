import { Explainer } from '../../src/batch/explainer.js';
import type { Tensor } from '../../src/tensor.js';
import { bytesFrom, type ClassifierOptions, classifier } from '../support/network.js';

/** The small classifier, cut by hand behind its layer relu2 [N, 6, 4, 4]: the layer of some pictures, and scores of a layer. */
export async function cutByHand(
  options: ClassifierOptions,
  images: Tensor<'float32'>,
): Promise<{ activations: Float32Array; scores: (activations: Float32Array) => Promise<Float32Array> }> {
  const whole = classifier(options);
  const trunk = { ...whole, nodes: whole.nodes.slice(0, 4), outputs: ['relu2'] };
  const head = { ...whole, nodes: whole.nodes.slice(4), inputs: { relu2: ['N', 6, 4, 4] } };
  await using first = await Explainer.open(bytesFrom(trunk));
  const activations = await first.scoresOf(images);
  return {
    activations,
    scores: async (data) => {
      await using second = await Explainer.open(bytesFrom(head));
      return await second.scoresOf({ type: 'float32', dims: [data.length / 96, 6, 4, 4], data });
    },
  };
}
