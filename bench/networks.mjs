// Networks of the kinds that people explain most, with random weights: what they compute does not matter here, how long
// it takes does. ResNet-50 (He et al., arXiv 1512.03385, Table 1) and MobileNetV2 (Sandler et al., arXiv 1801.04381, Table 2),
// batch normalisation folded into the convolutions, as exporters do for inference; 224 × 224, 1,000 classes. And of clips, four
// 3-D convolutions on 16 frames of 112 × 112.
import { modelFile } from '../dist/graph/model-file.js';
import { Builder } from '../dist/graph/builder.js';
import { floatConstant } from '../dist/onnx/constant.js';
import { DataType } from '../dist/onnx/types.js';

export const networks = { 'resnet50-like': resnet, 'mobilenet-like': mobilenet };
const clipNetworks = { 'c3d-like': c3d };

/** Writes a network's ONNX file, always the same. */
export async function saveNetwork(name, path) {
  const net = new Net();
  const { features, channels, size = [224, 224] } = { ...networks, ...clipNetworks }[name](net);
  const b = net.builder;
  const pooled = b.op('Flatten', [b.op('GlobalAveragePool', [features])]);
  b.op('Gemm', [pooled, net.weights([1000, channels], 1), net.weights([1000], 0.1)], { transB: 1 }, 'logits');
  await modelFile({
    name,
    opset: 18,
    domains: new Map(),
    inputs: [{ name: 'input', type: DataType.FLOAT, dims: ['N', 3, ...size] }],
    outputs: [{ name: 'logits', type: DataType.FLOAT, dims: ['N', 1000] }],
    nodes: b.nodes,
    constants: b.constants,
    values: new Map(),
    metadata: new Map(),
  }).save(path);
}

class Net {
  builder = new Builder();
  #state = 1;

  /** About normal, scaled to keep activations near 1. */
  weights(dims, gain) {
    const fan = dims.slice(1).reduce((product, dim) => product * dim, 1);
    const size = fan * dims[0];
    const values = new Float32Array(size);
    for (let i = 0; i < size; i++) {
      let sum = 0;
      for (let j = 0; j < 3; j++) {
        this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
        sum += this.#state / 2 ** 32 - 0.5;
      }
      values[i] = 2 * sum * gain * Math.sqrt(2 / fan);
    }
    return this.builder.constant(floatConstant(values, dims), 'weight');
  }

  conv(x, from, to, { kernel = 1, stride = 1, group = 1, gain = 1 } = {}) {
    const pad = (kernel - 1) / 2;
    const inputs = [x, this.weights([to, from / group, kernel, kernel], gain), this.weights([to], 0.05)];
    return this.builder.op('Conv', inputs, { kernel_shape: [kernel, kernel], strides: [stride, stride], pads: [pad, pad, pad, pad], group });
  }

  relu(x) {
    return this.builder.op('Relu', [x]);
  }
}

function resnet(net) {
  let x = net.relu(net.conv('input', 3, 64, { kernel: 7, stride: 2 }));
  x = net.builder.op('MaxPool', [x], { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] });
  let channels = 64;
  for (const [stage, blocks] of [3, 4, 6, 3].entries())
    for (let block = 0; block < blocks; block++) {
      const width = 64 * 2 ** stage;
      const stride = stage > 0 && block === 0 ? 2 : 1;
      const narrow = net.relu(net.conv(x, channels, width));
      const middle = net.relu(net.conv(narrow, width, width, { kernel: 3, stride }));
      const wide = net.conv(middle, width, 4 * width, { gain: 0.3 });
      const shortcut = block === 0 ? net.conv(x, channels, 4 * width, { stride, gain: 0.7 }) : x;
      x = net.relu(net.builder.add(wide, shortcut));
      channels = 4 * width;
    }
  return { features: x, channels };
}

function mobilenet(net) {
  const relu6 = (x) => net.builder.op('Clip', [x, net.builder.scalar(0), net.builder.scalar(6)]);
  let x = relu6(net.conv('input', 3, 32, { kernel: 3, stride: 2 }));
  let channels = 32;
  const stages = [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 3, 2], [6, 64, 4, 2], [6, 96, 3, 1], [6, 160, 3, 2], [6, 320, 1, 1]];
  for (const [expansion, to, count, first] of stages)
    for (let i = 0; i < count; i++) {
      const stride = i === 0 ? first : 1;
      const width = expansion * channels;
      const wide = expansion === 1 ? x : relu6(net.conv(x, channels, width));
      const deep = relu6(net.conv(wide, width, width, { kernel: 3, stride, group: width, gain: 1.5 }));
      const narrow = net.conv(deep, width, to, { gain: 0.7 });
      x = stride === 1 && channels === to ? net.builder.add(narrow, x) : narrow;
      channels = to;
    }
  return { features: relu6(net.conv(x, channels, 1280)), channels: 1280 };
}

function c3d(net) {
  const conv = (x, from, to, strides = [1, 1, 1]) =>
    net.relu(net.builder.op('Conv', [x, net.weights([to, from, 3, 3, 3], 1), net.weights([to], 0.05)], { pads: Array(6).fill(1), strides }));
  const pool = (x, sizes) => net.builder.op('MaxPool', [x], { kernel_shape: sizes, strides: sizes });
  const first = pool(conv('input', 3, 8, [1, 2, 2]), [1, 2, 2]);
  const second = pool(conv(first, 8, 16), [2, 2, 2]);
  const third = pool(conv(second, 16, 16), [2, 2, 2]);
  return { features: conv(third, 16, 32), channels: 32, size: [16, 112, 112] };
}
