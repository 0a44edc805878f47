import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type * as SubmitModule from '../../src/fleet/submit.js';
import { digest, makeInputs, model, newFolder, noise, photos, root } from '../batch/inputs.js';
import { built } from '../support/built.js';
import { Hold } from '../support/hold.js';
import { bytesFrom, classifier } from '../support/network.js';
import { poisonedBy } from '../support/poison.js';
import { hasRedis, RedisServer } from './redis-server.js';

const { submitShards } = await built<typeof SubmitModule>('fleet/submit.js');
const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

beforeAll(makeInputs);
afterAll(() => rmSync(root, { recursive: true }));

const start = (...args: string[]) => startWith({}, ...args);
function startWith(env: Readonly<Record<string, string>>, ...args: string[]) {
  const child = spawn(process.execPath, [main, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data) => {
      said += data;
    });
  const ended = once(child, 'close').then(([code, signal]) => ({ code: code ?? signal, said }));
  return { child, ended, said: () => said };
}
const gradcampp = (...args: string[]) => start(...args).ended;

test('without a server, or its address, one sentence says so', async () => {
  const out = newFolder();
  await gradcampp('shard', 'plan', photos, '--model', model, '--size', '20', '--out', out);
  await expect(submitShards({ plan: out })).rejects.toThrow(/Which Redis server.*--redis.*GRADCAMPP_REDIS/);
  await expect(submitShards({ plan: out, redis: 'http://secret@host' })).rejects.toThrow(
    /"redis" must be redis:\/\/HOST:PORT/,
  );
  await expect(submitShards({ plan: out, redis: 'redis://:secret@127.0.0.1:1' })).rejects.toThrow(
    /^The Redis server at "127.0.0.1:1" cannot be reached: (?!.*secret)/,
  );
});

test('what is wrong with all shards is said before the first', async () => {
  const { code, said } = await gradcampp('shard', 'work', '--workers', '0', '--isolate');
  expect([code, said]).toEqual([1, expect.stringMatching(/^gradcampp: "isolate" needs workers/)]);
});

test('a worker whose server is away says so, and ends when it is told to', async () => {
  const { child, ended, said } = start('shard', 'work', '--redis', 'redis://127.0.0.1:1', '--until-empty');
  while (!said().includes('cannot be reached')) await wait(20);
  child.kill('SIGTERM');
  expect(await ended).toMatchObject({ code: 130 });
  expect(said()).toMatch(/The Redis server at "127.0.0.1:1" cannot be reached: .* It is tried again\./);
}, 120_000);

test('a worker that is to end by itself gives up a server that it never reached', async () => {
  const { code, said } = await gradcampp('shard', 'work', '--redis', 'redis://127.0.0.1:1', '--until-empty');
  expect(code).toBe(1);
  expect(said).toMatch(/^gradcampp: The Redis server at "127.0.0.1:1" cannot be reached: .*$/m);
}, 240_000);

