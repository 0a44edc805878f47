import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type * as EvaluateModule from '../../src/evaluate/evaluate.js';
import type * as EvaluationShardsModule from '../../src/fleet/evaluation-shards.js';
import type * as MergeModule from '../../src/fleet/merge.js';
import type * as ShardModule from '../../src/fleet/run-shard.js';
import { digest, makeInputs, model, newFolder, noise, photos, root } from '../batch/inputs.js';
import { built } from '../support/built.js';

const { evaluate } = await built<typeof EvaluateModule>('evaluate/evaluate.js');
const { planEvaluation } = await built<typeof EvaluationShardsModule>('fleet/evaluation-shards.js');
const { runShard } = await built<typeof ShardModule>('fleet/run-shard.js');
const { mergeShards } = await built<typeof MergeModule>('fleet/merge.js');
const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const workforce = { workers: 0 };

beforeAll(makeInputs);
afterAll(() => rmSync(root, { recursive: true }));

test('an evaluation in seven shards comes to the numbers of one machine, to the byte', async () => {
  const settings = {
    model,
    images: [photos],
    method: ['grad-cam++', 'grad-cam', 'random'],
    open: { backend: 'reference' },
  } as const;
  const [one, plan, merged] = [newFolder(), newFolder(), newFolder()];
  await evaluate('faithfulness', { ...settings, out: one, ...workforce });
  expect(await planEvaluation('faithfulness', settings, { plan, shards: 7 })).toMatchObject({
    shards: 7,
    images: 40,
  });
  const merge = () => mergeShards({ plan, out: merged });
  for (const index of [3, 0, 6, 1, 5, 4]) await runShard({ plan, index, workforce });
  await expect(merge()).rejects.toThrow('Shard 2 is not done, of 7.');
  await runShard({ plan, index: 2, workforce });
  expect(await merge()).toMatchObject({ shards: 7, images: 36, failed: 4 });
  expect(digest(merged)).toEqual(digest(one));
  expect(JSON.parse(readFileSync(join(merged, 'results.json'), 'utf8')).failures).toHaveLength(4);

  writeFileSync(join(photos, 'another.png'), noise(1));
  await expect(mergeShards({ plan, out: newFolder() })).rejects.toThrow(
    'This machine would evaluate something else than was planned: it finds 41 files where 40 were planned',
  );
  rmSync(join(photos, 'another.png'));
}, 300_000);

test('evaluate --plan writes a plan, which shard run and merge take', async () => {
  const gradcampp = async (...args: string[]) => {
    const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (said += data));
    return { code: (await once(child, 'close'))[0], said };
  };
  const [plan, merged] = [newFolder(), newFolder()];
  const flags = ['--model', model, '--data', photos, '--method', 'grad-cam', '--backend', 'reference'];
  expect(await gradcampp('evaluate', 'sanity', ...flags, '--plan', plan, '--shards', '2')).toMatchObject({
    code: 0,
    said: expect.stringContaining(`2 shards → ${plan}/plan.json`),
  });
  for (const index of ['1', '0'])
    expect(await gradcampp('shard', 'run', plan, '--index', index, '--workers', '0')).toMatchObject({
      code: 0,
    });
  expect((await gradcampp('shard', 'merge', plan, '--out', merged, '--table', 'x.csv')).said).toContain(
    '"table" was said when the evaluation was planned',
  );
  const { code, said } = await gradcampp('shard', 'merge', plan, '--out', merged);
  expect(code, said).toBe(3);
}, 300_000);
