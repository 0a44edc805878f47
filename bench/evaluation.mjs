// What an evaluation costs beside the forward passes that its metrics need: faithfulness of three methods on
// SqueezeNet, two single-threaded workers, against as many bare passes (batches of 4) in two such workers.
//
//   npm run build && node bench/evaluation.mjs [pictures = 1000]

import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { evaluateFaithfulness } from '../dist/evaluate/faithfulness/evaluate.js';
import { faithfulnessDefaults } from '../dist/evaluate/faithfulness/measure.js';
import { variantsOfMethods } from '../dist/evaluate/variants.js';
import { Explainer } from '../dist/explain/explainer.js';

const workers = 2;
const { batch, steps } = faithfulnessDefaults;
const shared = fileURLToPath(new URL('../../shared/', import.meta.url));
const model = join(shared, 'models/squeezenet1_0.onnx');

if (isMainThread) await main();
else await bare(workerData.passes);

async function main() {
  const count = Number(process.argv[2] ?? 1000);
  const methods = ['grad-cam++', 'grad-cam', 'random'];
  // A picture: itself, an empty and a blurred one, and of every method the explanation map and the inner points of
  // three curves.
  const passes = count * (1 + 2 + methods.length * (1 + 3 * (steps - 1)));
  const folder = mkdtempSync(join(tmpdir(), 'evaluation-'));
  try {
    const source = join(shared, 'images/imagenet100');
    const pictures = readdirSync(source);
    mkdirSync(join(folder, 'pictures'));
    for (let i = 0; i < count; i++)
      symlinkSync(join(source, pictures[i % pictures.length]), join(folder, 'pictures', `${String(i).padStart(5, '0')}.jpg`));
    console.log(`${count} pictures, ${methods.join(', ')}: ${passes} forward passes`);
    const ratios = [];
    for (let round = 0; round < 3; round++) {
      const floor = await timeOf(() => runBare(passes));
      const whole = await timeOf(() =>
        evaluateFaithfulness({
          model,
          images: [join(folder, 'pictures')],
          variants: variantsOfMethods(methods),
          out: join(folder, 'out'),
          workers,
        }),
      );
      ratios.push(whole / floor);
      console.log(
        `bare ${floor.toFixed(1)} s (${((1000 * floor * workers) / passes).toFixed(2)} ms a pass and worker), evaluation ${whole.toFixed(1)} s, ratio ${(whole / floor).toFixed(3)}`,
      );
    }
    console.log(`median ratio ${ratios.sort((a, b) => a - b)[1].toFixed(3)} (wanted: at most 1.15)`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function timeOf(run) {
  const start = performance.now();
  await run();
  return (performance.now() - start) / 1000;
}

function runBare(passes) {
  const one = () =>
    new Promise((resolve, reject) => {
      const worker = new Worker(new URL(import.meta.url), { workerData: { passes: passes / workers } });
      worker.once('message', resolve);
      worker.once('error', reject);
    });
  return Promise.all(Array.from({ length: workers }, one));
}

/** Forward passes on ready tensors, nothing else. */
async function bare(passes) {
  const explainer = await Explainer.open(model, { threads: 1, backend: 'reference' });
  const [{ tensor, dims }] = await explainer.prepare(join(shared, 'images/samples/snake.jpg'));
  const data = new Float32Array(batch * tensor.length);
  for (let i = 0; i < batch; i++) data.set(tensor, i * tensor.length);
  for (let done = 0; done < passes; done += batch)
    await explainer.scoresOf({ type: 'float32', dims: [batch, ...dims], data });
  await explainer.close();
  parentPort.postMessage('done', []);
}
