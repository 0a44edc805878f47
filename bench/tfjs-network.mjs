// A network of an ONNX file in TensorFlow.js, and Grad-CAM as its users write it: the gradient of a class score at a layer by
// tfjs' own automatic differentiation. It imports nothing, so that a page takes it too.

/**
 * What tfjs needs of a prepared graph, in plain arrays: nodes, and constants as numbers. Normalisations are folded into the
 * convolutions before them, as ONNX Runtime and tfjs' own converter do.
 */
export function plainNetwork({ inputs, outputs, nodes, constants }) {
  const plain = nodes.map(({ opType, inputs: from, outputs: [to], attributes }) => ({
    opType,
    from,
    to,
    attributes: Object.fromEntries([...attributes].map(([name, { value }]) => [name, value])),
  }));
  const values = {};
  for (const { from } of plain)
    for (const name of from) {
      const constant = constants.get(name);
      if (constant) values[name] = { dims: constant.dims.map(Number), data: numbers(constant) };
    }
  return fold({ input: inputs[0].name, output: outputs[0].name, nodes: plain, constants: values });
}

/** ONNX's types 1 and 7, float32 and int64. */
function numbers({ type, bytes }) {
  const { buffer } = Uint8Array.from(bytes);
  if (type === 1) return [...new Float32Array(buffer)];
  return [...new BigInt64Array(buffer)].map(Number);
}

function fold({ nodes, constants, ...rest }) {
  const kept = [];
  const all = { ...constants };
  for (const node of nodes) {
    const before = node.opType === 'BatchNormalization' && kept.find(({ to }) => to === node.from[0]);
    if (before?.opType !== 'Conv') {
      kept.push(node);
      continue;
    }
    const [scale, shift, mean, variance] = node.from.slice(1).map((name) => constants[name].data);
    const [filter, bias] = before.from.slice(1);
    const { dims, data } = constants[filter];
    const each = data.length / dims[0];
    const factors = scale.map((value, c) => value / Math.sqrt(variance[c] + (node.attributes.epsilon ?? 1e-5)));
    const names = [`${node.to}.weight`, `${node.to}.bias`];
    all[names[0]] = { dims, data: data.map((value, i) => value * factors[Math.floor(i / each)]) };
    all[names[1]] = {
      dims: [dims[0]],
      data: factors.map((factor, c) => shift[c] + factor * ((bias ? constants[bias].data[c] : 0) - mean[c])),
    };
    kept[kept.indexOf(before)] = { ...before, from: [before.from[0], ...names], to: node.to };
  }
  return { ...rest, nodes: kept, constants: all };
}

const axes = [0, 3, 1, 2]; // where tfjs has ONNX's axes, channels last

/** Operators on [N, H, W, C]; `numbersOf` gives a constant as numbers. */
const operators = (tf) => ({
  Conv: ({ attributes: { pads = [0, 0, 0, 0], strides = 1 } }, [x, filter, bias]) => {
    const [top, left, bottom, right] = pads;
    const pad = pads.every((own) => own === 0) ? 'valid' : [[0, 0], [top, bottom], [left, right], [0, 0]];
    const y = tf.conv2d(x, filter, strides, pad);
    return bias ? tf.add(y, bias) : y;
  },
  Relu: (_, [x]) => tf.relu(x),
  Add: (_, [a, b]) => tf.add(a, b),
  MaxPool: (node, [x]) => tf.maxPool(x, ...pooling(node, x)),
  AveragePool: (node, [x]) => tf.avgPool(x, ...pooling(node, x)),
  Concat: (_, list) => tf.concat(list, 3),
  GlobalAveragePool: (_, [x]) => tf.mean(x, [1, 2], true),
  Flatten: (_, [x]) => {
    if (x.shape[1] * x.shape[2] !== 1) throw new Error('a flattening of more than channels');
    return tf.reshape(x, [x.shape[0], x.shape[3]]);
  },
  Gemm: (_, [x, weight, bias]) => tf.add(tf.matMul(x, weight, false, true), bias),
  Slice: (node, [x], numbersOf) => {
    const [starts, ends, on, steps] = node.from.slice(1).map(numbersOf);
    const [begin, end, by] = [x.shape.map(() => 0), [...x.shape], x.shape.map(() => 1)];
    on.forEach((axis, i) => {
      const own = axes[axis];
      [begin[own], end[own], by[own]] = [starts[i], Math.min(ends[i], x.shape[own]), steps[i]];
    });
    return tf.stridedSlice(x, begin, end, by);
  },
  Pad: (node, [x], numbersOf) => {
    const pads = numbersOf(node.from[1]);
    const own = [];
    for (let axis = 0; axis < 4; axis++) own[axes[axis]] = [pads[axis], pads[axis + 4]];
    return tf.pad(x, own);
  },
});

