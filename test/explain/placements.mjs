// Opens networks on ONNX Runtime's WebGPU provider with its log on, and says how far gradients are from the CPU's.
// Usage: node placements.mjs MODEL... -- MODEL...; the log is on stderr, one line of JSON a model on stdout. Models behind -- are opened as
// explainers, with the targets that fit them.
import * as ort from 'onnxruntime-web/webgpu';

const load = (path) => import(new URL(`../../dist/${path}`, import.meta.url).href);
const { readModel } = await load('onnx/read.js');
const { Network } = await load('explain/network.js');
const { NetworkExplainer } = await load('explain/network-explainer.js');
const { headBehind, openSecondOrder } = await load('explain/head.js');

let model = '';
const { create } = ort.InferenceSession;
ort.InferenceSession.create = (bytes, options) => {
  console.error(`\n== ${model}`); // a line of the log may not be at its end
  return create(bytes, { ...options, logSeverityLevel: 0 });
};
ort.env.logLevel = 'verbose';

async function gradientOf(path, executionProviders) {
  const network = await Network.open(await readModel(path), { executionProviders });
  const { image } = network;
  const scores = network.scores();
  const passes = await network.differentiator([{ name: image.name, dims: image.dims }], scores);
  const dims = [2, ...image.dims.slice(1)];
  const data = Float32Array.from({ length: dims.reduce((a, b) => a * b) }, (_, i) => Math.sin(i * i));
  const forward = await passes.forward({ [image.name]: { type: 'float32', dims, data } });
  const seed = new Float32Array(forward.scores.data.length);
  seed[1] = 1;
  seed[seed.length - 1] = 1;
  const [gradient] = await passes.backward(forward, seed);
  await network.close();
  return gradient;
}

/** Opens what gives second derivatives. */
async function openSecond(path) {
  const network = await Network.open(await readModel(path), { executionProviders: ['webgpu'] });
  const scores = network.scores();
  const { name } = network.layer('auto', scores);
  await openSecondOrder(network, headBehind(network.graph, network.image.name, name, scores), scores);
  await network.close();
}

const end = process.argv.indexOf('--');
for (model of process.argv.slice(end + 1)) {
  const explainer = await NetworkExplainer.open(model, { executionProviders: ['webgpu'] });
  await explainer.warmUp();
  await explainer.close();
}
for (const path of process.argv.slice(2, end)) {
  model = `${path} twice`;
  await openSecond(path);
  model = path;
  const onGpu = await gradientOf(model, ['webgpu']);
  const onCpu = await gradientOf(model, ['cpu']);
  const largest = onCpu.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const error = onCpu.reduce((most, value, i) => Math.max(most, Math.abs(value - onGpu[i])), 0);
  console.log(JSON.stringify({ model, largest, error: error / largest }));
}
process.exit(0);
