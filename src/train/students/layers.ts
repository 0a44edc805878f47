import { Builder, type Name } from '../../graph/builder.js';
import type { Graph } from '../../graph/graph.js';
import { floatConstant } from '../../onnx/constant.js';
import { DataType } from '../../onnx/types.js';
import { random } from '../../random-stream.js';
import { sizeOf } from '../../tensor.js';

/** What a student is built for. */
export interface StudentOptions {
  /** M. */
  readonly classes: number;
  /** The input's [H, W]. */
  readonly size: readonly [number, number];
  /** Of the input; default 3. */
  readonly channels?: number;
  /** A factor of every number of channels; default 1. */
  readonly width?: number;
  /** Of the weights; default 1. */
  readonly seed?: number;
}

/** A kind of network that can be built untrained. */
export interface Student {
  /** As users type it, with what may vary, as resnet-DEPTH. */
  readonly name: string;
  /** Paper, and where we differ. */
  readonly source: string;
  /** The network for what was typed; undefined where it is of another kind. */
  readonly build: (typed: string, options: StudentOptions) => Graph | undefined;
}

/** A convolution's numbers. */
export interface ConvOptions {
  readonly outputs: number;
  readonly kernel: number;
  readonly stride?: number;
  readonly group?: number;
}

/** More is a slip of the finger, or no student. */
export const mostOf = { weights: 1e8, layers: 2000 } as const;

/** What a name or width asks for that is not built. */
export class TooLarge extends Error {}

/**
 * Writes a network's layers with their weights: He et al., arXiv 1502.01852, normal of variance 2 / fan-in; batch normalisation
 * begins as the identity, biases at 0. The numbers depend on the seed and the layer's name alone.
 */
export class Layers {
  readonly input = 'image';
  readonly #b = new Builder();
  readonly #options: Required<StudentOptions>;
  readonly #channels = new Map<Name, number>();
  #weights = 0;
  #layers = 0;

  constructor(options: StudentOptions) {
    this.#options = { channels: 3, width: 1, seed: 1, ...options };
    this.#b.names.take(this.input);
    this.#channels.set(this.input, this.#options.channels);
  }

  /** So many channels, times the width, at least one. */
  scaled(channels: number): number {
    return Math.max(1, Math.round(channels * this.#options.width));
  }

  channelsOf(x: Name): number {
    return this.#channels.get(x) as number;
  }

  /** Without bias: batch normalisation follows. Half the kernel is padded, so that stride 1 keeps the size. */
  conv(name: string, x: Name, { outputs, kernel, stride = 1, group = 1 }: ConvOptions): Name {
    const pad = (kernel - 1) / 2;
    const weight = this.#normal(`${name}.weight`, [outputs, this.channelsOf(x) / group, kernel, kernel]);
    const attributes = { strides: [stride, stride], pads: [pad, pad, pad, pad], group };
    return this.#made(this.#b.op('Conv', [x, weight], attributes, name), outputs);
  }

  /** By the statistics of the batch; running ones with ONNX's momentum 0.9, which is PyTorch's 0.1. */
  batchNorm(name: string, x: Name): Name {
    const channels = this.channelsOf(x);
    const filled = (what: string, value: number) =>
      this.#constant(`${name}.${what}`, new Float32Array(channels).fill(value), [channels]);
    const inputs = [x, filled('weight', 1), filled('bias', 0), filled('mean', 0), filled('variance', 1)];
    return this.#made(this.#b.op('BatchNormalization', inputs, { training_mode: 1 }, name), channels);
  }

  relu(name: string, x: Name): Name {
    return this.#made(this.#b.op('Relu', [x], {}, name), this.channelsOf(x));
  }

  add(name: string, x: Name, y: Name): Name {
    return this.#made(this.#b.op('Add', [x, y], {}, name), this.channelsOf(x));
  }

  /** The largest of 2 × 2. */
  maxPool(name: string, x: Name): Name {
    const attributes = { kernel_shape: [2, 2], strides: [2, 2] };
    return this.#made(this.#b.op('MaxPool', [x], attributes, name), this.channelsOf(x));
  }

  /** Global average pooling and one linear layer: the network is done. */
  classifier(name: string, x: Name): Graph {
    const { classes, size, channels } = this.#options;
    const features = this.#b.op(
      'Flatten',
      [this.#b.op('GlobalAveragePool', [x], {}, 'pool')],
      {},
      'features',
    );
    const weight = this.#normal('classifier.weight', [classes, this.channelsOf(x)]);
    const bias = this.#constant('classifier.bias', new Float32Array(classes), [classes]);
    this.#b.op('Gemm', [features, weight, bias], { transB: 1 }, 'scores');
    const info = (value: string, dims: (number | string)[]) => ({ name: value, type: DataType.FLOAT, dims });
    return {
      name,
      opset: 18,
      domains: new Map(),
      inputs: [info(this.input, ['N', channels, ...size])],
      outputs: [info('scores', ['N', classes])],
      nodes: this.#b.nodes,
      constants: this.#b.constants,
      values: new Map(),
      metadata: new Map(),
    };
  }

  #made(name: Name, channels: number): Name {
    this.#channels.set(name, channels);
    return name;
  }

  #constant(name: Name, data: Float32Array, dims: readonly number[]): Name {
    this.#b.names.take(name);
    this.#b.constants.set(name, floatConstant(data, dims));
    return name;
  }

  #normal(name: Name, dims: readonly number[]): Name {
    this.#weights += sizeOf(dims);
    if (this.#weights > mostOf.weights || ++this.#layers > mostOf.layers) throw new TooLarge();
    const numbers = random(this.#options.seed, name);
    const deviation = Math.sqrt(2 / sizeOf(dims.slice(1)));
    const data = Float32Array.from({ length: sizeOf(dims) }, () => {
      const radius = Math.sqrt(-2 * Math.log(1 - numbers.uniform())); // Box–Muller
      return deviation * radius * Math.cos(2 * Math.PI * numbers.uniform());
    });
    return this.#constant(name, data, dims);
  }
}
