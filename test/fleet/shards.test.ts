import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type * as RunModule from '../../src/batch/explain-folder.js';
import { archiveEnd, encodeMember } from '../../src/batch/inputs/tar.js';
import type * as MergeModule from '../../src/fleet/merge.js';
import type * as PlanModule from '../../src/fleet/plan.js';
import type * as ShardModule from '../../src/fleet/run-shard.js';
import { digest, linesIn, makeInputs, model, newFolder, noise, photos, root } from '../batch/inputs.js';
import { randomNumbers } from '../map/random.js';
import { built } from '../support/built.js';

const { explainFolder } = await built<typeof RunModule>('batch/explain-folder.js');
const { planShards } = await built<typeof PlanModule>('fleet/plan.js');
const { runShard, shardIndex } = await built<typeof ShardModule>('fleet/run-shard.js');
const { mergeShards } = await built<typeof MergeModule>('fleet/merge.js');
const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const workforce = { workers: 0 };

beforeAll(makeInputs);
afterAll(() => rmSync(root, { recursive: true }));

let work = '';
beforeEach(() => {
  work = newFolder();
});

interface Ended {
  readonly code: number | string;
  readonly said: string;
}

function start(...args: string[]): { child: ChildProcess; ended: Promise<Ended> } {
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data) => {
      said += data;
    });
  const ended = once(child, 'close').then(([code, signal]) => ({ code: code ?? signal, said }));
  return { child, ended };
}

const gradcampp = (...args: string[]) => start(...args).ended;

test('shards in any order, twice at once, killed and run again, make the folder of one run', async () => {
  const seed = Date.now() % 2 ** 31;
  const random = randomNumbers(seed);
  const images = [photos, join(photos, 'more'), join(photos, '*.png')]; // 40, 10 and 30, with names that are taken
  const settings = [
    '--model',
    model,
    '--save',
    'overlay,npy',
    '--top',
    '2',
    '--method',
    'grad-cam++,grad-cam',
  ];
  const one = newFolder();
  const explained = gradcampp('explain', ...images, ...settings, '--out', one);
  const planned = await gradcampp('shard', 'plan', ...images, ...settings, '--out', work, '--size', '14');
  expect(planned.code).toBe(0);
  expect(planned.said).toContain(`80 pictures, 6 shards → ${work}/plan.json\n`);

  const order = [0, 1, 2, 3, 4, 5].map((shard) => [random(), shard]).sort(([a], [b]) => a - b);
  for (const [i, [, shard]] of order.entries()) {
    const run = () => start('shard', 'run', work, '--index', String(shard), '--workers', '1');
    if (i % 2 === 0) {
      const killed = run();
      await wait(random() * 1500);
      killed.child.kill('SIGKILL');
      await killed.ended;
    }
    const [a, b] = await Promise.all([run().ended, run().ended]);
    expect([a.code, b.code], `${a.said}${b.said}, seed ${seed}`).toEqual([0, 0]);
  }

  const status = await gradcampp('shard', 'status', work);
  expect(status).toEqual({ code: 0, said: '6 of 6 shards done: 80 pictures, 8 failed\n' });
  const out = newFolder();
  expect((await gradcampp('shard', 'merge', work, '--out', out)).code).toBe(3);
  expect((await explained).code).toBe(3);
  expect(digest(out), `seed ${seed}`).toEqual(digest(one));
  expect((await gradcampp('shard', 'merge', work, '--out', out)).said).toContain('72 of 80 pictures');
  expect(digest(out)).toEqual(digest(one));
  expect(linesIn(out)).toHaveLength(72 * 4 + 8);
});

