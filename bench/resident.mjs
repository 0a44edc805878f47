// What it is worth that activations and gradients stay on the GPU: npm run bench:resident -- [options]
//
//   --where node,page         in Node.js, in a page, or both
//   --batches 1,4,16,64,256   images a batch
//   --model FILE.onnx         a network of pictures in colours, its sidecar beside it; default assets/shapes.onnx
//   --rounds 5                alternating rounds, of each batch
//   --out FILE                default bench/results/gpu-resident-<where>-<adapter>.json; of two places the place is put into FILE's name
//   --software                run on a software GPU, with batches of 1 and 4, to see that this script works; writes only to --out
//
// Contenders explain the same tensors: the resident path, the same sessions with activations and gradients read back for the map
// stage on the processor, and the processor alone. In Node.js that is onnxruntime-web on Dawn, the addon, and onnxruntime-node; in
// one page of Chromium (/usr/bin/chromium, or CHROMIUM) onnxruntime-web, TypeScript, and WebAssembly. They take turns; a round's figure
// is wall time, as a GPU's has no processor time, and ratios are of neighbours. Every map is verified against the
// processor's before it counts. Beside the times stands where ONNX Runtime placed the operators of the resident path, by its log.
import { spawnSync } from 'node:child_process';
import { closeSync, createReadStream, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { basename, dirname, extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { machine, pairedRatio, statistics, versions } from './measure.mjs';

const root = fileURLToPath(new URL('../', import.meta.url));
const { values: options } = parseArgs({
  options: {
    where: { type: 'string', default: 'node,page' },
    batches: { type: 'string' },
    model: { type: 'string', default: join(root, 'assets/shapes.onnx') },
    rounds: { type: 'string', default: '5' },
    out: { type: 'string' },
    software: { type: 'boolean', default: false },
    placements: { type: 'boolean', default: false }, // of a process that this one starts
  },
});
const largestError = 1e-4; // of a map in 0 … 1
const batches = (options.batches ?? (options.software ? '1,4' : '1,4,16,64,256')).split(',').map(Number);

const places = options.where.split(',');
for (const place of places)
  if (!['node', 'page'].includes(place)) throw new Error(`"--where" must be node, page or both; received "${place}".`);
const noGpu = (place) => console.log(`${place}: nothing to measure, there is no GPU.`);
const isProgram = (adapter) => /swiftshader|llvmpipe|lavapipe/i.test(Object.values(adapter).join(' '));
const onlySoftware = (place) =>
  console.log(`${place}: nothing to measure, the only adapter is a software one, whose figures say nothing about a GPU. Add --software to see that this script works.`);

if (options.placements) await logPlacements();
else {
  if (places.includes('node')) await inNode();
  if (places.includes('page')) await inPage();
}

/** What a place measures of a batch: milliseconds of each contender, and how far maps are from the processor's. Runs in a page too. */
async function timesOf(contenders, images, rounds) {
  const dims = [3, ...contenders.processor.preprocessing.size]; // of pictures in colours
  const size = dims.reduce((a, b) => a * b);
  const data = Float32Array.from({ length: images * size }, (_, i) => Math.sin(i * 0.37) + Math.sin(i * 0.011));
  const ask = (explainer) =>
    explainer.explain({ type: 'float32', dims: [images, ...dims], data: data.slice() }, { targets: { class: 1 }, method: 'grad-cam++', batchSize: images });
  const maps = {};
  for (const [name, explainer] of Object.entries(contenders)) maps[name] = (await ask(explainer)).map((own) => own.targets[0].map.data);
  let error = 0;
  for (const own of Object.values(maps))
    own.forEach((map, n) => map.forEach((value, i) => (error = Math.max(error, Math.abs(value - maps.processor[n][i])))));
  const times = Object.fromEntries(Object.keys(contenders).map((name) => [name, []]));
  for (let round = 0; round < rounds; round++)
    for (const [name, explainer] of Object.entries(contenders)) {
      const since = performance.now();
      await ask(explainer);
      times[name].push(performance.now() - since);
    }
  return { times, error };
}

async function inNode() {
  const { openWebgpu } = await import('../dist/map/webgpu.js');
  const backend = await openWebgpu().catch((error) => console.log(`node: nothing to measure. ${error.message}`));
  if (!backend) return;
  const { adapter } = backend;
  await backend.close();
  if (adapter.software && !options.software) return onlySoftware('node');
  const { Explainer } = await import('../dist/index.js');
  const open = (provider, own) => Explainer.open(options.model, { executionProviders: [provider], backend: own });
  const contenders = {
    resident: await open('webgpu', 'webgpu'),
    readBack: await open('webgpu', 'native'),
    processor: await open('cpu', 'native'),
  };
  await report('node', adapter, adapter.software, (batch) => timesOf(contenders, batch, Number(options.rounds)));
  for (const explainer of Object.values(contenders)) await explainer.close();
}

async function inPage() {
  const { chromium } = await import('playwright-core');
  const folders = { gradcampp: join(root, 'dist/bundled/web'), ort: join(root, 'node_modules/onnxruntime-web/dist') };
  const types = { '.js': 'text/javascript', '.mjs': 'text/javascript', '.wasm': 'application/wasm' };
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost');
    const [, folder, ...rest] = pathname.split('/');
    const file = pathname.startsWith('/model.') ? options.model.replace(/\.onnx$/, extname(pathname)) : folders[folder] && join(folders[folder], normalize(rest.join('/')));
    if (file && !existsSync(file)) return response.writeHead(404).end();
    response.writeHead(200, { 'content-type': file ? (types[extname(file)] ?? 'application/octet-stream') : 'text/html' });
    if (file) createReadStream(file).pipe(response);
    else response.end('<!doctype html><title>bench</title>');
  });
  await new Promise((resolve) => server.listen(0, 'localhost', resolve));
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--headless', '--enable-unsafe-webgpu', '--no-first-run', '--disable-background-networking', '--disable-sync'],
  });
  try {
    const page = await browser.newPage();
    await page.goto(`http://localhost:${server.address().port}/`);
    const adapter = await page.evaluate(async () => {
      const own = await navigator.gpu?.requestAdapter();
      return own && { vendor: own.info.vendor, architecture: own.info.architecture, description: own.info.description };
    });
    if (!adapter) return noGpu('page');
    if (isProgram(adapter) && !options.software) return onlySoftware('page');
    await page.evaluate(async () => {
      const { Explainer } = await import('/gradcampp/index.js');
      const runtime = '/ort/ort.webgpu.bundle.min.mjs';
      const { ok } = await fetch('/model.json');
      const preprocess = ok ? '/model.json' : undefined;
      const open = (provider, backend) =>
        Explainer.open('/model.onnx', { runtime, executionProviders: [provider], backend, preprocess });
      globalThis.contenders = {
        resident: await open('webgpu', 'webgpu'),
        readBack: await open('webgpu', 'reference'),
        processor: await open('wasm', 'reference'),
      };
    });
    await page.addScriptTag({ content: `globalThis.timesOf = ${timesOf}` });
    await report('page', adapter, isProgram(adapter), (batch) =>
      page.evaluate(([images, rounds]) => globalThis.timesOf(globalThis.contenders, images, rounds), [batch, Number(options.rounds)]),
    );
  } finally {
    await browser.close();
    server.closeAllConnections();
    server.close();
  }
}

