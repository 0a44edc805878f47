// The same shards run by one machine, by workers of a queue on a real Redis server, as a Slurm array and as a Kubernetes Indexed Job
// starts them: every merge is compared, byte by byte, with what `explain` writes.
// Usage, with redis-server, and a cluster of Slurm where it is to be asked (else it is said): npm run engines:fleet [-- --pictures 5000 --shards 20]
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import type * as EncodeModule from '../../src/image/encode.js';
import { RedisServer } from '../../test/fleet/redis-server.js';
import { randomNumbers } from '../../test/map/random.js';
import { digest, gradcampp, main, project, start } from './processes.js';

const { values } = parseArgs({
  options: {
    pictures: { type: 'string', default: '5000' },
    shards: { type: 'string', default: '20' },
    workers: { type: 'string', default: '3' },
    /** A folder that the cluster's machines see. */
    folder: { type: 'string', default: tmpdir() },
  },
});
const [pictures, shards, workers] = [values.pictures, values.shards, values.workers].map(Number);
const { encodePng } = (await import(
  pathToFileURL(join(project, 'dist/image/encode.js')).href
)) as typeof EncodeModule;
const root = mkdtempSync(join(values.folder, 'gradcampp-engines-'));
const photos = join(root, 'photos');
mkdirSync(photos);
const random = randomNumbers(1);
for (let i = 0; i < pictures; i++) {
  const [width, height] = [24 + (i % 5), 24 + (i % 3)];
  const [red, green] = [256 * random(), 256 * random()];
  const data = Uint8Array.from({ length: 3 * width * height }, (_, at) => [red, green, at / 9][at % 3]);
  const bytes = i % 250 === 9 ? 'no picture' : encodePng({ data, width, height, channels: 3 });
  writeFileSync(join(photos, `${String(i).padStart(5, '0')}.png`), bytes);
}

const settings = [photos, '--model', join(project, 'assets/shapes.onnx'), '--save', 'overlay'];
const indices = Array.from({ length: shards }, (_, index) => String(index));
const size = String(Math.ceil(pictures / shards));
const one = join(root, 'one');
await gradcampp(['explain', ...settings, '--out', one], [3]);
const expected = digest(one);

/** Runs all shards; of an engine that is not here, why. */
type Engine = (plan: string) => Promise<string | undefined>;

const engines: Readonly<Record<string, Engine>> = {
  'one machine, shard after shard': async (plan) => {
    for (const index of indices) await gradcampp(['shard', 'run', plan, '--index', index], [0]);
    return undefined;
  },
  [`${workers} workers of BullMQ`]: async (plan) => {
    const redis = await RedisServer.start();
    const own = ['--redis', redis.url];
    await gradcampp(['shard', 'submit', plan, ...own], [0]);
    const args = ['shard', 'work', ...own, '--workers', '1', '--until-empty'];
    const ended = await Promise.all(Array.from({ length: workers }, () => start(args).ended));
    await redis.end();
    for (const { code, said } of ended) if (code !== 0) throw new Error(said);
    return undefined;
  },
  'a Slurm array': async (plan) => {
    const nodes = spawnSync('sinfo', ['--noheader', '--format=%D nodes, %c CPUs each'], { encoding: 'utf8' });
    if (nodes.status !== 0) return 'no cluster of Slurm answers here';
    const bin = join(root, 'bin');
    mkdirSync(bin);
    writeFileSync(join(bin, 'gradcampp'), `#!/bin/sh\nexec "${process.execPath}" "${main}" "$@"\n`);
    chmodSync(join(bin, 'gradcampp'), 0o755);
    const missing = spawnSync(process.execPath, [main, 'shard', 'status', plan, '--missing'], {
      encoding: 'utf8',
    });
    const script = join(project, 'examples/slurm/shards.sh');
    const { status, stderr } = spawnSync(
      'sbatch',
      ['--wait', `--array=${missing.stdout.trim()}`, script, plan],
      {
        cwd: root,
        env: { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}` },
        encoding: 'utf8',
      },
    );
    if (status !== 0) throw new Error(`sbatch ended with ${status}: ${stderr}; its logs are in ${root}`);
    return undefined;
  },
  'as a Kubernetes Indexed Job starts them': async (plan) => {
    for (const index of indices.toReversed())
      await gradcampp(['shard', 'run', plan], [0], { JOB_COMPLETION_INDEX: index });
    return undefined;
  },
};

for (const [name, run] of Object.entries(engines)) {
  const [plan, merged] = [mkdtempSync(join(root, 'plan-')), join(root, 'merged')];
  await gradcampp(['shard', 'plan', ...settings, '--size', size, '--out', plan], [0]);
  const since = performance.now();
  const why = await run(plan);
  if (why === undefined) {
    const seconds = ((performance.now() - since) / 1000).toFixed(0);
    await gradcampp(['shard', 'merge', plan, '--out', merged], [3]);
    if (digest(merged) !== expected) throw new Error(`${name}: ${merged} differs from ${one}.`);
    console.log(`${name}: ${pictures} pictures in ${shards} shards, ${seconds} s, merged to the same bytes`);
    rmSync(merged, { recursive: true });
  } else console.log(`${name}: NOT RUN, ${why}.`);
  rmSync(plan, { recursive: true });
}
rmSync(root, { recursive: true });
