// What it is worth that activations and gradients stay on the GPU of a page: npm run bench:resident -- [options]
//
//   --batches 1,4,16,64,256   images a batch
//   --model FILE.onnx         a network of pictures in colours, its sidecar beside it; default assets/shapes.onnx
//   --rounds 5                alternating rounds, of each batch
//   --out FILE                default bench/results/gpu-resident-<adapter>.json
//   --software                run on a software GPU, with batches of 1 and 4, to see that this script works; writes only to --out
//
// Contenders explain the same tensors in one page of Chromium (/usr/bin/chromium, or CHROMIUM): the resident path, the same
// sessions with activations and gradients read back for the map stage in TypeScript, and WebAssembly. They take turns; a
// round's figure is wall time, as a GPU's has no processor time, and ratios are of neighbours. Every map is verified against
// WebAssembly's before it counts.
import { createReadStream, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { basename, dirname, extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { machine, pairedRatio, statistics } from './measure.mjs';

const root = fileURLToPath(new URL('../', import.meta.url));
const { values: options } = parseArgs({
  options: {
    batches: { type: 'string' },
    model: { type: 'string', default: join(root, 'assets/shapes.onnx') },
    rounds: { type: 'string', default: '5' },
    out: { type: 'string' },
    software: { type: 'boolean', default: false },
  },
});
const largestError = 1e-4; // of a map in 0 … 1
const batches = (options.batches ?? (options.software ? '1,4' : '1,4,16,64,256')).split(',').map(Number);

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
  const isSoftware = /swiftshader|llvmpipe|lavapipe/i.test(Object.values(adapter ?? {}).join(' '));
  if (!adapter) console.log('Nothing to measure: the browser gives no GPU.');
  else if (isSoftware && !options.software)
    console.log('Nothing to measure: the only adapter is a software one, whose figures say nothing about a GPU. Add --software to see that this script works.');
  else await measure(page, adapter, isSoftware);
} finally {
  await browser.close();
  server.closeAllConnections();
  server.close();
}

async function measure(page, adapter, isSoftware) {
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
      wasm: await open('wasm', 'reference'),
    };
  });
  const rows = [];
  for (const batch of batches) {
    const { times, error } = await page.evaluate(
      async ([images, rounds]) => {
        const { contenders } = globalThis;
        const dims = [3, ...contenders.wasm.preprocessing.size]; // of pictures in colours
        const size = dims.reduce((a, b) => a * b);
        const data = Float32Array.from({ length: images * size }, (_, i) => Math.sin(i * 0.37) + Math.sin(i * 0.011));
        const ask = (explainer) =>
          explainer.explain({ type: 'float32', dims: [images, ...dims], data: data.slice() }, { targets: { class: 1 }, method: 'grad-cam++', batchSize: images });
        const maps = {};
        for (const [name, explainer] of Object.entries(contenders)) maps[name] = (await ask(explainer)).map((own) => own.targets[0].map.data);
        let error = 0;
        for (const own of Object.values(maps))
          own.forEach((map, n) => map.forEach((value, i) => (error = Math.max(error, Math.abs(value - maps.wasm[n][i])))));
        const times = { resident: [], readBack: [], wasm: [] };
        for (let round = 0; round < rounds; round++)
          for (const [name, explainer] of Object.entries(contenders)) {
            const since = performance.now();
            await ask(explainer);
            times[name].push(performance.now() - since);
          }
        return { times, error };
      },
      [batch, Number(options.rounds)],
    );
    if (!(error < largestError)) throw new Error(`maps of a batch of ${batch} differ by ${error}`);
    const row = {
      batch,
      largestError: error,
      milliseconds: Object.fromEntries(Object.entries(times).map(([name, own]) => [name, statistics(own)])),
      readBackOverResident: pairedRatio(times.readBack, times.resident),
      wasmOverResident: pairedRatio(times.wasm, times.resident),
    };
    rows.push(row);
    console.log(
      `batch ${batch}: resident ${row.milliseconds.resident.median} ms; read back ${row.readBackOverResident} times as long, wasm ${row.wasmOverResident} times; maps within ${error.toExponential(1)}`,
    );
  }
  const name = [adapter.vendor, adapter.architecture].filter(Boolean).join('-') || 'gpu';
  const out = options.out ?? (isSoftware ? undefined : join(root, `bench/results/gpu-resident-${name}.json`));
  if (!out) return;
  mkdirSync(dirname(out), { recursive: true });
  const { version } = JSON.parse(readFileSync(join(root, 'node_modules/onnxruntime-web/package.json'), 'utf8'));
  writeFileSync(out, `${JSON.stringify({ adapter, machine: machine(), onnxruntimeWeb: version, model: basename(options.model), rows }, null, 2)}\n`);
  console.log(`written to ${out}`);
}
