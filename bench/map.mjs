// The map stage on the processor: npm run bench:map -- [--rounds 5] [--seconds 0.5] [--out FILE] [--only NAME,...]
//
// Contenders answer the same requests in interleaved rounds, each time in a process of its own, so that none works in
// the memory that another left; every answer is first verified against the reference backend. A contender's time is the
// median of all its samples, `least` the best of them; a ratio of medians is that of two neighbours in a round, and the
// median of the rounds. `memcpy` is what copying takes for the bytes that have to move: activations and gradients once,
// maps once, into the same arrays every time. Backends return new arrays; what they return is freed at once, as runs over
// many pictures do. `left to the collector` is without that: the system then finds and clears new memory for every result.
// With --only the other results of the file stay as they are.
// tfjs takes part where it is installed: npm install --prefix bench/tfjs
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { create } from '@bufbuild/protobuf';
import Benchmark from 'benchmark';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { typescriptKernels } from '../dist/image/kernels.js';
import { loadAddon } from '../dist/addon.js';
import { release } from '../dist/memory.js';
import { defaultSettings } from '../dist/map/compute.js';
import { openNative } from '../dist/map/native.js';
import { computeReference } from '../dist/map/reference.js';
import * as onnx from '../dist/onnx/onnx_pb.js';
import { encode } from '../dist/graph/to-model.js';
import { flags, median, pairedRatio, processorTime, Report, round, statistics } from './measure.mjs';

const options = flags({ rounds: '5', seconds: '0.5', contender: undefined });
const rounds = Number(options.rounds);
const seconds = Number(options.seconds);
const largestError = 1e-4; // of a map in 0 … 1; tfjs and ONNX Runtime work in float32

// --- measuring -----------------------------------------------------------------------------------------------------

/** Seconds a call: the samples of one run of the package benchmark. */
function sample(run) {
  return new Promise((resolve, reject) => {
    const benchmark = new Benchmark({
      defer: true,
      maxTime: seconds,
      minSamples: 3,
      fn: (deferred) => run().then(() => deferred.resolve(), reject),
      onComplete: () => resolve(benchmark.stats.sample),
      onError: () => reject(benchmark.error),
    });
    benchmark.run({ async: true });
  });
}

/** One round of a contender: the milliseconds of its calls, and a call's processor time, all threads together. */
async function roundOf(run) {
  let calls = 0;
  const before = processorTime();
  const times = await sample(() => {
    calls++;
    return run();
  });
  return { times: times.map((s) => s * 1000), processor: (processorTime() - before) / calls };
}

/**
 * Milliseconds of every contender, in interleaved rounds. Processor time is that of the best round: what is left to
 * compare by on a machine that others use too.
 * @param contenders name → a function that gives one round; undefined where it is not installed
 */
async function measure(contenders) {
  const all = Object.fromEntries(Object.keys(contenders).map((name) => [name, []]));
  for (let i = 0; i < rounds; i++)
    for (const [name, ofOne] of Object.entries(contenders)) {
      const result = await ofOne();
      if (result) all[name].push(result);
      else if (i === 0) console.log(`${name}: not installed, left out`);
    }
  return Object.fromEntries(
    Object.entries(all)
      .filter(([, list]) => list.length > 0)
      .map(([name, list]) => [
        name,
        {
          ...statistics(list.flatMap(({ times }) => times)),
          processor: round(Math.min(...list.map(({ processor }) => processor))),
          rounds: list.map(({ times }) => median(times)),
        },
      ]),
  );
}

/** A round in a process of its own: what `contend` says there. */
async function apart(name, request) {
  const script = fileURLToPath(import.meta.url);
  const args = [script, '--seconds', options.seconds, '--contender', JSON.stringify({ name, request })];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout.slice(stdout.lastIndexOf('\n{') + 1)).round;
}

/** One round of one contender, once its answer is verified. */
async function contend({ name, request }) {
  const run = await contender(name, requestOf(...request));
  console.log(`\n${JSON.stringify({ round: run && (await roundOf(run)) })}`);
}

// --- requests and contenders ---------------------------------------------------------------------------------------

