// gradcampp/web against TensorFlow.js in one page of Chromium, on the GPU and in WebAssembly: the same networks, read from the
// same ONNX files, and Grad-CAM of the same tensors by turns (tfjs-network.mjs).
//
//   npm install --prefix bench/tfjs
//   npm run build && node bench/tfjs-web.mjs [--only squeezenet] [--pictures 12] [--batches 1,4] [--images DIR] [--models DIR] [--out FILE]
//
// One thread each: the page is not cross-origin isolated. The GPU is what Chromium (/usr/bin/chromium, or CHROMIUM) has, and the
// report says which; SwiftShader where it has none, a program on the processor. Every map is compared with that of
// gradcampp in WebAssembly before its contender's time counts. What tfjs' backends cannot differentiate is said by name: no other
// backend stands in for them. Processor time is that of all processes of the browser, as Chromium counts it.
import { createReadStream, existsSync, readdirSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { Explainer } from '../dist/index.js';
import { readModel } from '../dist/onnx/read.js';
import { prepareGraph } from '../dist/runtime/prepare.js';
import { flags, pairedRatio, Report, round, shared, statistics, versions } from './measure.mjs';
import { plainNetwork } from './tfjs-network.mjs';

const options = flags({ pictures: '12', batches: '1,4', images: undefined, models: undefined, most: '1e-3' });
const networks = [
  { file: 'squeezenet1_0', layers: ['relu_conv_final', 'fire9/concat', 'fire5/concat'], isLarge: true },
  { file: 'resnet20_cifar10', layers: ['layer3.2/relu2', 'layer2.2/relu2'] },
];
/** SwiftShader takes seconds a pass, of a large network a quarter of a minute a picture. */
const fewPasses = 3;
const settling = 200;
const mean = (list) => list.reduce((a, b) => a + b, 0) / list.length;
const models = shared('models', options.models);
const images = shared('images/imagenet100', options.images);
const paths = readdirSync(images).slice(0, Number(options.pictures)).map((name) => join(images, name));
const batches = options.batches.split(',').map(Number);
const packages = ['tfjs', 'tfjs-backend-wasm', 'tfjs-backend-webgpu'].map((name) => `@tensorflow/${name}`);
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
if (packages.some((name) => !existsSync(here(`tfjs/node_modules/${name}`)))) {
  console.log('tfjs is not installed: npm install --prefix bench/tfjs');
  process.exit(0);
}

/** What the page asks for: folders, and files made here. */
const folders = {
  gradcampp: here('../dist/bundled/web'),
  ort: here('../node_modules/onnxruntime-web/dist'),
  bench: here('.'),
  tfjs: here('tfjs/node_modules/@tensorflow'),
  models,
};
const made = new Map([['/', '<!doctype html><title>bench</title>']]);
const types = { '': 'text/html', '.js': 'text/javascript', '.mjs': 'text/javascript', '.wasm': 'application/wasm' };
const server = createServer((request, response) => {
  const { pathname } = new URL(request.url, 'http://localhost');
  const [, folder, ...rest] = pathname.split('/');
  const file = folders[folder] && join(folders[folder], normalize(rest.join('/')));
  if (!made.has(pathname) && !(file && existsSync(file))) return response.writeHead(404).end();
  response.writeHead(200, { 'content-type': types[extname(pathname)] ?? 'application/octet-stream' });
  if (made.has(pathname)) response.end(made.get(pathname));
  else createReadStream(file).pipe(response);
});
await new Promise((resolve) => server.listen(0, 'localhost', resolve));
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--headless', '--enable-unsafe-webgpu', '--no-first-run', '--disable-background-networking', '--disable-sync'],
});
try {
  const system = await browser.newBrowserCDPSession();
  /** Milliseconds that all processes of the browser have computed so far. */
  const processorTime = async () => {
    const { processInfo } = await system.send('SystemInfo.getProcessInfo');
    return 1000 * processInfo.reduce((sum, { cpuTime }) => sum + cpuTime, 0);
  };
  const page = await browser.newPage();
  page.setDefaultTimeout(0);
  await page.goto(`http://localhost:${server.address().port}/`);
  const adapter = await page.evaluate(async () => {
    const own = await navigator.gpu?.requestAdapter();
    return own && [own.info.vendor, own.info.architecture, own.info.description].filter(Boolean).join(' ');
  });
  const browserVersion = browser.version();
  const { 'onnxruntime-web': ort, ...known } = versions(['onnxruntime-web']);
  const report = new Report('tfjs-web', 'against TensorFlow.js in one page, the same networks, one thread each', options, {
    versions: { ...known, 'onnxruntime-web': ort, ...versions(packages, './tfjs'), chromium: browserVersion, gpu: adapter ?? 'none' },
  });
  for (const script of ['tfjs/dist/tf.min.js', 'tfjs-backend-wasm/dist/tf-backend-wasm.min.js', 'tfjs-backend-webgpu/dist/tf-backend-webgpu.min.js'])
    await page.addScriptTag({ url: `/tfjs/${script}` });
  for (const network of networks)
    await report.section(`gradient and map, ${network.file}`, () => measure(page, network, adapter, processorTime));
} finally {
  await browser.close();
  server.closeAllConnections();
  server.close();
}

