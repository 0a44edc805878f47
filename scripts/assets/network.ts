import { attributesOf, type Plain } from '../../src/graph/attributes.js';
import type { Graph, Node } from '../../src/graph/graph.js';
import { type Constant, floatConstant } from '../../src/onnx/constant.js';
import { DataType } from '../../src/onnx/types.js';
import { sizeOf } from '../../src/tensor.js';
import { Random } from './random.js';
import { classes } from './things.js';

/** The network's input is RGB, `inputSize` × `inputSize`, (value / 255 − mean) / std. */
export const inputSize = 96;
export const mean = 0.5;
export const std = 0.25;

/** The last convolution's output, the layer that is explained. */
export const lastActivation = 'relu4';
export const classifier = 'classifier.weight';

/** Outputs, kernel, stride; a maximum over 2 × 2 follows where `pool` is set. */
const convolutions = [
  { outputs: 16, kernel: 5, stride: 2, pool: true },
  { outputs: 32, kernel: 3, stride: 1, pool: false },
  { outputs: 48, kernel: 3, stride: 1, pool: false },
  { outputs: 64, kernel: 3, stride: 1, pool: false },
] as const;

/**
 * A small classifier, untrained: four convolutions with ReLU, the maximum of every channel over the picture, one
 * linear layer, a sigmoid for each class. The maximum asks "is it anywhere?", so pictures need no boxes to learn
 * from (Oquab et al., "Is object localization for free?", CVPR 2015), and gradients differ from place to place.
 */
export function untrained(seed: number): Graph {
  const random = new Random(seed);
  const nodes: Node[] = [];
  const constants = new Map<string, Constant>();
  let [value, channels] = ['image', 3];
  const add = (opType: string, output: string, inputs: string[], attributes: Record<string, Plain> = {}) => {
    nodes.push({
      opType,
      domain: '',
      name: output,
      inputs,
      outputs: [output],
      attributes: attributesOf(attributes),
    });
    value = output;
  };
  const weights = (name: string, dims: readonly number[]) => {
    constants.set(`${name}.weight`, normal(random, dims));
    constants.set(`${name}.bias`, floatConstant(new Float32Array(dims[0]), [dims[0]]));
    return [value, `${name}.weight`, `${name}.bias`];
  };

  for (const [i, { outputs, kernel, stride, pool }] of convolutions.entries()) {
    const pad = (kernel - 1) / 2;
    const inputs = weights(`conv${i + 1}`, [outputs, channels, kernel, kernel]);
    add('Conv', `conv${i + 1}`, inputs, { strides: [stride, stride], pads: [pad, pad, pad, pad] });
    add('Relu', `relu${i + 1}`, [value]);
    if (pool) add('MaxPool', `pool${i + 1}`, [value], { kernel_shape: [2, 2], strides: [2, 2] });
    channels = outputs;
  }
  add('GlobalMaxPool', 'anywhere', [value]);
  add('Flatten', 'features', [value]);
  add('Gemm', 'scores', weights('classifier', [classes.length, channels]), { transB: 1 });
  add('Sigmoid', 'probabilities', [value]);

  const info = (name: string, dims: (number | string)[]) => ({ name, type: DataType.FLOAT, dims });
  return {
    name: 'shapes',
    opset: 17,
    domains: new Map(),
    inputs: [info('image', ['N', 3, inputSize, inputSize])],
    outputs: [info('probabilities', ['N', classes.length])],
    nodes,
    constants,
    values: new Map(),
    metadata: new Map(),
  };
}

/** He et al., arXiv 1502.01852: normal, variance 2 / fan-in. */
function normal(random: Random, dims: readonly number[]): Constant {
  const deviation = Math.sqrt(2 / sizeOf(dims.slice(1)));
  return floatConstant(
    Float32Array.from({ length: sizeOf(dims) }, () => deviation * random.normal()),
    dims,
  );
}
