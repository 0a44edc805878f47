// What an explanation costs over the plain forward pass: medians of alternating runs in one process, one thread.
// Usage: npm run build && node bench/cost.mjs [--rounds 40] [--models DIR] [--json FILE]
// Reference backend, so that nothing but TypeScript is behind the map. Results are verified while they are timed.
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import * as ort from 'onnxruntime-node';
import { settingsOf } from '../dist/explain/options.js';
import { Explainer } from '../dist/index.js';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '40' },
    models: { type: 'string', default: fileURLToPath(new URL('../../shared/models', import.meta.url)) },
    json: { type: 'string' },
  },
});
const rounds = Number(values.rounds);
if (!existsSync(values.models)) {
  console.log(`No models in ${values.models}; name a folder with --models.`);
  process.exit(0);
}

const cases = [
  { model: 'squeezenet1_0', batch: 1, targets: { top: 1 }, bound: 1.2 },
  { model: 'squeezenet1_0', batch: 8, targets: { top: 1 }, bound: 1.1 },
  { model: 'squeezenet1_0', batch: 1, targets: { top: 5 }, bound: 1.3 },
  { model: 'resnet20_cifar10', batch: 1, targets: { top: 1 }, bound: 1.2 },
  { model: 'resnet20_cifar10', batch: 8, targets: { top: 1 }, bound: 1.1 },
  { model: 'resnet56_cifar10', batch: 1, targets: { top: 1 }, bound: 1.2 },
  { model: 'resnet56_cifar10', batch: 8, targets: { top: 1 }, bound: 1.1 },
];

const results = [];
for (const { model, batch, targets, bound } of cases) {
  const path = join(values.models, `${model}.onnx`);
  const explainer = await Explainer.open(path, { layer: 'auto', backend: 'reference', threads: 1 });
  const plain = await ort.InferenceSession.create(path, {
    intraOpNumThreads: 1,
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  });
  const [height, width] = explainer.preprocessing.size;
  const size = 3 * height * width;
  const scale = explainer.preprocessing.range === 255 ? 100 : 2;
  const data = Float32Array.from({ length: batch * size }, (_, i) => scale * Math.sin(i * 0.37) * Math.cos(i * 0.0021));
  const input = explainer.network.image.name;
  const feeds = { [input]: new ort.Tensor('float32', data, [batch, 3, height, width]) };
  const images = Array.from({ length: batch }, (_, n) => ({
    type: 'float32',
    dims: [3, height, width],
    data: data.subarray(n * size, (n + 1) * size),
  }));
  const prepared = (await Promise.all(images.map((image) => explainer.prepare(image)))).flat(); // as the forward pass gets it
  const settings = settingsOf({ targets, batchSize: batch });
  const contenders = {
    forward: async () => Object.values(await plain.run(feeds))[0].data,
    explain: async () => {
      const explanations = await explainer.explainPrepared(prepared, settings);
      return Float32Array.from(explanations.flatMap(({ scores }) => [...scores]));
    },
  };
  const times = { forward: [], explain: [] };
  let expected;
  const warm = performance.now() + 2000; // compilers need some hundred calls
  for (let round = performance.now() < warm ? -1 : 0; round < rounds; round = performance.now() < warm ? -1 : round + 1)
    for (const [name, run] of Object.entries(contenders)) {
      const start = performance.now();
      const scores = await run();
      if (round >= 0) times[name].push(performance.now() - start);
      expected ??= scores;
      const largest = Math.max(...expected.map(Math.abs));
      assert(scores.every((score, i) => Math.abs(score - expected[i]) <= 1e-5 * largest), `${name}: other scores`);
    }
  const ratio = median(times.explain) / median(times.forward);
  const best = Math.min(...times.explain) / Math.min(...times.forward);
  results.push({ model, layer: explainer.layers[0], batch, top: targets.top, ratio, ratioOfMinima: best, bound, times });
  console.log(
    `${model.padEnd(18)} ${explainer.layers[0].padEnd(18)} batch ${batch}, top ${targets.top}: explain / forward = ${ratio.toFixed(3)} (minima ${best.toFixed(3)}; bound ${bound})  forward ${median(times.forward).toFixed(2)} ms`,
  );
  await explainer.close();
  await plain.release();
}
if (values.json) {
  const machine = { cpu: cpus()[0].model, cores: cpus().length, node: process.version };
  writeFileSync(values.json, `${JSON.stringify({ machine, rounds, results }, null, 1)}\n`);
}

function median(list) {
  const sorted = [...list].sort((a, b) => a - b);
  return (sorted[Math.floor((sorted.length - 1) / 2)] + sorted[Math.ceil((sorted.length - 1) / 2)]) / 2;
}
