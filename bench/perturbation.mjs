// What methods cost that run a network many times, over the bare passes that they need by their definition: processor time, one
// thread, contenders in turns.
// Usage: npm run build && node bench/perturbation.mjs [--rounds 7] [--models DIR] [--only squeezenet,mobilenet] [--out FILE]
// Bare passes are ONNX Runtime's on a ready tensor, one picture at a time or two, whichever is faster. The number of passes
// is what the methods report, and their maps are the same in every round; the tests hold them against float64.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { differentiate } from '../dist/differentiate.js';
import { settingsOf } from '../dist/explain/explain-options.js';
import { Explainer } from '../dist/index.js';
import { flags, median, pairedRatio, processorTime, Report, round, shared } from './measure.mjs';
import { networks, saveNetwork } from './networks.mjs';

const options = flags({ rounds: '7', models: undefined });
const rounds = Number(options.rounds);

/** Methods, with the passes that they need by their definition, and what of. */
const channels = 64;
const cases = [
  { method: 'score-cam', own: { channels }, passes: 1 + channels, of: 'forward' },
  { method: 'ablation-cam', own: { channels }, passes: 1 + channels, of: 'forward' },
  { method: 'rise', own: { masks: 128 }, passes: 128, of: 'forward' },
  { method: 'integrated-gradients', own: { steps: 32 }, passes: 32, of: 'gradient' },
  { method: 'smooth-grad', own: { samples: 16 }, passes: 16, of: 'gradient' },
];

const report = new Report('perturbation', 'methods over the bare passes that they need, one thread, reference backend', options);
const folder = await mkdtemp(join(tmpdir(), 'perturbation-'));
try {
  await report.section('squeezenet1_0 at fire9/concat', () =>
    compare(join(shared('models', options.models), 'squeezenet1_0.onnx'), 'fire9/concat'),
  );
  for (const name of Object.keys(networks))
    await report.section(name, async () => {
      const path = join(folder, `${name}.onnx`);
      await saveNetwork(name, path);
      return compare(path, 'auto');
    });
} finally {
  await rm(folder, { recursive: true });
}

async function compare(path, layer) {
  const explainer = await Explainer.open(path, { layer, backend: 'reference', threads: 1 });
  const [height, width] = explainer.network.image.dims.slice(2);
  const dims = [3, height, width];
  const length = 3 * height * width;
  const picture = Float32Array.from({ length }, (_, i) => 100 * Math.sin(i * 0.37) * Math.cos(i * 0.0021));
  const [prepared] = await explainer.prepare({ type: 'float32', dims, data: picture });
  const bare = await barePasses(path, explainer, picture, dims);
  const rows = [];
  for (const { method, own: parameters, passes, of } of cases) {
    const settings = settingsOf({ method, targets: 1, ...parameters });
    const explain = async () => {
      let reported = 0;
      const [{ targets }] = await explainer.explainPrepared([prepared], settings, undefined, (done) => {
        reported = done;
      });
      return { map: targets[0].map.data, reported };
    };
    const first = await explain();
    const used = bare[of].map(() => []);
    const own = [];
    for (let turn = 0; turn < rounds; turn++) {
      for (const [i, run] of bare[of].entries()) await timed(used[i], () => run(passes));
      const { map, reported } = await timed(own, explain);
      assert.deepEqual(map, first.map);
      assert.equal(reported, first.reported);
    }
    const fastest = used.toSorted((a, b) => median(a) - median(b))[0];
    rows.push({
      method,
      passes,
      'of which': of === 'gradient' ? 'gradients' : 'whole network',
      'reported by the method': first.reported,
      'bare ms': round(median(fastest)),
      'method ms': round(median(own)),
      'method / bare': pairedRatio(own, fastest),
      'of the least': round(Math.min(...own) / Math.min(...fastest), 3),
    });
  }
  await explainer.close();
  await bare.close();
  return { rows };
}

/** So many bare passes: of one picture, of two at a time; and gradients. */
async function barePasses(path, explainer, picture, dims) {
  const settings = { intraOpNumThreads: 1, extra: { session: { intra_op: { allow_spinning: '0' } } } };
  const plain = await ort.InferenceSession.create(path, settings);
  const input = explainer.network.image.name;
  const of = explainer.scores.info;
  const graph = await differentiate(path, { of: of.name, wrt: [input] });
  const gradient = await ort.InferenceSession.create(graph.toBytes(), settings);
  const seed = new Float32Array(of.dims.slice(1).reduce((a, b) => a * b, 1));
  seed[1] = 1;
  const feeds = (count) => {
    const data = new Float32Array(count * picture.length);
    for (let n = 0; n < count; n++) data.set(picture, n * picture.length);
    return { [input]: new ort.Tensor('float32', data, [count, ...dims]) };
  };
  const times = (session, own, count) => async (passes) => {
    for (let done = 0; done < passes; done += count) await session.run(own);
  };
  return {
    forward: [1, 2].map((count) => times(plain, feeds(count), count)),
    gradient: [
      times(gradient, { ...feeds(1), seed: new ort.Tensor('float32', seed, [1, ...of.dims.slice(1)]) }, 1),
    ],
    close: () => Promise.all([plain.release(), gradient.release()]),
  };
}

async function timed(times, run) {
  const before = processorTime();
  const result = await run();
  times.push(processorTime() - before);
  return result;
}
