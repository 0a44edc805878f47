// What gradients cost: for each operator (forward + backward − forward) / forward beside the ratio of the recipe that its
// rule started from, and how long the gradient of a deep network takes to build. Wall time of whole runs, y and dX
// fetched, as the recipes were measured. Only the convolutions' recipes say at which shapes; "~" marks the others, whose
// ratios can only be compared roughly (where y is small, fetching dX is most of the time).
// Usage: npm run build && node bench/autodiff.mjs [--rounds 15] [--threads 1] [--only Conv] [--dist ../dist]
import { parseArgs } from 'node:util';
import * as ort from 'onnxruntime-node';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '15' },
    threads: { type: 'string', default: '1' },
    only: { type: 'string', default: '' },
    dist: { type: 'string', default: '../dist' },
  },
});
const load = (path) => import(new URL(`${options.dist}/${path}`, import.meta.url));
const { attributesOf } = await load('graph/attributes.js');
const { subgraph } = await load('graph/graph.js');
const { modelFile } = await load('graph/model-file.js');
const { floatConstant, int64Constant } = await load('onnx/constant.js');
const { readModel } = await load('onnx/read.js');
const { prepareGraph } = await load('runtime/prepare.js');
const { appendGradient } = await load('autodiff/walk.js');

const size = (dims) => dims.reduce((product, dim) => product * dim, 1);
let seed = 1;
const random = () => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return seed / 2 ** 32 - 0.5;
};
const floats = (dims) => Float32Array.from({ length: size(dims) }, random);
const weight = (...dims) => floatConstant(floats(dims), dims);
const ints = (...values) => int64Constant(values);