async function report(place, adapter, isSoftware, measured) {
  const rows = [];
  for (const batch of batches) {
    const { times, error } = await measured(batch);
    if (!(error < largestError)) throw new Error(`${place}: maps of a batch of ${batch} differ by ${error}`);
    const row = {
      batch,
      largestError: error,
      milliseconds: Object.fromEntries(Object.entries(times).map(([name, own]) => [name, statistics(own)])),
      readBackOverResident: pairedRatio(times.readBack, times.resident),
      processorOverResident: pairedRatio(times.processor, times.resident),
    };
    rows.push(row);
    console.log(
      `${place}, batch ${batch}: resident ${row.milliseconds.resident.median} ms; read back ${row.readBackOverResident} times as long, the processor ${row.processorOverResident} times; maps within ${error.toExponential(1)}`,
    );
  }
  const placements = placementsOf();
  for (const { onGpu, onCpu, copies } of placements) console.log(`${place}: of a session ${onGpu} operators on the GPU, ${onCpu.length} on the CPU, ${copies ? 'copies between' : 'no copies between'}`);
  const name = [adapter.vendor, adapter.architecture].filter(Boolean).join('-') || 'gpu';
  const out = places.length > 1 ? options.out?.replace(/(\.json)?$/, `-${place}.json`) : options.out;
  const file = out ?? (isSoftware ? undefined : join(root, `bench/results/gpu-resident-${place}-${name}.json`));
  if (!file) return;
  mkdirSync(dirname(file), { recursive: true });
  const found = { where: place, adapter, software: isSoftware, machine: machine(), versions: versions(['onnxruntime-node', 'onnxruntime-web', 'webgpu']), model: basename(options.model), placements, rows };
  writeFileSync(file, `${JSON.stringify(found, null, 2)}\n`);
  console.log(`written to ${file}`);
}

/** Of each session of the resident path, from the log of another process; a page has the same build of ONNX Runtime. */
function placementsOf() {
  const folder = mkdtempSync(join(tmpdir(), 'gradcampp-placements-'));
  try {
    const path = join(folder, 'log'); // a file: a pipe that was full for a moment gets no more of the log
    const log = openSync(path, 'w');
    const { status } = spawnSync(process.execPath, [fileURLToPath(import.meta.url), '--placements', '--model', options.model], { stdio: ['ignore', 'ignore', log] });
    closeSync(log);
    const text = readFileSync(path, 'latin1');
    if (status !== 0) {
      console.log('where operators are placed is not known: Node.js finds no GPU here.');
      return [];
    }
    const sessions = text.split('\n== ').slice(1);
    return sessions.map((part) => {
      const count = (provider) => Number(new RegExp(`laced on \\[${provider}\\]\\. Number of nodes: (\\d+)`).exec(part)?.[1] ?? 0);
      const [, onCpu = ''] = /placed on \[CPUExecutionProvider\]\.([\s\S]*?)(?=placed on \[|$)/.exec(part) ?? [];
      const named = [...onCpu.matchAll(/VerifyEachNodeIsAssignedToAnEp\] +(\w+) \(/g)].map(([, operator]) => operator);
      return { onGpu: count('WebGpuExecutionProvider'), onCpu: named, copies: part.includes('MemcpyTransformer modified: 1') };
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function logPlacements() {
  const { env, InferenceSession } = await import('onnxruntime-web/webgpu');
  const { create } = InferenceSession;
  InferenceSession.create = (bytes, own) => {
    console.error('\n== session');
    return create(bytes, { ...own, logSeverityLevel: 0 });
  };
  env.logLevel = 'verbose';
  const { Explainer } = await import('../dist/index.js');
  const explainer = await Explainer.open(options.model, { executionProviders: ['webgpu'] });
  await explainer.warmUp();
  await explainer.close();
}
