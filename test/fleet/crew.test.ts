import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { archiveEnd, encodeMember } from '../../src/batch/inputs/tar.js';
import type * as CrewModule from '../../src/batch/workers/crew.js';
import type * as MergeModule from '../../src/fleet/merge.js';
import type * as PlanModule from '../../src/fleet/plan.js';
import type * as ShardModule from '../../src/fleet/run-shard.js';
import { digest, linesIn, makeInputs, model, newFolder, noise, photos, root } from '../batch/inputs.js';
import { bytesFrom, classifier } from '../support/network.js';
import { built } from '../support/built.js';
import { Hold } from '../support/hold.js';

const { Crew } = await built<typeof CrewModule>('batch/workers/crew.js');
const { planShards } = await built<typeof PlanModule>('fleet/plan.js');
const { runShard } = await built<typeof ShardModule>('fleet/run-shard.js');
const { mergeShards } = await built<typeof MergeModule>('fleet/merge.js');
type ShardCrew = NonNullable<ShardModule.ShardOptions['crew']>;

beforeAll(makeInputs);
afterEach(() => vi.unstubAllEnvs());
afterAll(() => rmSync(root, { recursive: true }));

/** A crew, and of every shard whether it found workers there. */
function watched() {
  const crew: ShardCrew = new Crew();
  const take = vi.spyOn(crew, 'take');
  const wereThere = async () => {
    const found = await Promise.all(take.mock.results.map(({ value }) => value));
    return found.map((workers) => workers !== undefined);
  };
  return { crew, wereThere };
}

const merged = async (plan: string) => {
  const out = newFolder();
  await mergeShards({ plan, out });
  return digest(out);
};

test.each([{ workers: 2 }, { workers: 0 }])(
  'workers that are kept from shard to shard, $workers, make what those make that are not',
  async (workforce) => {
    const [kept, anew, other] = [newFolder(), newFolder(), newFolder()];
    const outputs = { save: ['overlay', 'npy'] } as const;
    for (const out of [kept, anew]) await planShards({ model, images: [photos], size: 15, outputs, out });
    await planShards({ model, images: [photos], size: 15, explain: { targets: { top: 2 } }, out: other });
    const { crew, wereThere } = watched();
    for (const index of [1, 0]) await runShard({ plan: kept, index, workforce, crew });
    await runShard({ plan: other, index: 0, workforce, crew });
    await runShard({ plan: kept, index: 2, workforce, crew });
    await crew.close();
    expect(await wereThere()).toEqual([false, true, false, false]);
    for (const index of [0, 1, 2]) await runShard({ plan: anew, index, workforce });
    expect(await merged(kept)).toEqual(await merged(anew));
  },
);

test('a model that is replaced is not explained with, and an archive that is replaced is read anew', async () => {
  const own = join(root, 'own.onnx');
  copyFileSync(model, own);
  const archive = join(root, 'shots.tar');
  const fill = (...seeds: number[]) =>
    writeFileSync(
      archive,
      Buffer.concat([...seeds.map((seed) => encodeMember(`${seed}.png`, noise(seed))), archiveEnd]),
    );
  const { crew, wereThere } = watched();
  const plans = [newFolder(), newFolder(), newFolder()];
  for (const [i, out] of plans.entries())
    await planShards({ model: own, archives: [archive], outputs: { save: [i === 2 ? 'npy' : 'raw'] }, out });
  const workforce = { workers: 1 };
  for (const [i, plan] of plans.slice(0, 2).entries()) {
    fill(
      ...[
        [1, 2, 3],
        [30, 1],
      ][i],
    );
    await runShard({ plan, index: 0, workforce, crew });
  }
  expect(await wereThere()).toEqual([false, true]);
  const out = newFolder();
  await mergeShards({ plan: plans[1], out });
  expect(linesIn(out).map(({ image }) => image.path)).toEqual([`${archive}/30.png`, `${archive}/1.png`]);
  const alone = newFolder();
  await planShards({ model: own, archives: [archive], outputs: { save: ['raw'] }, out: alone });
  await runShard({ plan: alone, index: 0, workforce });
  expect(await merged(alone)).toEqual(digest(out));

  writeFileSync(own, bytesFrom(classifier({ classes: 4 })));
  expect(readFileSync(own).equals(readFileSync(model))).toBe(false);
  const again = newFolder();
  await planShards({ model, archives: [archive], outputs: { save: ['raw'] }, out: again });
  await expect(runShard({ plan: again, index: 0, model: own, workforce, crew })).rejects.toThrow(
    /it differs in the model/,
  );
  await crew.close();
});

test('workers of which one had to be replaced are not kept, nor threads where processes are asked for', async () => {
  for (const [name, value] of Object.entries(new Hold(newFolder()).env)) vi.stubEnv(name, value);
  const held = join(root, 'held.png');
  writeFileSync(held, noise(1));
  const plan = newFolder();
  await planShards({ model, images: [photos, held, photos], size: 20, out: plan });
  const { crew, wereThere } = watched();
  await runShard({ plan, index: 0, workforce: { workers: 1, timeout: 3 }, crew });
  const isolated = { workers: 1, isolate: true, timeout: 3 };
  await runShard({ plan, index: 1, workforce: isolated, crew });
  expect(await runShard({ plan, index: 2, workforce: isolated, crew })).toMatchObject({ failed: 2 });
  await runShard({ plan, index: 3, workforce: isolated, crew });
  expect(await wereThere()).toEqual([false, false, true, false]);
  await crew.close();
});