/** [operator, setting, input dims, other inputs, attributes, ratio of the recipe, operator set]. */
const pads = [1, 1, 1, 1];
const k = (size, stride = size) => ({ kernel_shape: [size, size], strides: [stride, stride] });
const conv = (setting, dims, w, attributes, ratio) => ['Conv', setting, dims, [weight(...w)], attributes, ratio];
const elementwise = (op, ratio, attributes = {}, others = []) => [op, '', [1, 64, 56, 56], others, attributes, ratio];
const cases = [
  conv('3x3 64->64 @56', [1, 64, 56, 56], [64, 64, 3, 3], { pads }, 0.99),
  conv('3x3 16->16 @32 N32', [32, 16, 32, 32], [16, 16, 3, 3], { pads }, 0.87),
  conv('3x3 48->192 @27', [1, 48, 27, 27], [192, 48, 3, 3], { pads }, 0.94),
  conv('1x1 512->1000 @13', [1, 512, 13, 13], [1000, 512, 1, 1], {}, 0.93),
  conv('1x1 64->256 @56', [1, 64, 56, 56], [256, 64, 1, 1], {}, 0.57),
  conv('3x3 s2 128->256 @28', [1, 128, 28, 28], [256, 128, 3, 3], { pads, strides: [2, 2] }, 1.23),
  conv('3x3 s2 16->32 @32 N32', [32, 16, 32, 32], [32, 16, 3, 3], { pads, strides: [2, 2] }, 1.59),
  conv('1x1 s2 256->512 @28', [1, 256, 28, 28], [512, 256, 1, 1], { strides: [2, 2] }, 0.92),
  conv('7x7 s2 3->64 @224', [1, 3, 224, 224], [64, 3, 7, 7], { pads: [3, 3, 3, 3], strides: [2, 2] }, 1.27),
  conv('depthwise 3x3 96 @56', [1, 96, 56, 56], [96, 1, 3, 3], { pads, group: 96 }, 0.98),
  conv('depthwise 3x3 s2 96 @112', [1, 96, 112, 112], [96, 1, 3, 3], { pads, group: 96, strides: [2, 2] }, 2.6),
  conv('grouped 32 3x3 128 @56', [1, 128, 56, 56], [128, 4, 3, 3], { pads, group: 32 }, 1.01),
  conv('3x3 dilated 2 64 @56', [1, 64, 56, 56], [64, 64, 3, 3], { pads: [2, 2, 2, 2], dilations: [2, 2] }, 1.01),
  ['MaxPool', '3 s2 96 @109', [1, 96, 109, 109], [], k(3, 2), 8],
  ['MaxPool', '2 s2 64 @112', [1, 64, 112, 112], [], k(2), 8],
  ['AveragePool', '2 s2 64 @112', [1, 64, 112, 112], [], k(2), 0.5],
  ['AveragePool', '3 s1 64 @56', [1, 64, 56, 56], [], { ...k(3, 1), pads, count_include_pad: 1 }, 1],
  ['AveragePool', '3 s2 64 @56', [1, 64, 56, 56], [], { ...k(3, 2), pads }, 2.2],
  ['GlobalAveragePool', '1000 @13', [1, 1000, 13, 13], [], {}, 0.4],
  ['GlobalMaxPool', '512 @14', [1, 512, 14, 14], [], {}, 1.8],
  ['LRN', '96 @27', [1, 96, 27, 27], [], { size: 5 }, 0.5],
  ['BatchNormalization', '64 @56', [1, 64, 56, 56], [weight(64), weight(64), weight(64), floatConstant(new Float32Array(64).fill(1), [64])], {}, 0.75],
  ['InstanceNormalization', '64 @56', [1, 64, 56, 56], [weight(64), weight(64)], {}, 4.4],
  ['LayerNormalization', '197 x 384', [8, 197, 384], [weight(384), weight(384)], { axis: -1 }, 3.4],
  ['Gemm', '512->1000 N64', [64, 512], [weight(512, 1000)], {}, 0.98],
  ['MatMul', '197 x 384 -> 384', [8, 197, 384], [weight(384, 384)], {}, 1],
  ['Softmax', '8 x 197 x 197', [8, 197, 197], [], { axis: -1 }, 2],
  elementwise('Relu', 1.74),
  elementwise('LeakyRelu', 3),
  elementwise('Sigmoid', 1.7),
  elementwise('Tanh', 1.4),
  elementwise('HardSwish', 3.5),
  elementwise('Mish', 1.2),
  ['Gelu', '', [1, 64, 56, 56], [], {}, 3.2, 20],
  elementwise('Mul', 1.25, {}, [weight(1, 64, 1, 1)]),
  elementwise('Add', 0.65, {}, [weight(1, 64, 56, 56)]),
  ['Slice', 'step 2 over H, W', [1, 64, 56, 56], [ints(0, 0), ints(2 ** 40, 2 ** 40), ints(2, 3), ints(2, 2)], {}, 1.8],
  ['Slice', 'step 1', [1, 64, 56, 56], [ints(8), ints(40), ints(1)], {}, 1],
  ['Pad', 'constant', [1, 64, 56, 56], [ints(0, 0, 1, 1, 0, 0, 1, 1)], {}, 0.7],
  ['Pad', 'reflect', [1, 64, 56, 56], [ints(0, 0, 1, 1, 0, 0, 1, 1)], { mode: 'reflect' }, 4],
  ['DepthToSpace', '64 @56', [1, 64, 56, 56], [], { blocksize: 2 }, 0.25],
  ['Resize', 'nearest 2x', [1, 64, 28, 28], [undefined, floatConstant([1, 1, 2, 2], [4])], { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' }, 1.3],
  ['Resize', 'linear 2x', [1, 64, 28, 28], [undefined, floatConstant([1, 1, 2, 2], [4])], { mode: 'linear' }, 1.2],
  ['Resize', 'cubic 2x', [1, 64, 28, 28], [undefined, floatConstant([1, 1, 2, 2], [4])], { mode: 'cubic' }, 1.2],
  ['ReduceMean', 'H, W', [1, 1000, 13, 13], [ints(2, 3)], {}, 0.4],
  ['ReduceMax', 'H, W', [1, 512, 14, 14], [ints(2, 3)], {}, 1.6],
];

console.log('operator'.padEnd(22), 'setting'.padEnd(26), 'fwd ms'.padStart(8), 'bwd/fwd'.padStart(9), 'recipe'.padStart(8));
for (const [op, setting, dims, others, attributes, recipe, opset = 18] of cases) {
  if (!op.includes(options.only)) continue;
  const { forward, both, feeds } = await graphsOf(op, dims, others, attributes, opset);
  const [plain, whole] = await wallTimes([
    [forward, { x: feeds.x }],
    [both, feeds],
  ]);
  const ratio = (whole - plain) / plain;
  console.log(
    op.padEnd(22),
    setting.padEnd(26),
    plain.toFixed(2).padStart(8),
    ratio.toFixed(2).padStart(9),
    `${op === 'Conv' ? '' : '~'}${recipe.toFixed(2)}`.padStart(8),
  );
}
await build();

/** Milliseconds of a run, of several graphs by turns: medians. Outputs go into the same tensors every time. */
async function wallTimes(contenders) {
  const sessions = [];
  for (const [graph, feeds] of contenders) {
    const session = await ort.InferenceSession.create(modelFile(graph).toBytes(), {
      intraOpNumThreads: Number(options.threads),
      extra: { session: { intra_op: { allow_spinning: '0' } } },
    });
    sessions.push({ session, feeds, fetches: await session.run(feeds), times: [] });
  }
  for (let round = -2; round < Number(options.rounds); round++)
    for (const { session, feeds, fetches, times } of sessions) {
      const start = performance.now();
      await session.run(feeds, fetches);
      if (round >= 0) times.push(performance.now() - start);
    }
  for (const { session } of sessions) await session.release();
  return sessions.map(({ times }) => median(times));
}

function median(list) {
  return list.toSorted((a, b) => a - b)[list.length >> 1];
}

async function graphsOf(op, dims, others, attributes, opset) {
  const names = others.map((other, i) => (other ? `w${i}` : ''));
  const graph = {
    name: op,
    opset,
    domains: new Map(),
    inputs: [{ name: 'x', type: 1, dims }],
    outputs: [{ name: 'y', type: undefined, dims: undefined }],
    nodes: [{ opType: op, domain: '', name: op, inputs: ['x', ...names], outputs: ['y'], attributes: attributesOf(attributes) }],
    constants: new Map(others.flatMap((other, i) => (other ? [[`w${i}`, other]] : []))),
    values: new Map(),
    metadata: new Map(),
  };
  const ready = await prepareGraph(await readModel(modelFile(graph).toBytes()));
  const out = ready.values.get('y').dims;
  const { graph: extended, gradients } = appendGradient(ready, { of: [{ output: 'y', seed: 'dY' }], wrt: ['x'] });
  const outputs = ['y', gradients.get('x')].map((name) => ({ name, type: undefined, dims: undefined }));
  const whole = subgraph(extended, [...ready.inputs, { name: 'dY', type: 1, dims: out }], outputs);
  const tensor = (shape) => new ort.Tensor('float32', floats(shape), shape);
  return { forward: ready, both: whole, feeds: { x: tensor(dims), dY: tensor(out) } };
}

/** A residual network of about 500 nodes: the time to build its gradient at the input, and what it copies. */
async function build() {
  if (options.only) return;
  const nodes = [];
  const constants = new Map();
  const node = (opType, inputs, output, attributes = {}) => {
    nodes.push({ opType, domain: '', name: output, inputs, outputs: [output], attributes: attributesOf(attributes) });
    return output;
  };
  let x = 'x';
  for (let block = 0; block < 100; block++) {
    for (const half of ['a', 'b']) constants.set(`w${block}${half}`, weight(64, 64, 3, 3));
    let y = node('Conv', [x, `w${block}a`], `c${block}a`, { pads });
    y = node('Relu', [y], `r${block}a`);
    y = node('Conv', [y, `w${block}b`], `c${block}b`, { pads });
    x = node('Relu', [node('Add', [x, y], `s${block}`)], `r${block}b`);
  }
  const pooled = node('GlobalAveragePool', [x], 'pooled');
  node('Flatten', [pooled], 'scores');
  const graph = {
    name: 'deep',
    opset: 18,
    domains: new Map(),
    inputs: [{ name: 'x', type: 1, dims: ['N', 64, 8, 8] }],
    outputs: [{ name: 'scores', type: undefined, dims: undefined }],
    nodes,
    constants,
    values: new Map(),
    metadata: new Map(),
  };
  const bytes = modelFile(graph).toBytes();
  const model = await readModel(bytes);
  const started = performance.now();
  const ready = await prepareGraph(model);
  const prepared = performance.now();
  const list = [];
  let made;
  for (let i = 0; i < 9; i++) {
    const start = performance.now();
    made = appendGradient(ready, { of: [{ output: 'scores', seed: 'seed' }], wrt: ['x'] });
    list.push(performance.now() - start);
  }
  const own = [...made.graph.constants].filter(([name]) => !ready.constants.has(name));
  const copied = own.reduce((sum, [, { bytes }]) => sum + bytes.byteLength, 0);
  const shared = [...made.graph.constants].every(([name, constant]) => ready.constants.get(name) === constant || own.some(([n]) => n === name));
  console.log(
    `\n${nodes.length} nodes, ${(bytes.byteLength / 2 ** 20).toFixed(0)} MiB: read to canonical form in ${(prepared - started).toFixed(0)} ms, gradient built in ${list[0].toFixed(0)} ms (median ${median(list).toFixed(0)}),`,
    `${made.graph.nodes.length - nodes.length} nodes added; weights shared: ${shared}; rotated weights of the gradient's own: ${(copied / 2 ** 20).toFixed(0)} MiB`,
  );
}
