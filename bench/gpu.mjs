// The map stage on this machine's GPU, against the copy bandwidth of the same device: npm run bench:gpu -- [options]
//
//   --batches 1,4,16,64,256,1024   images a batch           --method grad-cam++   any method of the map stage
//   --shapes resnet50,vgg16,...    of the table below       --seconds 1           measuring time a row
//   --memory 4                     GiB of host arrays a batch may need; larger ones are listed as left out
//   --out FILE                     default bench/results/gpu-<adapter>.json
//   --software                     run on a software GPU, small, to see that this script works; writes only to --out
//
// A row's traffic is what has to move: activations and gradients once, raw maps and maps once. Its time is the GPU's own
// (timestamp-query) where the adapter has that, otherwise the wall time with upload and read-back. Every row is first
// verified: its first and its last image against the reference backend.
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { defaultSettings } from '../dist/map/compute.js';
import { computeReference } from '../dist/map/reference.js';
import { openWebgpu } from '../dist/map/webgpu.js';

const shapes = {
  resnet50: { network: 'ResNet-50, layer4', channels: 2048, layer: [7, 7], size: [224, 224] },
  vgg16: { network: 'VGG-16, features.29', channels: 512, layer: [14, 14], size: [224, 224] },
  video: { network: 'a 3-D network, last convolution', channels: 512, layer: [2, 7, 7], size: [16, 112, 112] },
  early: { network: 'a layer of 112 × 112', channels: 64, layer: [112, 112], size: [224, 224] },
};
/** Small stand-ins with the same kinds of layer, for --software. */
const softwareShapes = {
  resnet50: { network: 'like ResNet-50, 128 channels', channels: 128, layer: [7, 7], size: [224, 224] },
  vgg16: { network: 'like VGG-16, 32 channels', channels: 32, layer: [14, 14], size: [224, 224] },
  video: { network: 'like a 3-D network, 32 channels', channels: 32, layer: [2, 7, 7], size: [4, 56, 56] },
  early: { network: 'like a layer of 112 × 112, 4 channels', channels: 4, layer: [112, 112], size: [224, 224] },
};
const largestError = 1e-4; // of a map in 0 ... 1

const { values: options } = parseArgs({
  options: {
    batches: { type: 'string' },
    shapes: { type: 'string', default: Object.keys(shapes).join() },
    method: { type: 'string', default: 'grad-cam++' },
    seconds: { type: 'string', default: '1' },
    memory: { type: 'string', default: '4' },
    out: { type: 'string' },
    software: { type: 'boolean', default: false },
  },
});
const seconds = Number(options.seconds);
const batches = (options.batches ?? (options.software ? '1,4' : '1,4,16,64,256,1024')).split(',').map(Number);

/** Dawn as the backend loads it, but with timestamps as fine as the device has them. */
async function loadGpu() {
  const { create } = await import('webgpu');
  return create(['disable-dawn-features=timestamp_quantization']);
}

async function main() {
  // The backend's own way of opening first: it says what is missing.
  let adapter;
  try {
    const backend = await openWebgpu();
    adapter = backend.adapter;
    await backend.close();
  } catch (error) {
    console.log(`Nothing to measure. ${error.message}`);
    return;
  }
  if (adapter.software && !options.software) {
    console.log(
      `Nothing to measure: the only adapter is a software one (${adapter.description}), whose figures say nothing about ` +
        'a GPU. Add --software to see that this script works.',
    );
    return;
  }
  const gpu = await loadGpu();
  const features = (await gpu.requestAdapter({ powerPreference: 'high-performance' })).features;
  const timed = features.has('timestamp-query');
  const copy = await copyBandwidth(gpu);
  console.log(`${adapter.description || adapter.vendor} (${adapter.architecture}): copies ${gigabytes(copy)} GB/s`);

  const rows = [];
  for (const name of options.shapes.split(',')) {
    const shape = (options.software ? softwareShapes : shapes)[name];
    if (!shape) throw new Error(`"--shapes" must name ${Object.keys(shapes).join(', ')}; received "${name}".`);
    for (const images of batches) rows.push(await measure(gpu, timed, copy, { name, ...shape, images }, {}));
    // Which kernel and how many invocations suit this device, at one batch.
    const images = batches.includes(64) ? 64 : batches.at(-1);
    for (const variant of variants(features))
      rows.push(await measure(gpu, timed, copy, { name, ...shape, images }, variant));
  }

  const report = {
    what: 'map stage, WebGPU backend',
    software: adapter.software,
    date: new Date().toISOString(),
    adapter,
    clock: timed ? 'GPU timestamps of the compute pass' : 'wall, upload and read-back included',
    cpu: cpus()[0].model,
    node: process.version,
    method: options.method,
    copyGBs: round(copy / 1e9),
    rows,
  };
  const out = options.out ?? (adapter.software ? undefined : defaultOut(adapter));
  if (out) {
    writeFileSync(out, `${JSON.stringify(report, null, 1)}\n`);
    console.log(`Written to ${out}.`);
  } else console.log('A software GPU: nothing is written without --out.');
}

