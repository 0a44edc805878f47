// Random graphs, damaged model files, pictures and annotations by the thousand, in process and through the command: the tests in
// test/fuzz with larger numbers and a new seed.
// Usage: npm run fuzz [-- --graphs 2000 --models 10000 --pictures 10000 --annotations 2000 --command 3000 --seed 123]
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    graphs: { type: 'string', default: '2000' },
    models: { type: 'string', default: '10000' },
    pictures: { type: 'string', default: '10000' },
    annotations: { type: 'string', default: '2000' },
    command: { type: 'string', default: '3000' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
  },
});
console.log(`seed ${values.seed}: run again with -- --seed ${values.seed}`);
const vitest = fileURLToPath(new URL('../node_modules/vitest/vitest.mjs', import.meta.url));
const { status } = spawnSync(process.execPath, [vitest, 'run', 'test/fuzz'], {
  stdio: 'inherit',
  env: { ...process.env, FUZZ_GRAPHS: values.graphs, FUZZ_MODELS: values.models, FUZZ_PICTURES: values.pictures, FUZZ_ANNOTATIONS: values.annotations, FUZZ_COMMAND: values.command, FUZZ_SEED: values.seed },
});
process.exit(status ?? 1);