test('an archive is a shard; passes of several pictures keep their company', async () => {
  const archives = ['a', 'b', 'c'].map((name, i) => {
    mkdirSync(join(work, name));
    const path = join(work, name, 'photos.tar');
    const members = [1, 2, 3, 4].map((n) => encodeMember(`set/${n}.png`, noise(10 * i + n)));
    const broken = encodeMember('set/5.png', Buffer.from('no picture'));
    writeFileSync(path, i === 2 ? 'no archive' : Buffer.concat([...members, broken, archiveEnd]));
    return path;
  });
  const options = { model, archives, explain: { batchSize: 3 } };
  const table = (folder: string) => join(folder, 'results.csv');
  const [one, out] = [newFolder(), newFolder()];
  await explainFolder({ ...options, out: one, table: table(one), workforce });
  expect(await planShards({ ...options, out: work })).toMatchObject({ shards: 3, images: undefined });
  for (const index of [2, 0, 1]) await runShard({ plan: work, index, allowFailed: true, workforce });
  expect(await mergeShards({ plan: work, out, table: table(out) })).toMatchObject({ images: 11, failed: 3 });
  expect(readdirSync(out).sort()).toEqual([
    'photos-2.tar',
    'photos.tar',
    'results.csv',
    'results.jsonl',
    'run.json',
  ]);
  expect(digest(out)).toEqual(digest(one));
});

test('shards are whole passes; lists in files follow what is named', async () => {
  const list = join(work, 'list.txt');
  writeFileSync(list, `${join(photos, 'p1.png')}\n${join(photos, 'p2.png')}\n`);
  const options = { model, images: [join(photos, 'more')], lists: [list], explain: { batchSize: 4 } };
  expect(await planShards({ ...options, out: work, size: 5 })).toMatchObject({ shards: 2, images: 12 });
  const lists = readdirSync(join(work, 'lists')).sort();
  const [first, second] = lists.map((name) => readFileSync(join(work, 'lists', name), 'utf8').split('\n'));
  expect([first.length - 1, second.length - 1]).toEqual([8, 4]);
  expect(second.slice(2, 4).map((line) => JSON.parse(line))).toEqual([
    [join(photos, 'p1.png'), 'p1'],
    [join(photos, 'p2.png'), 'p2'],
  ]);
});

describe('a plan', () => {
  const plan = (out: string, size = 20) => planShards({ model, images: [photos], out, size });

  test('is the same when it is made again, and another one is refused', async () => {
    await plan(work);
    const before = digest(work);
    await plan(work);
    expect(digest(work)).toEqual(before);
    await expect(plan(work, 10)).rejects.toThrow(
      `"${work}" holds another plan. Name another place with --out.`,
    );
    expect(readFileSync(join(work, 'plan.json'), 'utf8')).toContain('"pictures":20');
  });

  test('of what the network cannot be explained by is refused', async () => {
    const refused = planShards({
      model,
      images: [photos],
      out: work,
      open: { layer: ['relu1', 'relu2'] },
      explain: { compat: 'authors' },
    });
    await expect(refused).rejects.toThrow('"compat" authors explains one layer; received 2.');
    expect(readdirSync(work)).toEqual([]);
  });

  test('that is missing, changed or of another version is refused', async () => {
    await expect(runShard({ plan: work, index: 0 })).rejects.toThrow('is no plan: there is no plan.json');
    await plan(work);
    const path = join(work, 'plan.json');
    const text = readFileSync(path, 'utf8');
    writeFileSync(path, text.replace('"pictures":20', '"pictures":21'));
    await expect(runShard({ plan: path, index: 0 })).rejects.toThrow(
      'is no plan of gradcampp, or is damaged',
    );
    writeFileSync(path, text);
    const [list] = readdirSync(join(work, 'lists')).sort();
    writeFileSync(join(work, 'lists', list), '["x.png","x"]\n');
    await expect(runShard({ plan: path, index: 0 })).rejects.toThrow(`The list lists/${list} of the plan`);
  });

  test('is not run with another model', async () => {
    await plan(work);
    const other = join(work, 'other.onnx');
    writeFileSync(other, Buffer.concat([readFileSync(model), Buffer.from([0xa2, 0x06, 0])])); // an unknown field
    await expect(runShard({ plan: work, index: 0, model: other, workforce })).rejects.toThrow(
      'This machine would explain something else than was planned: it differs in the model',
    );
    expect(existsSync(join(work, 'shards'))).toBe(false);
  });
});

