// What an explanation costs over the plain forward pass, at several layers and batch sizes: medians of alternating runs
// in one process, one thread.
// Usage: npm run build && node bench/cost.mjs [--rounds 40] [--models DIR] [--only squeezenet,resnet20] [--out FILE]
// Reference backend, so that nothing but TypeScript is behind the map. Results are verified while they are timed.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { settingsOf } from '../dist/explain/explain-options.js';
import { Explainer } from '../dist/index.js';
import { flags, median, processorTime, Report, round, shared } from './measure.mjs';

const options = flags({ rounds: '40', models: undefined });
const rounds = Number(options.rounds);
const folder = shared('models', options.models);

/** Networks, their layers from late to early, and [pictures in a pass, classes of each]. */
const cases = {
  squeezenet1_0: { layers: ['auto', 'fire9/concat', 'fire5/concat'], passes: [[1, 1], [8, 1], [1, 5]] },
  resnet20_cifar10: { layers: ['auto', 'layer2.2/relu2'], passes: [[1, 1], [8, 1], [32, 1]] },
  resnet56_cifar10: { layers: ['auto'], passes: [[1, 1], [8, 1]] },
};

const report = new Report('cost', 'explaining over the plain forward pass, one thread, reference backend', options);
for (const [model, { layers, passes }] of Object.entries(cases))
  await report.section(model, async () => {
    const rows = [];
    for (const layer of layers)
      for (const [batch, top] of passes) rows.push(await compare(model, layer, batch, { top }));
    return { rows };
  });

async function compare(model, layer, batch, targets) {
  const path = join(folder, `${model}.onnx`);
  const explainer = await Explainer.open(path, { layer, backend: 'reference', threads: 1 });
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
  const used = { forward: 0, explain: 0 };
  let expected;
  const warm = performance.now() + 2000; // compilers need some hundred calls
  for (let turn = performance.now() < warm ? -1 : 0; turn < rounds; turn = performance.now() < warm ? -1 : turn + 1)
    for (const [name, run] of Object.entries(contenders)) {
      const start = performance.now();
      const before = processorTime();
      const scores = await run();
      if (turn >= 0) {
        times[name].push(performance.now() - start);
        used[name] += processorTime() - before;
      }
      expected ??= scores;
      const largest = Math.max(...expected.map(Math.abs));
      assert(scores.every((score, i) => Math.abs(score - expected[i]) <= 1e-5 * largest), `${name}: other scores`);
    }
  await explainer.close();
  await plain.release();
  return {
    layer: explainer.layers[0],
    'pictures in a pass': batch,
    'classes of each': targets.top,
    'forward ms': round(median(times.forward)),
    'explain ms': round(median(times.explain)),
    'explain / forward': round(median(times.explain) / median(times.forward), 3),
    'by processor time': round(used.explain / used.forward, 3),
    'of the least': round(Math.min(...times.explain) / Math.min(...times.forward), 3),
  };
}
