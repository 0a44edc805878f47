// Peak memory of explaining over the plain session: a process each, the same pictures, the same number of runs.
// Usage: npm run build && node bench/memory.mjs [--models DIR]
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    models: { type: 'string', default: fileURLToPath(new URL('../../shared/models', import.meta.url)) },
    run: { type: 'string' },
    model: { type: 'string' },
    layer: { type: 'string' },
    batch: { type: 'string', default: '8' },
  },
});

if (values.run) await measure();
else if (!existsSync(values.models)) console.log(`No models in ${values.models}; name a folder with --models.`);
else {
  for (const [model, layer] of [
    ['squeezenet1_0', 'auto'],
    ['squeezenet1_0', 'fire9/concat'],
    ['squeezenet1_0', 'fire5/concat'],
    ['resnet20_cifar10', 'auto'],
    ['resnet20_cifar10', 'layer2.2/relu2'],
  ]) {
    const peaks = { plain: [], explain: [] };
    let head = 0;
    for (let round = 0; round < 5; round++)
      for (const run of Object.keys(peaks)) {
        const args = [fileURLToPath(import.meta.url), '--run', run, '--model', join(values.models, `${model}.onnx`), '--layer', layer];
        const result = JSON.parse(execFileSync(process.execPath, ['--expose-gc', ...args], { encoding: 'utf8' }));
        peaks[run].push(result.peak);
        head = result.head;
      }
    const median = (list) => list.sort((a, b) => a - b)[2];
    const extra = median(peaks.explain) - median(peaks.plain);
    console.log(
      `${model.padEnd(18)} ${layer.padEnd(16)} batch ${values.batch}: plain ${mega(median(peaks.plain))} MB, explain +${mega(extra)} MB, head's activations ${mega(head)} MB, ratio ${(extra / head).toFixed(2)}`,
    );
  }
}

/** Both load the same modules, so that what differs is the work. */
async function measure() {
  const { Explainer } = await import('../dist/index.js');
  const { settingsOf } = await import('../dist/explain/explain-options.js');
  const { ancestors, descendants } = await import('../dist/graph/graph.js');
  const batch = Number(values.batch);
  const explainer = await Explainer.open(values.model, { layer: values.layer, backend: 'reference', threads: 1 });
  const [height, width] = explainer.preprocessing.size;
  const size = 3 * height * width;
  const data = Float32Array.from({ length: batch * size }, (_, i) => Math.sin(i * 0.37));
  const tensor = { type: 'float32', dims: [batch, 3, height, width], data };
  const prepared = await explainer.prepare(tensor);
  const settings = settingsOf({ batchSize: batch });
  for (let i = 0; i < 10; i++) {
    if (values.run === 'plain') await explainer.scoresOf(tensor);
    else await explainer.explainPrepared(prepared, settings);
    globalThis.gc();
  }
  const { graph } = explainer.network;
  const behind = descendants(graph, explainer.layers);
  const needed = ancestors(graph, [explainer.scores.info.name]);
  let head = 0;
  for (const { outputs } of graph.nodes)
    for (const name of outputs)
      if (behind.has(name) && needed.has(name))
        head += graph.values.get(name).dims.slice(1).reduce((product, dim) => product * dim, 4 * batch);
  console.log(JSON.stringify({ peak: process.resourceUsage().maxRSS * 1024, head }));
  await explainer.close();
}

function mega(bytes) {
  return (bytes / 1e6).toFixed(1);
}