const sha256 = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest('hex');

test.each([
  { shards: null },
  { shards: [] },
  { shards: [{ pictures: 20, sha256: 5 }] },
  { shards: [{ archive: 'a.tar', name: '../a.tar' }] },
  { options: null },
  { options: {} },
  { run: { command: 'explain', models: [null], settings: {} } },
  { evaluation: {} },
])('a plan that says %j is none, though its checksum is right', async (forged) => {
  await planShards({ model, images: [photos], out: work });
  const path = join(work, 'plan.json');
  const { checksum: _, ...planned } = { ...JSON.parse(readFileSync(path, 'utf8')), ...forged };
  writeFileSync(path, JSON.stringify({ ...planned, checksum: sha256(JSON.stringify(planned)) }));
  const damaged = 'is no plan of gradcampp, or is damaged';
  await expect(runShard({ plan: work, index: 0 })).rejects.toThrow(damaged);
  await expect(mergeShards({ plan: work, out: newFolder() })).rejects.toThrow(damaged);
});

describe('merging refuses', () => {
  let done = '';
  beforeAll(async () => {
    done = newFolder();
    await planShards({ model, images: [photos], out: done, size: 10 });
    for (const index of [0, 1, 2, 3]) await runShard({ plan: done, index, workforce });
  });
  beforeEach(() => cpSync(done, work, { recursive: true }));
  const merging = () => mergeShards({ plan: work, out: join(work, 'out') });
  const manifest = (index: number) => join(work, `shards/00000${index}.json`);

  test('while shards are missing, which it names', async () => {
    for (const index of [0, 2, 3]) rmSync(manifest(index));
    await expect(merging()).rejects.toThrow('Shards 0, 2-3 are not done, of 4.');
    expect(existsSync(join(work, 'out'))).toBe(false);
  });

  test("another plan's shards", async () => {
    const text = readFileSync(manifest(1), 'utf8');
    writeFileSync(manifest(1), text.replace(/"plan":"\w+"/, '"plan":"0"'));
    await expect(merging()).rejects.toThrow('shards/000001.json in');
    cpSync(manifest(0), manifest(1));
    await expect(merging()).rejects.toThrow('is of another plan or shard. Remove it, and run shard 1 again.');
  });

  test('manifests that are none, and files that would leave the folder', async () => {
    const text = readFileSync(manifest(2), 'utf8');
    const { outputs, ...own } = JSON.parse(text);
    for (const forged of [
      null,
      {},
      { ...outputs, inputs: undefined },
      { ...outputs, results: { ...outputs.results, name: '../../evil' } },
    ]) {
      writeFileSync(manifest(2), JSON.stringify({ ...own, outputs: forged }));
      await expect(merging()).rejects.toThrow(
        /000002\.json in ".*" is damaged\. Remove it, and run shard 2 again/,
      );
    }
    const files = Buffer.concat([encodeMember('../evil.npy', Buffer.of(1)), archiveEnd]);
    writeFileSync(join(work, 'shards/000002/evil'), files);
    const named = { name: 'shards/000002/evil', size: files.length, sha256: sha256(files) };
    writeFileSync(manifest(2), JSON.stringify({ ...own, outputs: { ...outputs, files: named } }));
    await expect(merging()).rejects.toThrow('name the file "../evil.npy", which is in no folder of theirs');
    expect(existsSync(join(work, 'evil.npy'))).toBe(false);
  });

  test('what cannot be fetched, before it replaces anything', async () => {
    const out = join(work, 'out');
    await merging();
    const before = digest(out);
    mkdirSync(join(out, '.merging-of-a-killed-process'));
    const shard = join(work, 'shards', '000003');
    const file = join(shard, readdirSync(shard).find((name) => name.endsWith('files.tar')) as string);
    const bytes = readFileSync(file);
    rmSync(file);
    const again = () => mergeShards({ plan: work, out, overwrite: true });
    await expect(again()).rejects.toThrow('is not there. Remove shards/000003.json');
    expect(digest(out)).toEqual(before);
    writeFileSync(file, bytes);
    writeFileSync(join(out, 'p1.overlay.jpg'), 'damaged');
    await again();
    expect(digest(out)).toEqual(before);
  });

  test.each(['results.jsonl', 'files.tar', 'inputs.jsonl'])('a changed %s', async (ending) => {
    const shard = join(work, 'shards', '000002');
    const file = join(shard, readdirSync(shard).find((name) => name.endsWith(ending)) as string);
    const bytes = readFileSync(file);
    bytes[bytes.length >> 1] ^= 1;
    writeFileSync(file, bytes);
    await expect(merging()).rejects.toThrow(
      'is not as it was written. Remove shards/000002.json, and run shard 2',
    );
    rmSync(file);
    await expect(merging()).rejects.toThrow(
      'is not there. Remove shards/000002.json, and run shard 2 again.',
    );
  });
});