function defaultOut({ vendor, architecture, description }) {
  const folder = new URL('results/', import.meta.url);
  mkdirSync(folder, { recursive: true });
  const slug = `${vendor} ${architecture} ${description}`.toLowerCase().replace(/[^a-z0-9]+/g, '-').slice(0, 60);
  return fileURLToPath(new URL(`gpu-${slug.replace(/^-|-$/g, '')}.json`, folder));
}

function variants(features) {
  return [256, 128, 64].flatMap((workgroupSize) =>
    (features.has('subgroups') ? [true, false] : [false]).map((subgroups) => ({ workgroupSize, subgroups })),
  );
}

/** Bytes read and written a second by the device's own copies between two large buffers. */
async function copyBandwidth(gpu) {
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  const size = Math.min(2 ** (options.software ? 24 : 28), adapter.limits.maxBufferSize);
  const device = await adapter.requestDevice({ requiredLimits: { maxBufferSize: adapter.limits.maxBufferSize } });
  const [copySource, copyDestination] = [0x4, 0x8];
  const [from, to] = [1, 2].map(() => device.createBuffer({ size, usage: copySource | copyDestination }));
  const time = async (times) => {
    const encoder = device.createCommandEncoder();
    for (let i = 0; i < times; i++) encoder.copyBufferToBuffer(i % 2 ? to : from, 0, i % 2 ? from : to, 0, size);
    const begin = performance.now();
    device.queue.submit([encoder.finish()]);
    await device.queue.onSubmittedWorkDone();
    return (performance.now() - begin) / 1000;
  };
  await time(2);
  // As many copies as take a fifth of the measuring time, so that submitting them does not count.
  const times = Math.max(2, Math.min(2000, Math.ceil((seconds / 5) * (8 / (await time(8))))));
  const samples = [];
  for (let i = 0; i < 5; i++) samples.push((2 * size * times) / (await time(times)));
  device.destroy();
  return median(samples);
}