function pooling({ attributes: { kernel_shape: [size], strides: [stride] } }, x) {
  if ((x.shape[1] - size) % stride !== 0) throw new Error('a pooling that does not come out even');
  return [size, stride, 'valid'];
}

/**
 * Grad-CAM of a batch at a layer, by the backend that is set: `read` makes the pictures' tensor [N, H, W, C] of which the maps
 * have the height and the width, in 0…1. Constants go to the backend at the first call.
 *
 * @returns of each picture the best class and the map
 */
export function gradCamIn(tf, network, layer) {
  const run = runner(tf, network);
  return async (read) => {
    tf.engine().startScope();
    try {
      const input = read();
      const [, height, width] = input.shape;
      const A = run(network.input, input, layer);
      const scores = run(layer, A, network.output);
      const best = await tf.argMax(scores, 1).data();
      const chosen = tf.oneHot(tf.tensor1d([...best], 'int32'), scores.shape[1]);
      const gradient = tf.grad((x) => tf.sum(tf.mul(run(layer, x, network.output), chosen)))(A);
      const raw = tf.relu(tf.sum(tf.mul(tf.mean(gradient, [1, 2], true), A), 3, true));
      const maps = tf.image.resizeBilinear(raw, [height, width], false, true);
      const least = tf.min(maps, [1, 2], true);
      const data = await tf.div(tf.sub(maps, least), tf.sub(tf.max(maps, [1, 2], true), least)).data();
      const size = height * width;
      return [...best].map((own, n) => ({ class: own, data: data.subarray(n * size, (n + 1) * size) }));
    } finally {
      tf.engine().endScope();
    }
  };
}

/** Runs the nodes that lead from one value to another. */
function runner(tf, { nodes, constants }) {
  const own = operators(tf);
  const made = new Map();
  const numbersOf = (name) => constants[name].data;
  const constant = (name) => {
    if (!made.has(name)) {
      const { dims, data } = constants[name];
      const tensor = tf.tensor(Float32Array.from(data), dims);
      made.set(name, tf.keep(dims.length === 4 ? tf.transpose(tensor, [2, 3, 1, 0]) : tensor)); // filters [H, W, in, out]
    }
    return made.get(name);
  };
  return (from, x, to) => {
    const values = new Map([[from, x]]);
    for (const node of nodes) {
      const isKnown = node.from.every((name) => values.has(name) || constants[name]);
      if (!isKnown || values.has(node.to)) continue;
      const isOfNumbers = node.opType === 'Slice' || node.opType === 'Pad';
      const inputs = (isOfNumbers ? node.from.slice(0, 1) : node.from).map((name) => values.get(name) ?? constant(name));
      values.set(node.to, own[node.opType](node, inputs, numbersOf));
      if (node.to === to) return values.get(to);
    }
    throw new Error(`${to} cannot be computed from ${from}`);
  };
}

/** Pictures [N, C, H, W] as tfjs' tensor [N, H, W, C]. */
export function channelsLast(tf, data, dims) {
  return tf.transpose(tf.tensor4d(data, dims), [0, 2, 3, 1]);
}

export function largestDifference(a, b) {
  let most = 0;
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i] - b[i]));
  return Number.isNaN(most) ? Number.POSITIVE_INFINITY : most;
}
