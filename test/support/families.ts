import { floatConstant } from '../../src/onnx/constant.js';
import type { Plain } from '../../src/graph/attributes.js';
import { type ShortGraph, type ShortNode, weights } from './network.js';
import { transformer } from './transformer.js';

/** Writes a network layer by layer; every method returns the name of what it made. */
class Layers {
  readonly nodes: ShortNode[] = [];
  readonly constants: NonNullable<ShortGraph['constants']> = {};
  #count = 0;

  op(opType: string, inputs: readonly string[], attributes: Record<string, Plain> = {}): string {
    const output = `${opType.toLowerCase()}${++this.#count}`;
    this.nodes.push([opType, inputs, [output], attributes]);
    return output;
  }

  weight(dims: readonly number[], scale = 1): string {
    const name = `w${++this.#count}`;
    this.constants[name] = weights(this.#count, dims, scale);
    return name;
  }

  conv(x: string, from: number, to: number, { size = 3, stride = 1, group = 1, bias = true } = {}): string {
    const pad = Math.floor(size / 2);
    const inputs = [x, this.weight([to, from / group, size, size])];
    if (bias) inputs.push(this.weight([to], 0.3));
    return this.op('Conv', inputs, {
      kernel_shape: [size, size],
      strides: [stride, stride],
      group,
      pads: [pad, pad, pad, pad],
    });
  }

  /** A convolution and the normalisation of a trained network. */
  normed(x: string, from: number, to: number, options: Parameters<Layers['conv']>[3] = {}): string {
    const conv = this.conv(x, from, to, { ...options, bias: false });
    const ones = `one${++this.#count}`;
    this.constants[ones] = floatConstant(new Float32Array(to).fill(0.8), [to]);
    return this.op('BatchNormalization', [conv, ones, this.weight([to], 0.3), this.weight([to], 0.2), ones]);
  }

  relu(x: string): string {
    return this.op('Relu', [x]);
  }

  swish(x: string): string {
    return this.op('Mul', [x, this.op('Sigmoid', [x])]);
  }

  pool(x: string, size: number, stride: number, pad = 0, ceil = 0): string {
    return this.op('MaxPool', [x], {
      kernel_shape: [size, size],
      strides: [stride, stride],
      pads: [pad, pad, pad, pad],
      ceil_mode: ceil,
    });
  }

  /** Global average pooling and a linear layer. */
  scores(x: string, channels: number): ShortGraph {
    const flat = this.op('Flatten', [this.op('GlobalAveragePool', [x])]);
    this.nodes.push([
      'Gemm',
      [flat, this.weight([5, channels]), this.weight([5], 0.3)],
      ['logits'],
      { transB: 1 },
    ]);
    const { nodes, constants } = this;
    return { inputs: { image: ['N', 3, 16, 16] }, outputs: ['logits'], nodes, constants };
  }
}

function resnet(): ShortGraph {
  const b = new Layers();
  let x = b.pool(b.relu(b.normed('image', 3, 8, { stride: 1 })), 3, 2, 1);
  for (const stride of [1, 2]) {
    const short = stride === 1 ? x : b.normed(x, 8, 8, { size: 1, stride });
    const long = b.normed(b.relu(b.normed(x, 8, 8, { stride })), 8, 8);
    x = b.relu(b.op('Add', [long, short]));
  }
  return b.scores(x, 8);
}

function vgg(): ShortGraph {
  const b = new Layers();
  const first = b.pool(b.relu(b.conv('image', 3, 6)), 2, 2);
  const second = b.pool(b.relu(b.conv(first, 6, 8)), 2, 2);
  const hidden = b.relu(b.op('Gemm', [b.op('Flatten', [second]), b.weight([10, 128])], { transB: 1 }));
  b.nodes.push(['Gemm', [hidden, b.weight([5, 10])], ['logits'], { transB: 1 }]);
  const { nodes, constants } = b;
  return { inputs: { image: ['N', 3, 16, 16] }, outputs: ['logits'], nodes, constants };
}

function squeezenet(): ShortGraph {
  const b = new Layers();
  let x = b.pool(b.relu(b.conv('image', 3, 8)), 3, 2, 0, 1);
  for (let i = 0; i < 2; i++) {
    const small = b.relu(b.conv(x, 8, 4, { size: 1 }));
    x = b.op('Concat', [b.relu(b.conv(small, 4, 4, { size: 1 })), b.relu(b.conv(small, 4, 4))], { axis: 1 });
    if (i === 0) x = b.pool(x, 3, 2);
  }
  return b.scores(b.relu(b.conv(x, 8, 6, { size: 1 })), 6);
}

function densenet(): ShortGraph {
  const b = new Layers();
  let x = b.relu(b.conv('image', 3, 8));
  let channels = 8;
  for (let i = 0; i < 3; i++) {
    const more = b.conv(b.relu(b.normed(x, channels, 6, { size: 1 })), 6, 4);
    x = b.op('Concat', [x, more], { axis: 1 });
    channels += 4;
  }
  const halved = b.op('AveragePool', [b.relu(b.normed(x, channels, 8, { size: 1 }))], {
    kernel_shape: [2, 2],
    strides: [2, 2],
  });
  return b.scores(b.relu(b.conv(halved, 8, 8)), 8);
}

function mobilenet(): ShortGraph {
  const b = new Layers();
  b.constants.low = floatConstant([0], []);
  b.constants.high = floatConstant([6], []);
  const relu6 = (x: string) => b.op('Clip', [x, 'low', 'high']);
  let x = relu6(b.normed('image', 3, 8, { stride: 2 }));
  for (let i = 0; i < 2; i++) {
    const wide = relu6(b.normed(x, 8, 16, { size: 1 }));
    const deep = relu6(b.normed(wide, 16, 16, { group: 16 }));
    x = b.op('Add', [x, b.normed(deep, 16, 8, { size: 1 })]);
  }
  return b.scores(x, 8);
}

function efficientnet(): ShortGraph {
  const b = new Layers();
  let x = b.swish(b.normed('image', 3, 8, { stride: 2 }));
  for (let i = 0; i < 2; i++) {
    const deep = b.swish(b.normed(b.swish(b.normed(x, 8, 16, { size: 1 })), 16, 16, { size: 5, group: 16 }));
    const squeezed = b.swish(b.conv(b.op('GlobalAveragePool', [deep]), 16, 4, { size: 1 }));
    const gate = b.op('Sigmoid', [b.conv(squeezed, 4, 16, { size: 1 })]);
    x = b.op('Add', [x, b.normed(b.op('Mul', [deep, gate]), 16, 8, { size: 1 })]);
  }
  return b.scores(b.swish(x), 8);
}

/** Volumes, pooled over one another: what a network for videos or scans has. */
export function volumes(): ShortGraph {
  const b = new Layers();
  const conv = (x: string, from: number, to: number) =>
    b.op('Conv', [x, b.weight([to, from, 3, 3, 3])], { kernel_shape: [3, 3, 3], pads: [1, 1, 1, 1, 1, 1] });
  const pool = { kernel_shape: [3, 3, 3], strides: [2, 2, 2], pads: [1, 1, 1, 1, 1, 1] };
  const first = b.op('MaxPool', [b.relu(conv('image', 3, 4))], pool);
  const scored = b.scores(b.relu(conv(first, 4, 6)), 6);
  return { ...scored, inputs: { image: ['N', 3, 6, 8, 8] } };
}

/** A small network of each family that people explain; all take [N, 3, 16, 16] but the transformer, [N, 3, 8, 12]. */
export const families: Readonly<Record<string, ShortGraph>> = {
  ResNet: resnet(),
  MobileNet: mobilenet(),
  SqueezeNet: squeezenet(),
  VGG: vgg(),
  DenseNet: densenet(),
  EfficientNet: efficientnet(),
  ViT: transformer(),
};