async function measure(gpu, timed, copy, { name, network, channels, layer, size, images }, variant) {
  const positions = product(layer);
  const pixels = product(size);
  const bytes = 4 * images * (2 * channels * positions + positions + pixels);
  const row = { shape: name, network, channels, layer, size, images, ...variant };
  if (bytes > Number(options.memory) * 2 ** 30) {
    row.leftOut = `needs ${round(bytes / 2 ** 30)} GiB of host arrays; raise --memory`;
    console.log(`${name} × ${images}: left out, ${row.leftOut}`);
    return row;
  }
  const dispatches = [];
  const backend = await openWebgpu({
    ...variant,
    gpu,
    ...(timed && { onDispatch: (nanoseconds) => dispatches.push(nanoseconds / 1e6) }),
  });
  const request = makeRequest({ channels, layer, size, images });
  row.mapError = verify(request, await backend.compute(request));

  await backend.compute(request);
  dispatches.length = 0;
  const walls = [];
  const begin = performance.now();
  while (walls.length < 5 || performance.now() - begin < seconds * 1000) {
    const start = performance.now();
    await backend.compute(request);
    walls.push(performance.now() - start);
  }
  row.dispatches = timed ? dispatches.length / walls.length : undefined;
  // A request that was split is timed as the sum of its dispatches.
  const samples = timed ? sumsOf(dispatches, row.dispatches) : walls;
  const overlapped = 6;
  const start = performance.now();
  await Promise.all(Array.from({ length: overlapped }, () => backend.compute(request)));
  row.overlappedWallMs = round((performance.now() - start) / overlapped);
  await backend.close();

  row.samples = samples.length;
  row.ms = spread(samples);
  row.wallMs = spread(walls);
  row.usPerMap = round((median(samples) / images) * 1000);
  row.bytes = bytes;
  row.GBs = round(bytes / median(samples) / 1e6);
  row.ofCopy = round((bytes / median(samples)) * (1000 / copy));
  const kernel = variant.workgroupSize
    ? `, ${variant.workgroupSize} invocations${variant.subgroups ? ', subgroups' : ''}`
    : '';
  console.log(
    `${name} × ${images}${kernel}: ${row.ms.median} ms, ${row.usPerMap} µs a map, ${row.GBs} GB/s = ${row.ofCopy} of copy; ` +
      `with upload and read-back ${row.wallMs.median} ms, overlapped ${row.overlappedWallMs} ms; map error ${row.mapError}`,
  );
  return row;
}

/** Rectified activations and gradients of both signs; every image the first one turned by some elements. */
function makeRequest({ channels, layer, size, images }) {
  const length = channels * product(layer);
  let state = 1;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const turned = (make) => {
    const array = new Float32Array(images * length);
    for (let i = 0; i < length; i++) array[i] = make();
    for (let image = 1; image < images; image++) {
      const by = (image * 7) % length;
      array.copyWithin(image * length, by, length);
      array.copyWithin(image * length + length - by, 0, by);
    }
    return array;
  };
  const activations = turned(() => Math.max(0, random() - 0.3));
  const gradients = turned(() => 0.01 * (random() - 0.4));
  const settings = { ...defaultSettings, method: options.method };
  if (options.method === 'cam') {
    const weights = Float32Array.from({ length: images * channels }, () => random() - 0.4);
    return { ...settings, images, channels, layer, size, activations, gradients: [], weights: [weights] };
  }
  return { ...settings, images, channels, layer, size, activations, gradients: [gradients] };
}

/** The largest difference of the first and the last image's maps from the reference; throws where it is too large. */
function verify(request, result) {
  const { images, channels } = request;
  const plane = channels * product(request.layer);
  const pixels = product(request.size);
  let error = 0;
  for (const image of new Set([0, images - 1])) {
    const part = (array, each) => array.subarray(image * each, (image + 1) * each);
    const [exact] = computeReference({
      ...request,
      images: 1,
      activations: part(request.activations, plane),
      gradients: request.gradients.map((g) => part(g, plane)),
      weights: request.weights?.map((w) => part(w, channels)),
    }).maps;
    const actual = part(result.maps[0], pixels);
    for (let i = 0; i < pixels; i++) error = Math.max(error, Math.abs(actual[i] - exact[i]));
  }
  if (!(error <= largestError)) throw new Error(`Wrong maps: they differ from the reference by ${error}.`);
  return Number(error.toExponential(1));
}

const product = (dims) => dims.reduce((a, b) => a * b, 1);
const round = (value) => Number(value.toPrecision(4));
const gigabytes = (bytes) => round(bytes / 1e9);
const median = (samples) => [...samples].sort((a, b) => a - b)[Math.floor(samples.length / 2)];
const spread = (samples) => ({
  median: round(median(samples)),
  least: round(Math.min(...samples)),
  most: round(Math.max(...samples)),
});
const sumsOf = (samples, each) =>
  Array.from({ length: samples.length / each }, (_, i) =>
    samples.slice(i * each, (i + 1) * each).reduce((a, b) => a + b, 0),
  );

await main();