test('the results that are there first stay, and the slower machine says that its own differ', async () => {
  const picture = join(work, 'a.png');
  writeFileSync(picture, noise(1));
  const plan = join(work, 'plan');
  await planShards({ model, images: [picture], out: plan });
  const first = join(plan, 'shards/000000.json');
  expect(await runShard({ plan, index: 0, workforce })).toMatchObject({ outcome: 'done', notes: [] });
  const manifest = readFileSync(first);
  const race = () => {
    rmSync(first);
    return runShard({ plan, index: 0, workforce }, { started: () => writeFileSync(first, manifest) });
  };
  expect(await race()).toMatchObject({ outcome: 'done meanwhile', notes: [] });
  utimesSync(picture, 1, 1);
  const late = await race();
  expect(late.outcome).toBe('done meanwhile');
  expect(late.notes.join()).toContain('with other results of shard 0, which stay');
  expect(readFileSync(first)).toEqual(manifest);
  expect(await mergeShards({ plan, out: join(work, 'out') })).toMatchObject({ images: 1, failed: 0 });
});

test('a shard of which nothing can be explained is left to other machines, unless that is allowed', async () => {
  const plan = join(work, 'plan');
  await planShards({ model, images: [join(work, 'a.png'), join(work, 'b.png')], out: plan }); // of a disk that is not mounted here
  const run = (allowFailed: boolean) =>
    runShard({ plan, index: 0, allowFailed, workforce, work: join(work, 'tmp') });
  await expect(run(false)).rejects.toThrow('None of the 2 pictures of shard 0 could be explained');
  expect(existsSync(join(plan, 'shards'))).toBe(false);
  expect(readdirSync(join(work, 'tmp'))).toEqual([]);
  expect(await run(true)).toMatchObject({ outcome: 'done', images: 2, failed: 2 });
});

test('a run that is interrupted leaves the shard to be done', async () => {
  await planShards({ model, images: [photos], out: work });
  const controller = new AbortController();
  const stop = { picture: () => controller.abort() };
  const stopped = await runShard({ plan: work, index: 0, workforce, signal: controller.signal }, stop);
  expect(stopped.outcome).toBe('stopped');
  expect(existsSync(join(work, 'shards'))).toBe(false);
});

test('engines say which shard is meant', () => {
  expect(shardIndex(2, 3, { SLURM_ARRAY_TASK_ID: '1' })).toBe(2);
  for (const name of ['JOB_COMPLETION_INDEX', 'SLURM_ARRAY_TASK_ID', 'AWS_BATCH_JOB_ARRAY_INDEX'])
    expect(shardIndex(undefined, 3, { [name]: '1' })).toBe(1);
  expect(() => shardIndex(undefined, 3, {})).toThrow('Which shard is to be run? Give --index, 0 to 2,');
  expect(() => shardIndex(undefined, 3, { SLURM_ARRAY_TASK_ID: '3' })).toThrow(
    '"SLURM_ARRAY_TASK_ID" must be a whole number from 0 to 2; received 3.',
  );
  expect(() => shardIndex(undefined, 3, { JOB_COMPLETION_INDEX: '' })).toThrow(
    '"JOB_COMPLETION_INDEX" must be',
  );
});
