import { Builder, type Name } from '../../src/graph/builder.js';
import type { Graph } from '../../src/graph/graph.js';
import { type Constant, floatConstant } from '../../src/onnx/constant.js';
import { DataType } from '../../src/onnx/types.js';
import { sizeOf } from '../../src/tensor.js';
import { weightsOf } from '../../src/train/training-form.js';
import { Random } from './random.js';
import { classes } from './things.js';

/** The input of every network here is RGB, `inputSize` × `inputSize`, (value / 255 − mean) / std. */
export const inputSize = 96;
export const mean = 0.5;
export const std = 0.25;

/** The last convolution's output, the layer that is explained. */
export const lastActivation = 'relu4';
export const classifier = 'classifier.weight';

export interface Convolution {
  readonly inputs: number;
  readonly outputs: number;
  readonly kernel: number;
  readonly stride?: number;
  readonly dilation?: number;
}

/** The convolutions that every network here begins with; a maximum over 2 × 2 follows the first. */
export const trunkConvolutions: readonly Convolution[] = [
  { inputs: 3, outputs: 16, kernel: 5, stride: 2 },
  { inputs: 16, outputs: 32, kernel: 3 },
  { inputs: 32, outputs: 48, kernel: 3 },
  { inputs: 48, outputs: 64, kernel: 3 },
];
/** Channels behind the trunk, and the pixels of the input that one of its positions stands for. */
export const trunkChannels = 64;
export const trunkStride = 4;

/** Writes networks layer by layer, with weights drawn as He et al. (arXiv 1502.01852) do: normal, variance 2 / fan-in. */
export class Layers extends Builder {
  readonly #random: Random;

  constructor(seed: number) {
    super();
    this.#random = new Random(seed);
  }

  /** A convolution that keeps the size, but for its stride. */
  convolution(
    name: Name,
    input: Name,
    { inputs, outputs, kernel, stride = 1, dilation = 1 }: Convolution,
  ): Name {
    const pad = (dilation * (kernel - 1)) / 2;
    return this.op(
      'Conv',
      [input, ...this.weights(name, [outputs, inputs, kernel, kernel])],
      {
        strides: [stride, stride],
        pads: [pad, pad, pad, pad],
        ...(dilation === 1 ? {} : { dilations: [dilation, dilation] }),
      },
      name,
    );
  }

  relu(name: Name, input: Name): Name {
    return this.op('Relu', [input], {}, name);
  }

  /** Names of drawn weights and of a bias of 0 (or `start`). */
  weights(name: Name, dims: readonly number[], start = 0): [Name, Name] {
    const weight = this.weight(name, dims);
    this.constants.set(`${name}.bias`, floatConstant(new Float32Array(dims[0]).fill(start), [dims[0]]));
    return [weight, `${name}.bias`];
  }

  /** Name of drawn weights. */
  weight(name: Name, dims: readonly number[]): Name {
    const deviation = Math.sqrt(2 / sizeOf(dims.slice(1)));
    const drawn = Float32Array.from({ length: sizeOf(dims) }, () => deviation * this.#random.normal());
    this.constants.set(`${name}.weight`, floatConstant(drawn, dims));
    return `${name}.weight`;
  }

  /** Convolutions with ReLU; four, 64 channels, 24 × 24 unless others are given. */
  trunk(input = 'image', convolutions = trunkConvolutions): Name {
    let value: Name = input;
    for (const [i, convolution] of convolutions.entries()) {
      value = this.relu(`relu${i + 1}`, this.convolution(`conv${i + 1}`, value, convolution));
      if (i === 0)
        value = this.op('MaxPool', [value], { kernel_shape: [2, 2], strides: [2, 2] }, `pool${i + 1}`);
    }
    return value;
  }

  /** The network that has been written, from `image` to an output of these dims. */
  network(
    name: string,
    output: Name,
    dims: readonly number[],
    input: readonly number[] = [3, inputSize, inputSize],
  ): Graph {
    const info = (value: Name, own: readonly number[]) => ({
      name: value,
      type: DataType.FLOAT,
      dims: ['N', ...own],
    });
    return {
      name,
      opset: 18,
      domains: new Map(),
      inputs: [info('image', input)],
      outputs: [info(output, dims)],
      nodes: this.nodes,
      constants: this.constants,
      values: new Map(),
      metadata: new Map(),
    };
  }
}

/**
 * A small classifier, untrained: four convolutions with ReLU, the maximum of every channel over the picture, one
 * linear layer, a sigmoid for each class. The maximum asks "is it anywhere?", so pictures need no boxes to learn
 * from (Oquab et al., "Is object localization for free?", CVPR 2015), and gradients differ from place to place.
 */
export function untrained(seed: number): Graph {
  const b = new Layers(seed);
  const anywhere = b.op('GlobalMaxPool', [b.trunk()], {}, 'anywhere');
  const features = b.op('Flatten', [anywhere], {}, 'features');
  const weights = b.weights('classifier', [classes.length, trunkChannels]);
  const scores = b.op('Gemm', [features, ...weights], { transB: 1 }, 'scores');
  return b.network('shapes', b.op('Sigmoid', [scores], {}, 'probabilities'), [classes.length]);
}

/** The network with the weights that a trained one has under the same names. */
export function startingFrom(trained: Graph, graph: Graph): Graph {
  const constants = new Map<Name, Constant>(graph.constants);
  for (const name of weightsOf(graph)) {
    const own = trained.constants.get(name);
    if (own) constants.set(name, own);
  }
  return { ...graph, constants };
}
