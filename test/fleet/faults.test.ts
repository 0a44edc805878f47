import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import type * as MergeModule from '../../src/fleet/merge.js';
import type * as PlanModule from '../../src/fleet/plan.js';
import type * as ShardModule from '../../src/fleet/run-shard.js';
import { digest, linesIn, makeInputs, model, newFolder, noise, photos, root } from '../batch/inputs.js';
import { built } from '../support/built.js';
import { Hold } from '../support/hold.js';
import { ownFileSystems } from '../support/own-file-systems.js';

const { planShards } = await built<typeof PlanModule>('fleet/plan.js');
const { runShard } = await built<typeof ShardModule>('fleet/run-shard.js');
const { mergeShards } = await built<typeof MergeModule>('fleet/merge.js');
const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

beforeAll(makeInputs);
afterEach(() => vi.unstubAllEnvs());
afterAll(() => rmSync(root, { recursive: true }));

test('a picture that ends its worker becomes a line with an error, of its shard alone', async () => {
  const [work, out] = [newFolder(), newFolder()];
  for (const [name, value] of Object.entries(new Hold(newFolder()).env)) vi.stubEnv(name, value);
  const [a, slow, b] = ['a.png', 'held.png', 'b.png'].map((name) => join(root, name));
  for (const [i, path] of [a, slow, b].entries()) writeFileSync(path, noise(i));
  await planShards({ model, images: [a, slow, b, a], out: work, size: 2, outputs: { save: ['npy'] } });
  const workforce = { workers: 1, isolate: true, timeout: 3 };
  for (const index of [0, 1]) await runShard({ plan: work, index, workforce });
  expect(await mergeShards({ plan: work, out })).toMatchObject({ images: 4, failed: 1 });
  const message = `${JSON.stringify(slow)} took longer than 3 s.`;
  expect(linesIn(out)[1]).toEqual({ index: 1, image: { path: slow }, error: { code: 'RUNTIME', message } });
});

test('a machine that stops, while another does its shard, and goes on later changes nothing', async () => {
  const [work, out] = [newFolder(), newFolder()];
  const held = join(root, 'held.png');
  writeFileSync(held, noise(1));
  await planShards({ model, images: [photos, held, photos], out: work });
  const hold = new Hold(newFolder());
  const stopped = spawn(process.execPath, [main, 'shard', 'run', work, '--index', '0', '--workers', '1'], {
    stdio: 'ignore',
    env: { ...process.env, ...hold.env },
  });
  const ended = once(stopped, 'close');
  await hold.asked('held.png');
  stopped.kill('SIGSTOP');
  expect(await runShard({ plan: work, index: 0, workforce: { workers: 0 } })).toMatchObject({
    outcome: 'done',
  });
  await mergeShards({ plan: work, out });
  const before = digest(out);
  hold.letGo('held.png');
  stopped.kill('SIGCONT');
  expect(await ended).toEqual([0, null]);
  await mergeShards({ plan: work, out, overwrite: true });
  expect(digest(out)).toEqual(before);
});

const own = ownFileSystems(join(root, 'probe'));
if (!own) console.warn('NOT TESTED: a full storage. No small file system can be mounted here.');

test.runIf(own !== undefined)(
  'a full storage leaves the shard to be done; with space it is (needs mount)',
  () => {
    const [small, out] = [join(root, 'small'), newFolder()];
    mkdirSync(small);
    const script = `
    gradcampp() { "$NODE" "$MAIN" "$@" 2>> "$OUT/said"; echo $?; }
    gradcampp explain "$PHOTOS" --model "$MODEL" --save npy --out "$OUT/one"
    mount -t tmpfs -o size=28k tmpfs "$SMALL"
    gradcampp shard plan "$PHOTOS" --model "$MODEL" --save npy --out "$SMALL"
    gradcampp shard run "$SMALL" --index 0
    gradcampp shard status "$SMALL"
    mount -o remount,size=10m "$SMALL"
    gradcampp shard run "$SMALL" --index 0
    gradcampp shard merge "$SMALL" --out "$OUT/merged"`;
    const env = { ...process.env, NODE: process.execPath, MAIN: main, PHOTOS: photos, MODEL: model };
    const [command, ...flags] = own as string[];
    const { stdout } = spawnSync(command, [...flags, 'sh', '-c', script], {
      env: { ...env, SMALL: small, OUT: out },
      encoding: 'utf8',
    });
    const codes = stdout.split('\n').filter((line) => /^\d$/.test(line));
    const said = readFileSync(join(out, 'said'), 'utf8');
    expect(codes, said).toEqual(['3', '0', '1', '3', '0', '3']);
    expect(said).toMatch(/^gradcampp: .* cannot be written: the disk is full\.$/m);
    expect(digest(join(out, 'merged'))).toEqual(digest(join(out, 'one')));
  },
);
