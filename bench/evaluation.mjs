// What an evaluation costs beside the forward passes that its metrics need: faithfulness of three methods on
// SqueezeNet, two single-threaded workers, against as many bare passes (batches of 4) in two such workers.
//
//   npm run build && node bench/evaluation.mjs [--pictures 1000] [--rounds 3]
//
// All workers are open and warm before anything is timed, so that fewer pictures give the same ratio; what is done once
// for all pictures (intervals, tests, the report) is timed apart. CPU time is that of the whole process.

import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { evaluate } from '../dist/evaluate/evaluate.js';
import { measuringOptions } from '../dist/evaluate/faithfulness/measuring-options.js';
import { openSubject } from '../dist/evaluate/open.js';
import { measureInWorkers } from '../dist/evaluate/measurer.js';
import { Explainer } from '../dist/batch/explainer.js';

const workers = 2;
const { batch, steps } = Object.fromEntries(
  Object.entries(measuringOptions).map(([name, option]) => [name, option.default]),
);
const shared = fileURLToPath(new URL('../../shared/', import.meta.url));
const model = join(shared, 'models/squeezenet1_0.onnx');

if (isMainThread) await main();
else await bare();

async function main() {
  const { values } = parseArgs({
    options: { pictures: { type: 'string', default: '1000' }, rounds: { type: 'string', default: '3' } },
  });
  const [count, rounds] = [Number(values.pictures), Number(values.rounds)];
  const methods = ['grad-cam++', 'grad-cam', 'random'];
  // A picture: itself, an empty and a blurred one, and of every method the explanation map and the inner points of
  // three curves.
  const passes = count * (1 + 2 + methods.length * (1 + 3 * (steps - 1)));
  const folder = mkdtempSync(join(tmpdir(), 'evaluation-'));
  const measurer = measureInWorkers(await openSubject(model), { model, open: {} }, { workers }, count);
  const idle = { ...measurer, close: async () => {} }; // an evaluation closes what it is given
  const measure = async (images) => {
    let measured;
    const start = now();
    await evaluate('faithfulness', {
      model: idle,
      overwrite: true,
      images,
      method: methods,
      out: join(folder, 'out'),
      onProgress: ({ done, total }) => {
        if (done === total) measured = now();
      },
    });
    return { measuring: since(start, measured), after: since(measured, now()) };
  };
  const bareWorkers = Array.from({ length: workers }, () => new Worker(new URL(import.meta.url)));
  const runBare = async (each) => {
    const start = now();
    await Promise.all(bareWorkers.map((worker) => ask(worker, each)));
    return since(start, now());
  };
  try {
    const source = join(shared, 'images/imagenet100');
    const pictures = readdirSync(source);
    mkdirSync(join(folder, 'pictures'));
    for (let i = 0; i < count; i++)
      symlinkSync(join(source, pictures[i % pictures.length]), join(folder, 'pictures', `${String(i).padStart(5, '0')}.jpg`));
    console.log(`${count} pictures, ${methods.join(', ')}: ${passes} forward passes`);
    await runBare(8 * batch);
    await measure(pictures.slice(0, workers).map((name) => join(source, name)));
    const ratios = { wall: [], cpu: [] };
    for (let round = 0; round < rounds; round++) {
      const floor = await runBare(passes / workers);
      const { measuring, after } = await measure([join(folder, 'pictures')]);
      ratios.wall.push(measuring.wall / floor.wall);
      ratios.cpu.push(measuring.cpu / floor.cpu);
      console.log(
        `bare ${text(floor)}: ${((1000 * floor.wall * workers) / passes).toFixed(2)} ms a pass and worker; evaluation ${text(measuring)}, then ${text(after)} for intervals and report; ratio ${(measuring.wall / floor.wall).toFixed(3)} (CPU ${(measuring.cpu / floor.cpu).toFixed(3)})`,
      );
    }
    console.log(`median ratio ${median(ratios.wall).toFixed(3)}, CPU ${median(ratios.cpu).toFixed(3)} (wanted: at most 1.15)`);
  } finally {
    rmSync(folder, { recursive: true });
    await measurer.close();
    await Promise.all(bareWorkers.map((worker) => worker.terminate()));
  }
}

function now() {
  return { wall: performance.now(), cpu: process.cpuUsage() };
}

/** Seconds between two moments, on the clock and of the processor. */
function since(start, end) {
  const cpu = end.cpu.user + end.cpu.system - start.cpu.user - start.cpu.system;
  return { wall: (end.wall - start.wall) / 1e3, cpu: cpu / 1e6 };
}

function text({ wall, cpu }) {
  return `${wall.toFixed(1)} s (CPU ${cpu.toFixed(1)} s)`;
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return (sorted[Math.floor(middle - 0.5)] + sorted[Math.ceil(middle - 0.5)]) / 2;
}

function ask(worker, passes) {
  return new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.postMessage(passes, []);
  });
}

/** Forward passes on ready tensors, nothing else. */
async function bare() {
  const opening = Explainer.open(model, { threads: 1, backend: 'reference' });
  parentPort.on('message', async (passes) => {
    const explainer = await opening;
    const [{ tensor, dims }] = await explainer.prepare(join(shared, 'images/samples/snake.jpg'));
    const data = new Float32Array(batch * tensor.length);
    for (let i = 0; i < batch; i++) data.set(tensor, i * tensor.length);
    for (let done = 0; done < passes; done += batch)
      await explainer.scoresOf({ type: 'float32', dims: [batch, ...dims], data });
    parentPort.postMessage('done', []);
  });
}