let state = 7;
function random() {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32;
}

/** Rectified activations, small gradients of both signs. */
function requestOf(images, channels, layer, size, settings = {}) {
  const elements = images * channels * layer.reduce((a, b) => a * b);
  const activations = new Float32Array(elements);
  const gradients = new Float32Array(elements);
  for (let i = 0; i < elements; i++) {
    activations[i] = Math.max(0, random() - 0.3);
    gradients[i] = 0.01 * (random() - 0.45);
  }
  return { ...defaultSettings, ...settings, images, channels, layer, size, activations, gradients: [gradients] };
}

function memcpy({ activations, gradients, images, size }) {
  const maps = new Float32Array(images * size.reduce((a, b) => a * b)).fill(1);
  const to = [new Float32Array(activations.length), new Float32Array(activations.length), new Float32Array(maps.length)];
  return async () => {
    to[0].set(activations);
    to[1].set(gradients[0]);
    to[2].set(maps);
  };
}

/** Grad-CAM++, Eq. 19, as plain ONNX nodes on one thread. */
async function plainOnnx({ images, channels, layer, size, activations, gradients }) {
  const { FLOAT, INT64 } = onnx.TensorProto_DataType;
  const nodes = [];
  const node = (opType, input, attributes = {}) => {
    const output = `${opType}${nodes.length}`;
    nodes.push(
      create(onnx.NodeProtoSchema, {
        opType,
        input,
        output: [output],
        attribute: Object.entries(attributes).map(([name, value]) =>
          create(onnx.AttributeProtoSchema, {
            name,
            ...(typeof value === 'string'
              ? { type: onnx.AttributeProto_AttributeType.STRING, s: Buffer.from(value) }
              : { type: onnx.AttributeProto_AttributeType.INT, i: BigInt(value) }),
          }),
        ),
      }),
    );
    return output;
  };
  const constants = [
    create(onnx.TensorProtoSchema, { name: 'two', dataType: FLOAT, floatData: [2] }),
    ...Object.entries({ positions: [2, 3], channels: [1], sizes: [images, 1, ...size] }).map(([name, values]) =>
      create(onnx.TensorProtoSchema, {
        name,
        dataType: INT64,
        dims: [BigInt(values.length)],
        int64Data: values.map(BigInt),
      }),
    ),
  ];
  const sumA = node('ReduceSum', ['A', 'positions']);
  const g = node('Relu', ['g']);
  const q = node('Div', [g, node('Add', [node('Mul', [g, sumA]), 'two'])]);
  const weighted = node('Mul', [node('ReduceSum', [q, 'positions']), 'A']);
  const raw = node('Relu', [node('ReduceSum', [weighted, 'channels'])]);
  const map = node('Resize', [raw, '', '', 'sizes'], {
    mode: 'linear',
    coordinate_transformation_mode: 'half_pixel',
  });
  const least = node('ReduceMin', [map, 'positions']);
  const range = node('Sub', [node('ReduceMax', [map, 'positions']), least]);
  const output = node('Div', [node('Sub', [map, least]), range]);
  const value = (name) => create(onnx.ValueInfoProtoSchema, { name, type: tensorType(FLOAT) });
  const model = create(onnx.ModelProtoSchema, {
    irVersion: 8n,
    opsetImport: [create(onnx.OperatorSetIdProtoSchema, { domain: '', version: 18n })],
    graph: create(onnx.GraphProtoSchema, {
      name: 'grad-cam++',
      node: nodes,
      initializer: constants,
      input: [value('A'), value('g')],
      output: [value(output)],
    }),
  });
  const session = await InferenceSession.create(encode(model), { intraOpNumThreads: 1, interOpNumThreads: 1 });
  const dims = [images, channels, ...layer];
  const feeds = { A: new Tensor('float32', activations, dims), g: new Tensor('float32', gradients[0], dims) };
  return async (look) => {
    const { data } = (await session.run(feeds))[output];
    look?.(data);
    release([data]);
  };
}

function tensorType(elemType) {
  return create(onnx.TypeProtoSchema, {
    value: { case: 'tensorType', value: create(onnx.TypeProto_TensorSchema, { elemType }) },
  });
}

