import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openStorage } from '../../src/fleet/storages/index.js';
import { digest, linesIn, makeInputs, model, newFolder, noise, photos, root } from '../batch/inputs.js';
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

test('a storage that says that a manifest is there, and has none, is no success', async () => {
  const out = 's3://bucket/liar';
  server.fault = () => undefined;
  await gradcampp('shard', 'plan', photos, '--model', model, '--out', out);
  server.fault = (method) => (method === 'PUT' ? 'taken' : undefined);
  const run = () => gradcampp('shard', 'run', out, '--index', '0', '--workers', '0');
  const { code, said } = await run();
  expect([code, said]).toEqual([
    1,
    expect.stringContaining('says that shards/000000.json is there, and has none. Run shard 0 again.'),
  ]);
  server.fault = () => undefined;
  expect((await run()).code).toBe(0);
}, 240_000);

test('pictures below a prefix are planned and explained from there; results are named below it', async () => {
  server.fault = () => undefined;
  const bucket = await openStorage('s3://bucket');
  const names = ['a/1.png', 'a/b/2.png', 'b/1.png', 'c.png'];
  for (const [i, name] of names.entries()) await bucket.put(`pictures/${name}`, noise(i));
  for (const name of ['a/readme.md', 'empty/']) await bucket.put(`pictures/${name}`, Buffer.of(1));
  await bucket.put('pictures/none.png', Buffer.from('no picture'));
  const list = join(root, 'list.txt');
  writeFileSync(list, 's3://bucket/pictures/c.png\ns3://bucket/pictures/gone.png\n');
  const [out, merged, local] = [newFolder(), newFolder(), join(root, 'local')];
  const settings = ['--model', model, '--save', 'overlay,npy'];
  const images = ['s3://bucket/pictures', 's3://bucket/pictures/b/1.png', '--list', list];
  const planned = await gradcampp('shard', 'plan', ...images, ...settings, '--size', '3', '--out', out);
  expect(planned.said).toContain(`8 pictures, 3 shards → ${out}/plan.json`);
  expect(planned.said).toContain('1 file left out: s3://bucket/pictures/a/readme.md');
  for (const index of ['0', '1', '2']) {
    const { code, said } = await gradcampp('shard', 'run', out, '--index', index, '--workers', '0');
    expect(code, said).toBe(0);
  }
  expect((await gradcampp('shard', 'merge', out, '--out', merged)).code).toBe(3);
  const lines = linesIn(merged);
  expect(lines.map(({ image }) => image.path.slice('s3://bucket/pictures/'.length))).toEqual([
    ...names,
    'none.png',
    'b/1.png',
    'c.png',
    'gone.png',
  ]);
  expect(lines.map(({ files }) => files?.npy)).toEqual([
    'a/1.npy',
    'a/b/2.npy',
    'b/1.npy',
    'c.npy',
    undefined,
    'b/1-2.npy',
    'c-2.npy',
    undefined,
  ]);
  expect(lines.at(-1).error.message).toBe(
    '"s3://bucket/pictures/gone.png" cannot be read: there is no such object.',
  );
  expect(readFileSync(join(merged, 'index.html'), 'utf8')).not.toMatch(/(src|href)="[^"]*s3/);

  for (const [i, name] of names.entries()) {
    mkdirSync(dirname(join(local, name)), { recursive: true });
    writeFileSync(join(local, name), noise(i));
  }
  const here = newFolder();
  expect((await gradcampp('explain', local, ...settings, '--out', here)).code).toBe(0);
  const maps = (folder: string) =>
    Object.entries(digest(folder)).filter(([name]) => /^(a|b\/1|c)(\/.*)?\.\w+/.test(name));
  for (const [name, value] of maps(here)) expect(maps(merged)).toContainEqual([name, value]);

  const empty = await gradcampp(
    'shard',
    'plan',
    's3://bucket/pictures/none',
    ...settings,
    '--out',
    newFolder(),
  );
  expect(empty.said).toMatch(/^gradcampp: "s3:\/\/bucket\/pictures\/none" holds no pictures \(\.png/m);
}, 240_000);

test('objects of any name are planned, explained and merged', async () => {
  server.fault = () => undefined;
  const bucket = await openStorage('s3://bucket');
  const names = ['a b+%20.png', 'line\nfeed.png', `${'long'.repeat(55)}.png`, 'ü漢😀.png'];
  for (const [i, name] of names.entries()) await bucket.put(`odd/${name}`, noise(i));
  const [out, merged] = [newFolder(), newFolder()];
  await gradcampp('shard', 'plan', 's3://bucket/odd', '--model', model, '--save', 'npy', '--out', out);
  const { code, said } = await gradcampp('shard', 'run', out, '--index', '0', '--workers', '0');
  expect(code, said).toBe(0);
  expect((await gradcampp('shard', 'merge', out, '--out', merged)).code).toBe(0);
  const lines = linesIn(merged);
  expect(lines.map(({ image }) => image.path)).toEqual(names.map((name) => `s3://bucket/odd/${name}`));
  for (const { files } of lines) expect(digest(merged)).toHaveProperty([files.npy]);
}, 240_000);