describe.runIf(hasRedis)('with a Redis server', () => {
  test('the same plan in another folder has jobs of its own', async () => {
    const server = await RedisServer.start();
    const folders = [newFolder(), newFolder()];
    for (const out of folders) {
      await gradcampp('shard', 'plan', photos, '--model', model, '--size', '20', '--out', out);
      const submit = (plan: string) => submitShards({ plan, redis: server.url });
      expect(await submit(out)).toMatchObject({ shards: 2, added: 2, waiting: 0 });
      expect(await submit(`${out}/`)).toMatchObject({ shards: 2, added: 0, waiting: 2 });
    }
    await server.end();
  }, 240_000);

  test('three workers, one killed, and a server that is killed and started again, make the folder of one run', async () => {
    const server = await RedisServer.start();
    const [out, one, merged] = [newFolder(), newFolder(), newFolder()];
    await gradcampp('explain', photos, '--model', model, '--out', one);
    await gradcampp('shard', 'plan', photos, '--model', model, '--size', '5', '--out', out);
    const submit = () => gradcampp('shard', 'submit', out, '--redis', server.url);
    expect((await submit()).said).toContain(
      '8 of 8 shards submitted to queue "gradcampp"; 0 were in it, 0 are done.',
    );
    expect((await submit()).said).toContain(
      '0 of 8 shards submitted to queue "gradcampp"; 8 were in it, 0 are done.',
    );
    const work = () =>
      start('shard', 'work', '--redis', server.url, '--workers', '1', '--lock', '4', '--until-empty');
    const killed = work();
    const others = [work(), work()];
    while (!/shard \d of 8 done/.test(killed.said() + others[0].said() + others[1].said())) await wait(20);
    killed.child.kill('SIGKILL');
    await server.kill();
    await wait(500);
    await server.again();
    for (const { ended } of others) {
      const { code, said } = await ended;
      expect(code, said).toBe(0);
      expect(said).not.toMatch(/internal fault|UnhandledPromise/);
    }
    expect((await gradcampp('shard', 'status', out)).said).toContain(
      '8 of 8 shards done: 40 pictures, 4 failed',
    );
    expect((await gradcampp('shard', 'merge', out, '--out', merged)).code).toBe(3);
    expect(digest(merged)).toEqual(digest(one));
    expect((await submit()).said).toContain(
      '0 of 8 shards submitted to queue "gradcampp"; 0 were in it, 8 are done.',
    );
    await server.end();
  }, 240_000);

  test('a server that forgets is told again; a shard that fails is said, and tried again when it is submitted anew', async () => {
    const server = await RedisServer.start({ keeps: false });
    const out = newFolder();
    await gradcampp('shard', 'plan', photos, '--model', model, '--size', '20', '--out', out);
    await submitShards({ plan: out, redis: server.url });
    await server.kill();
    await server.again();
    expect(await submitShards({ plan: out, redis: server.url })).toMatchObject({ added: 2, waiting: 0 });
    const missing = join(root, 'missing.onnx');
    const args = ['shard', 'work', '--redis', server.url, '--workers', '0', '--until-empty'];
    const failing = start(...args, '--model', missing);
    while (!/is tried again/.test(failing.said())) await wait(20);
    expect(failing.said()).toMatch(/shard \d failed, and is tried again: .*missing\.onnx/);
    failing.child.kill('SIGINT');
    expect((await failing.ended).code).toBe(130);
    const { code, said } = await gradcampp(...args);
    expect(code, said).toBe(0);
    expect((await gradcampp('shard', 'status', out)).said).toContain('2 of 2 shards done');
    await server.end();
  }, 240_000);

  test('a worker with which all fails leaves shards to others, longer each time', async () => {
    const server = await RedisServer.start();
    const out = newFolder();
    await gradcampp('shard', 'plan', photos, '--model', model, '--size', '4', '--out', out);
    await submitShards({ plan: out, redis: server.url });
    const args = ['shard', 'work', '--redis', server.url, '--workers', '0'];
    const other = join(root, 'other.onnx');
    writeFileSync(other, bytesFrom(classifier({ classes: 4 })));
    const failing = start(...args, '--model', other, '--log', 'json');
    const failures = () => failing.said().match(/"outcome":"failed"/g)?.length ?? 0;
    while (failures() < 4) await wait(20);
    const times = failing
      .said()
      .split('\n')
      .filter((line) => line.includes('"outcome":"failed"'))
      .map((line) => Date.parse(JSON.parse(line).time));
    for (const [i, time] of times.slice(1).entries())
      expect(time - times[i]).toBeGreaterThan(1000 * 2 ** i - 100);
    const { code, said } = await gradcampp(...args, '--until-empty');
    expect(code, said).toBe(0);
    failing.child.kill('SIGTERM');
    expect((await failing.ended).code).toBe(130);
    expect(failing.said()).toContain('it differs in the model');
    expect((await gradcampp('shard', 'status', out)).said).toContain('10 of 10 shards done');
    await server.end();
  }, 240_000);

  test('a shard that ended a worker without processes (--workers 0) is run in one the next time, and its picture becomes a line', async () => {
    const server = await RedisServer.start();
    const [out, one, merged] = [newFolder(), newFolder(), newFolder()];
    const env = poisonedBy(join(photos, 'p2.png'));
    const settings = [photos, '--model', model];
    expect((await startWith(env, 'explain', ...settings, '--isolate', '--out', one).ended).code).toBe(3);
    await gradcampp('shard', 'plan', ...settings, '--out', out);
    await submitShards({ plan: out, redis: server.url });
    const queue = ['--redis', server.url, '--until-empty', '--lock', '1'];
    const work = () => startWith(env, 'shard', 'work', ...queue, '--workers', '0').ended;
    expect((await work()).code).toBe('SIGKILL');
    const { code, said } = await work();
    expect(code, said).toBe(0);
    expect(said).toContain('shard 0 of 1 done: 40 pictures, 5 failed');
    await gradcampp('shard', 'merge', out, '--out', merged);
    expect(readFileSync(join(merged, 'results.jsonl'), 'utf8')).toContain(
      'ended its worker twice: the last one was killed (SIGKILL)',
    );
    expect(digest(merged)).toEqual(digest(one));
    await server.end();
  }, 240_000);

  test('a worker that is told to end gives its shard back at once', async () => {
    const server = await RedisServer.start();
    const out = newFolder();
    const held = join(root, 'held.png');
    writeFileSync(held, noise(1));
    await gradcampp('shard', 'plan', photos, held, photos, '--model', model, '--out', out);
    await submitShards({ plan: out, redis: server.url });
    const hold = new Hold(newFolder());
    const leaving = startWith(hold.env, 'shard', 'work', '--redis', server.url, '--workers', '1');
    await hold.asked('held.png');
    expect(await activeIn(server.url)).toBe(1);
    leaving.child.kill('SIGTERM');
    while (!leaving.said().includes('in flight')) await wait(5);
    hold.letGo('held.png');
    const { code, said } = await leaving.ended;
    expect(code).toBe(130);
    expect(said).toContain('the shard goes back into the queue.');
    expect(await submitShards({ plan: out, redis: server.url })).toMatchObject({ added: 0, waiting: 1 });
    expect(await activeIn(server.url)).toBe(0);
    await server.end();
  }, 240_000);
});

async function activeIn(url: string): Promise<number> {
  const { Queue } = await import('bullmq');
  const queue = new Queue('gradcampp', { connection: { url } as never });
  try {
    return await queue.getActiveCount();
  } finally {
    await queue.close();
  }
}
