import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { digest, makeInputs, model, newFolder, photos, root } from '../batch/inputs.js';
import { randomNumbers } from '../map/random.js';
import { type Fault, type S3Server, startS3 } from './s3-server.js';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
let server: S3Server;
beforeAll(async () => {
  makeInputs();
  server = await startS3();
});
afterAll(async () => {
  await server.close();
  rmSync(root, { recursive: true });
});

function start(...args: string[]) {
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data) => {
      said += data;
    });
  return { child, ended: once(child, 'close').then(([code, signal]) => ({ code: code ?? signal, said })) };
}
const gradcampp = (...args: string[]) => start(...args).ended;

test('shards in a bucket, where every fifth request goes wrong, make the folder of one run', async () => {
  const seed = Date.now() % 2 ** 31;
  const random = randomNumbers(seed);
  const faults: Fault[] = ['busy', 'reset', 'lost', 'cut'];
  server.fault = () => (random() < 0.2 ? faults[Math.floor(4 * random())] : undefined);
  const one = newFolder();
  const explained = gradcampp('explain', photos, '--model', model, '--out', one);
  const out = 's3://bucket/many/';
  const planned = await gradcampp('shard', 'plan', photos, '--model', model, '--size', '14', '--out', out);
  expect(planned.said).toContain('40 pictures, 3 shards → s3://bucket/many/plan.json');
  const plan = 's3://bucket/many/plan.json';
  for (const index of ['2', '0', '1']) {
    const run = () => start('shard', 'run', plan, '--index', index, '--workers', '1');
    const killed = run();
    await wait(random() * 2000);
    killed.child.kill('SIGKILL');
    for (const { code, said } of await Promise.all([run().ended, run().ended]))
      expect(code, `${said}, seed ${seed}`).toBe(0);
  }
  const folder = newFolder();
  const merged = await gradcampp('shard', 'merge', plan, '--out', folder);
  expect(merged.code, `${merged.said}, seed ${seed}`).toBe(3);
  expect((await explained).code).toBe(3);
  expect(digest(folder)).toEqual(digest(one));
  expect(server.faults).toBeGreaterThan(5);
});