async function measure(page, { file, layers, isLarge = false }, adapter, processorTime) {
  const isSoftware = /swiftshader|llvmpipe|lavapipe/i.test(adapter ?? '');
  const path = join(models, `${file}.onnx`);
  made.set('/network.json', JSON.stringify(plainNetwork(await prepareGraph(await readModel(path)))));
  const own = await Explainer.open(path, { layer: layers[0] });
  const pictures = [];
  for (const picture of paths) pictures.push((await own.prepare(picture))[0]);
  await own.close();
  const [{ dims }] = pictures;
  made.set('/pictures', Buffer.concat(pictures.map(({ tensor }) => Buffer.from(new Uint8Array(tensor.buffer, tensor.byteOffset, tensor.byteLength)))));
  const rows = [];
  for (const layer of layers) {
    const names = await page.evaluate(open, { file, layer, hasGpu: adapter !== null, dims });
    const wrong = new Set();
    for (const batch of batches) {
      const times = Object.fromEntries(names.map((name) => [name, []]));
      const used = Object.fromEntries(names.map((name) => [name, []]));
      const notes = {};
      const groups = Math.floor(paths.length / batch);
      for (let i = -1; i < groups; i++)
        for (const name of names) {
          const isSlow = isSoftware && name.endsWith('webgpu');
          if (notes[name] || (isSlow && (i >= fewPasses || (isLarge && batch > 1)))) continue;
          await setTimeout(settling); // of what the turn before has left to be done
          const before = await processorTime();
          const { milliseconds, difference, others, error } = await page.evaluate(
            ([contender, first, count]) => globalThis.turn(contender, first, count),
            [name, Math.max(i, 0) * batch, batch],
          );
          const processor = (await processorTime()) - before;
          if (error) notes[name] = `left out: ${error}`;
          else if (!(difference <= Number(options.most))) notes[name] = `left out: its map differs by ${difference.toFixed(4)}`;
          else if (others > 0) notes[name] = 'left out: another class';
          if (i < 0 || notes[name]) continue;
          times[name].push(milliseconds / batch);
          used[name].push(processor / batch);
        }
      for (const name of names) {
        if (notes[name] && !wrong.has(name)) rows.push({ layer, contender: name, note: notes[name] });
        if (notes[name]) {
          wrong.add(name);
        }
        if (times[name].length === 0) continue;
        const ours = name.replace('tfjs', 'gradcampp');
        rows.push({
          layer,
          'pictures in a pass': batch,
          contender: name,
          passes: times[name].length,
          'ms a picture': statistics(times[name]).median,
          'of ours': pairedRatio(times[name], times[ours]),
          'processor ms': round(mean(used[name])), // Chromium counts in hundredths of a second
          'of ours by processor time': round(mean(used[name]) / mean(used[ours]), 3),
          note: '',
        });
      }
    }
    await page.evaluate(() => globalThis.shut());
  }
  return { pictures: paths.length, rows };
}

/** In the page: opens the contenders at a layer, and leaves what takes turns. */
async function open({ file, layer, hasGpu, dims }) {
  const { Explainer: Own } = await import('/gradcampp/index.js');
  const { channelsLast, gradCamIn, largestDifference } = await import('/bench/tfjs-network.mjs');
  const { tf } = globalThis;
  const network = await (await fetch('/network.json')).json();
  const pictures = new Float32Array(await (await fetch('/pictures')).arrayBuffer());
  const size = dims.reduce((a, b) => a * b);
  const devices = hasGpu ? ['wasm', 'webgpu'] : ['wasm'];
  const opened = [];
  const contenders = {};
  tf.wasm.setWasmPaths('/tfjs/tfjs-backend-wasm/dist/');
  tf.wasm.setThreadsCount(1);
  for (const device of devices) {
    const explainer = await Own.open(`/models/${file}.onnx`, {
      layer,
      runtime: `/ort/ort.${device}.bundle.min.mjs`,
      executionProviders: [device],
      ...(device === 'webgpu' ? { backend: 'webgpu' } : {}),
    });
    opened.push(explainer);
    contenders[`gradcampp ${device}`] = async (data, count) => {
      const all = await explainer.explain({ type: 'float32', dims: [count, ...dims], data }, { method: 'grad-cam', batchSize: count });
      return all.map(({ targets: [{ target, map }] }) => ({ class: target.class, data: map.data }));
    };
    const explain = gradCamIn(tf, network, layer);
    contenders[`tfjs ${device}`] = async (data, count) => {
      if (!(await tf.setBackend(device))) throw new Error(`tfjs has no ${device} here`);
      return explain(() => channelsLast(tf, data, [count, ...dims]));
    };
  }
  let expected;
  globalThis.turn = async (name, first, count) => {
    const data = pictures.slice(first * size, (first + count) * size);
    const since = performance.now();
    try {
      const found = await contenders[name](data, count);
      const milliseconds = performance.now() - since;
      if (name === 'tfjs webgpu') await tf.backend().device.queue.onSubmittedWorkDone();
      if (name === 'gradcampp wasm') expected = found;
      const difference = Math.max(...found.map((one, n) => largestDifference(one.data, expected[n].data)));
      return { milliseconds, difference, others: found.filter((one, n) => one.class !== expected[n].class).length };
    } catch (error) {
      return { error: error.message.split('\n')[0] };
    }
  };
  globalThis.shut = async () => {
    for (const explainer of opened) await explainer.close();
    tf.disposeVariables();
  };
  return Object.keys(contenders);
}