/** Grad-CAM++, Eq. 19, in tfjs; undefined where it is not installed. */
async function tfjs(backend, { images, channels, layer, size, activations, gradients }) {
  const require = createRequire(new URL('tfjs/package.json', import.meta.url));
  let tf;
  try {
    tf = require('@tensorflow/tfjs-core');
    require(`@tensorflow/tfjs-backend-${backend}`);
  } catch {
    return undefined;
  }
  await tf.setBackend(backend);
  await tf.ready();
  const dims = [images, channels, ...layer];
  return async (look) => {
    await tf.setBackend(backend);
    const out = tf.tidy(() => {
      const A = tf.tensor4d(activations, dims);
      const g = tf.relu(tf.tensor4d(gradients[0], dims));
      const q = tf.div(g, tf.add(tf.mul(g, tf.sum(A, [2, 3], true)), 2));
      const raw = tf.expandDims(tf.relu(tf.sum(tf.mul(tf.sum(q, [2, 3], true), A), 1)), 3);
      const map = tf.image.resizeBilinear(raw, size, false, true);
      const least = tf.min(map, [1, 2], true);
      return tf.div(tf.sub(map, least), tf.sub(tf.max(map, [1, 2], true), least));
    });
    const data = await out.data();
    out.dispose();
    look?.(data);
  };
}

/** A backend's call whose result is freed: with `look`, after that has seen the maps. */
function freed(compute) {
  return async (look) => {
    const { maps, raw, empty } = await compute();
    look?.(maps[0]);
    release([...maps, ...raw, ...empty]);
  };
}

function kept(compute) {
  return async (look) => {
    const { maps } = await compute();
    look?.(maps[0]);
  };
}

/** A call that gives the maps of the first target, verified against the reference; undefined where not installed. */
async function contender(name, request) {
  const native = async (threads) => {
    const backend = await openNative({ threads });
    return () => backend.compute(request);
  };
  const all = {
    reference: async () => freed(async () => computeReference(request)),
    'native, 1 thread': async () => freed(await native(1)),
    'native, 2 threads': async () => freed(await native(2)),
    'native, 1 thread, left to the collector': async () => kept(await native(1)),
    'ONNX Runtime, plain nodes, 1 thread': () => plainOnnx(request),
    'tfjs cpu': () => tfjs('cpu', request),
    'tfjs wasm': () => tfjs('wasm', request),
    memcpy: async () => memcpy(request),
  };
  const run = await all[name]();
  if (!run || name === 'memcpy') return run;
  const exact = computeReference(request).maps[0];
  let error = Number.NaN;
  await run((maps) => {
    error = maps.reduce((most, value, i) => Math.max(most, Math.abs(value - exact[i])), 0);
  });
  if (!(error <= largestError)) throw new Error(`${name} is wrong by ${error}`);
  return run;
}

// --- what is measured ----------------------------------------------------------------------------------------------

const everyone = [
  'reference',
  'native, 1 thread',
  'native, 2 threads',
  'native, 1 thread, left to the collector',
  'ONNX Runtime, plain nodes, 1 thread',
  'tfjs cpu',
  'tfjs wasm',
  'memcpy',
];
const ours = everyone.filter((name) => !/ONNX|tfjs/.test(name));
const withoutTfjs = everyone.filter((name) => !/tfjs/.test(name));

const sections = {
  'resnet50, 64 × (2048, 7, 7) → 224²': () => compare([64, 2048, [7, 7], [224, 224]], withoutTfjs),
  // Half a second a call.
  'with tfjs, 4 × (2048, 7, 7) → 224²': () => compare([4, 2048, [7, 7], [224, 224]], everyone),
  'squeezenet, 64 × (512, 13, 13) → 227²': () => compare([64, 512, [13, 13], [227, 227]], ours),
  'early layer, 16 × (64, 112, 112) → 224²': () => compare([16, 64, [112, 112], [224, 224]], ours),
  'grad-cam, 64 × (2048, 7, 7) → 224²': () => compare([64, 2048, [7, 7], [224, 224], { method: 'grad-cam' }], ours),
  'linear in N, (2048, 7, 7) → 224², native, 1 thread': linear,
  'pictures, 500 × 375 → 224²': pictures,
};

