// What an exported, self-explaining model costs over the plain one: medians of alternating runs, one thread.
// Usage: npm run build && node bench/export.mjs [--rounds 40] [--models DIR]
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import * as ort from 'onnxruntime-node';
import { exportExplained } from '../dist/export/self-explaining.js';
import { Explainer } from '../dist/index.js';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '40' },
    models: { type: 'string', default: fileURLToPath(new URL('../../shared/models', import.meta.url)) },
  },
});
if (!existsSync(values.models)) {
  console.log(`No models in ${values.models}; name a folder with --models.`);
  process.exit(0);
}
const options = { intraOpNumThreads: 1, logSeverityLevel: 3 };
for (const model of ['squeezenet1_0', 'resnet20_cifar10'])
  for (const top of [1, 3])
    for (const batch of [1, 8]) {
      const path = join(values.models, `${model}.onnx`);
      const plain = await ort.InferenceSession.create(path, options);
      const explained = await ort.InferenceSession.create((await exportExplained(path, { targets: { top } })).toBytes(), options);
      const explainer = await Explainer.open(path, { backend: 'reference', threads: 1 });
      const [height, width] = explainer.preprocessing.size;
      const scale = explainer.preprocessing.range === 255 ? 100 : 2;
      const data = Float32Array.from({ length: batch * 3 * height * width }, (_, i) => scale * Math.sin(i * 0.37) * Math.cos(i * 0.0021));
      const dims = [batch, 3, height, width];
      const feeds = { [explainer.network.image.name]: new ort.Tensor('float32', data, dims) };
      const times = { plain: [], explained: [] };
      const warm = performance.now() + 1000;
      let result;
      for (let round = 0; round < Number(values.rounds); )
        for (const [name, session] of Object.entries({ plain, explained })) {
          const start = performance.now();
          result = await session.run(feeds);
          if (start > warm) times[name].push(performance.now() - start);
          if (start > warm && name === 'explained') round++;
        }
      const expected = await explainer.explain({ type: 'float32', dims, data }, { targets: { top }, batchSize: batch });
      const size = height * width;
      let worst = 0;
      expected.forEach(({ targets }, n) =>
        targets.forEach(({ map }, t) => {
          const at = (n * top + t) * size;
          map.data.forEach((value, i) => {
            worst = Math.max(worst, Math.abs(value - result.explanation_maps.data[at + i]));
          });
        }),
      );
      assert(worst < 1e-5, `maps differ by ${worst}`);
      const ratio = median(times.explained) / median(times.plain);
      console.log(
        `${model.padEnd(18)} top ${top}, batch ${batch}: explained / plain = ${ratio.toFixed(3)}  (maps differ by ${worst.toExponential(1)})`,
      );
      await Promise.all([explainer.close(), plain.release(), explained.release()]);
    }

function median(list) {
  return [...list].sort((a, b) => a - b)[list.length >> 1];
}
