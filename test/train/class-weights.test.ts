import { expect, test } from 'vitest';
import { floatConstant } from '../../src/onnx/constant.js';
import { DataType } from '../../src/onnx/types.js';
import { classWeightsOf } from '../../src/train/data/class-weights.js';
import { binaryCrossEntropy, crossEntropy } from '../../src/train/losses/index.js';
import { Trainer } from '../../src/train/trainer.js';
import { graphFrom } from '../support/network.js';

const scores = [0.5, -1.2, 2, 1.5, 0.3, -0.7, -0.2, 0.1, 0.4];
const own = { one: [0, 0, 1, 1, 0, 0, 0, 1, 0], several: [1, 0, 1, 0, 0, 0, 1, 1, 0] };

// PyTorch 2, float64: F.cross_entropy(scores, y, weight=w, label_smoothing=…, reduction='sum') / 3, and
// F.binary_cross_entropy_with_logits(scores, y, pos_weight=w) with y and 0.9 y + 0.05.
test.each([
  ['cross entropy', crossEntropy, 'one', 0, 0.9073427165202511],
  ['cross entropy, smoothed', crossEntropy, 'one', 0.1, 1.0219247608557025],
  ['binary cross entropy', binaryCrossEntropy, 'several', 0, 0.6909792835340476],
  ['binary cross entropy, smoothed', binaryCrossEntropy, 'several', 0.1, 0.7153179538789535],
] as const)('%s by weights of classes is PyTorch’s', async (_, loss, labels, smoothing, expected) => {
  const graph = graphFrom({
    inputs: { x: ['N', 3] },
    outputs: ['scores'],
    nodes: [['Add', ['x', 'b'], ['scores']]],
    constants: { b: floatConstant([0, 0, 0], [3]) },
  });
  const trainer = await Trainer.open(graph, {
    weights: ['b'],
    inputs: [{ name: 'labels', type: DataType.FLOAT, dims: ['N', 3] }],
    loss: (b) => loss(b, 'scores', 'labels', { smoothing, classWeights: b.floats([0.5, 2, 1.25], [3]) }),
    threads: 1,
  });
  const tensor = (data: readonly number[]) =>
    ({ type: 'float32', dims: [3, 3], data: Float32Array.from(data) }) as const;
  const step = await trainer.step({ x: tensor(scores), labels: tensor(own[labels]) });
  expect(step.loss).toBeCloseTo(expected, 6);
  await trainer.close();
});

test('balanced weights are counted on the pictures that are trained on', () => {
  const data = { labels: [[0], [0], [0], [1], [1]], classes: ['a', 'b'], isMultiLabel: false };
  expect(classWeightsOf('balanced', data, [0, 1, 2, 3])).toEqual([4 / 6, 2]);
  expect(classWeightsOf([1, 3], data, [0])).toEqual([1, 3]);
  expect(classWeightsOf(undefined, data, [0])).toBe(undefined);
  const several = { labels: [[0, 1], [0], [0], []], classes: ['a', 'b'], isMultiLabel: true };
  expect(classWeightsOf('balanced', several, [0, 1, 2, 3])).toEqual([1 / 3, 3]);
  expect(() => classWeightsOf([1, 2, 3], data, [0])).toThrow(
    '"classWeights" has 3 numbers, and there are 2 classes: a, b. Give one for each, in this order, or balanced.',
  );
});