/** @param request the arguments of `requestOf` */
async function compare(request, names) {
  const times = await measure(Object.fromEntries(names.map((name) => [name, () => apart(name, request)])));
  return { rows: rowsOf(times, () => request[0]), ratios: ratiosOf(times, 'native, 1 thread') };
}

/** A row a contender. */
function rowsOf(times, imagesOf) {
  return Object.entries(times).map(([contender, { median, least, processor, samples }]) => ({
    contender,
    'median ms': median,
    'least ms': least,
    'processor ms': processor,
    'µs an image': round((median / imagesOf(contender)) * 1000),
    samples,
  }));
}

/** The ratios that matter: the median of the rounds' ratios, of the least and of processor times. */
function ratiosOf(times, native) {
  const pairs = [
    ...Object.keys(times)
      .filter((name) => /reference|ONNX|tfjs/.test(name))
      .map((name) => [name, native]),
    [native, 'memcpy'],
    [native, 'native, 2 threads'],
    [`${native}, left to the collector`, native],
  ];
  return pairs.flatMap(([a, b]) => (times[a] && times[b] ? [ratioRow(times, a, b)] : []));
}

function ratioRow(times, a, b) {
  const of = (key) => round(times[a][key] / times[b][key]);
  const paired = pairedRatio(times[a].rounds, times[b].rounds);
  return { ratio: `${a} / ${b}`, median: paired, least: of('least'), processor: of('processor') };
}

async function linear() {
  const sizes = [1, 2, 4, 8, 16, 32, 64, 128];
  const ofSize = (images) => apart('native, 1 thread', [images, 2048, [7, 7], [224, 224]]);
  const times = await measure(Object.fromEntries(sizes.map((images) => [images, () => ofSize(images)])));
  return { rows: rowsOf(times, Number) };
}

/** The kernels of pictures, in C++ against TypeScript: the same bits, so only the times differ. */
async function pictures() {
  const addon = loadAddon();
  const [width, height, side] = [500, 375, 224];
  const source = Uint8Array.from({ length: width * height * 3 }, () => random() * 256);
  const plan = { width: 341, height: 256, window: { x: 58, y: 16, width: side, height: side } };
  const steps = { range: 1, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], order: [0, 1, 2] };
  const map = Float32Array.from({ length: side * side }, random);
  const table = source.slice(0, 768);
  const box = { left: 0, top: 0, width, height };
  const values = typescriptKernels.stretchMap(map, [side, side], { x: 0, y: 0, width, height }, box);
  const input = new Float32Array(side * side * 3);
  const out = new Uint8Array(source.length);
  const calls = {
    'resize, Pillow bilinear': (k) => k.resizePillow(source, width, height, 3, plan, 'bilinear'),
    'resize, torch bilinear': (k) => k.resizeTorchBilinear(source, width, height, 3, plan),
    normalise: (k) => k.normalizeToCHW(source.subarray(0, input.length), steps, input),
    'stretch the map': (k) => k.stretchMap(map, [side, side], { x: 0, y: 0, width, height }, box),
    'blend the overlay': (k) => k.blend(source, width, box, values, table, 0.5, 0.6, out),
  };
  const contenders = Object.entries(calls).flatMap(([name, call]) => [
    [`${name}, TypeScript`, () => roundOf(async () => call(typescriptKernels))],
    [`${name}, C++`, () => roundOf(async () => call(addon))],
  ]);
  const times = await measure(Object.fromEntries(contenders));
  const ratios = Object.keys(calls).map((name) => ratioRow(times, `${name}, TypeScript`, `${name}, C++`));
  return { rows: rowsOf(times, () => 1), ratios };
}

if (options.contender) await contend(JSON.parse(options.contender));
else {
  const report = new Report('map', 'the map stage on the processor', options, { settings: { rounds, seconds } });
  for (const [name, section] of Object.entries(sections)) await report.section(name, section);
}
process.exit(0); // tfjs keeps threads
