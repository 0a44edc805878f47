import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import type * as PoolModule from '../../../src/batch/workers/worker-pool.js';
import { built } from '../../support/built.js';

const { Pool } = await built<typeof PoolModule>('batch/workers/worker-pool.js');

/** A worker that does as it is told. */
const folder = mkdtempSync(join(tmpdir(), 'gradcampp-pool-'));
const script = pathToFileURL(join(folder, 'worker.mjs'));
writeFileSync(
  script,
  `import { serve } from ${JSON.stringify(new URL('../../../dist/batch/workers/serve.js', import.meta.url).href)};
  import { GradcamppError } from ${JSON.stringify(new URL('../../../dist/errors.js', import.meta.url).href)};
  import { appendFileSync, existsSync } from 'node:fs';
  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const hoard = () => { for (const all = [];;) all.push(new Array(1e6).fill(all.length)); };
  let held = 0;
  serve(async (init) => {
    if (init.refuse) throw new GradcamppError('INVALID_MODEL', 'no model');
    if (init.dieOnStart) process.exit(4);
    return {
      ready: { id: init.id },
      close: async () => {},
      run: async ({ log, die, spin, fail, fault, ms = 0, blockUntil, value, memory, steps = 0 }, tell) => {
        if (log) appendFileSync(log, value + '\\n');
        for (let step = 1; step <= steps; step++) tell({ step });
        held++;
        await wait(ms);
        while (blockUntil && !existsSync(blockUntil));
        if (die) process.exit(9);
        if (memory) hoard();
        if (spin) for (;;);
        if (fail) throw new GradcamppError('INVALID_IMAGE', 'bad picture');
        if (fault) throw new TypeError('a bug');
        return { result: { value, worker: init.id, held: held-- } };
      },
    };
  });`,
);
afterAll(() => rmSync(folder, { recursive: true }));

interface Body {
  value?: unknown;
  /** How often it tells how far it is. */
  steps?: number;
  ms?: number;
  /** The worker does not listen until this file is there. */
  blockUntil?: string;
  log?: string;
  die?: boolean;
  spin?: boolean;
  fail?: boolean;
  fault?: boolean;
  memory?: boolean;
}
type TestPool = PoolModule.Pool<Body, { value: unknown; worker: number; held: number }, { id: number }>;
const pools: TestPool[] = [];
function open(options: Partial<PoolModule.PoolOptions> = {}): TestPool {
  const pool: TestPool = new Pool({ script, init: {}, size: 2, depth: 2, ...options });
  pools.push(pool);
  return pool;
}
afterEach(() => Promise.all(pools.splice(0).map((pool) => pool.close())));

describe.each([false, true])('workers as processes: %s', (isolate) => {
  test('tasks are shared, at most `depth` to a worker', async () => {
    const pool = open({ isolate });
    expect((await pool.ready).id).toBeTypeOf('number');
    const results = await Promise.all(Array.from({ length: 12 }, (_, value) => pool.run({ value, ms: 5 })));
    expect(results.map(({ value }) => value)).toEqual(Array.from({ length: 12 }, (_, i) => i));
    expect(Math.max(...results.map(({ held }) => held))).toBeLessThanOrEqual(2);
    const seen = new Set<number>();
    while (seen.size < 2)
      for (const { worker } of await Promise.all([1, 2, 3, 4].map((value) => pool.run({ value, ms: 5 }))))
        seen.add(worker);
  });

  test('errors keep their class, faults their stack; the worker goes on', async () => {
    const pool = open({ isolate, size: 1 });
    await expect(pool.run({ fail: true })).rejects.toMatchObject({
      name: 'GradcamppError',
      code: 'INVALID_IMAGE',
      message: 'bad picture',
    });
    await expect(pool.run({ fault: true })).rejects.toMatchObject({
      message: 'a bug',
      stack: expect.stringContaining('worker.mjs'),
    });
    expect((await pool.run({ value: 1 })).worker).toBe(0);
  });

  test('a task tells how far it is', async () => {
    const pool = open({ isolate });
    const told: unknown[] = [];
    await pool.run({ value: 1, steps: 3 }, { onProgress: (progress) => told.push(progress) });
    expect(told).toEqual([{ step: 1 }, { step: 2 }, { step: 3 }]);
  });

  test('a task that kills is tried twice, then blamed; its neighbours are not', async () => {
    const pool = open({ isolate, size: 1, depth: 3 });
    const log = join(folder, `killed-${isolate}.log`);
    const killer = pool.run({ die: true, ms: 20, log, value: 'killer' });
    const others = [1, 2, 3, 4].map((value) => pool.run({ value, ms: 40 }));
    await expect(killer).rejects.toMatchObject({
      code: 'RUNTIME',
      reason: expect.stringMatching(/ended its worker twice.*code 9/),
    });
    expect((await Promise.all(others)).map(({ value }) => value)).toEqual([1, 2, 3, 4]);
    expect(readFileSync(log, 'utf8')).toBe('killer\nkiller\n');
  });

  test('a worker that cannot open ends the pool with its error', async () => {
    const pool = open({ isolate, init: { refuse: true } });
    const task = pool.run({ value: 1 });
    await expect(pool.ready).rejects.toMatchObject({ code: 'INVALID_MODEL', message: 'no model' });
    await expect(task).rejects.toMatchObject({ code: 'INVALID_MODEL' });
    await expect(pool.run({ value: 2 })).rejects.toMatchObject({ code: 'INVALID_MODEL' });
  });

  test('workers that die before they open are not replaced for ever', async () => {
    const pool = open({ isolate, size: 1, init: { dieOnStart: true } });
    await expect(pool.ready).rejects.toThrow('No worker starts: the last one ended with code 4.');
  });

  test('closing rejects what is not done', async () => {
    const pool = open({ isolate, size: 1 });
    await pool.ready;
    const task = pool.run({ ms: 1e6 });
    const closed = pool.close();
    await expect(task).rejects.toThrow('closed before the work was done');
    await closed;
  });
});

test('a task that takes too long is stopped; the clock starts when it is its worker’s oldest', async () => {
  const pool = open({ isolate: true, size: 1, depth: 6, timeout: 1.5 });
  const fine = [1, 2, 3, 4].map((value) => pool.run({ value, ms: 500 * value }));
  const stuck = pool.run({ spin: true, ms: 2100 });
  const after = pool.run({ value: 'after' });
  await expect(stuck).rejects.toMatchObject({ reason: 'took longer than 1.5 s' });
  expect((await Promise.all(fine)).map(({ value }) => value)).toEqual([1, 2, 3, 4]);
  expect((await after).value).toBe('after');
});

test('a thread that takes too long is waited for no more, and replaced', async () => {
  const pool = open({ size: 1, timeout: 1 });
  const blockUntil = join(folder, 'thread.free');
  const stuck = pool.run({ blockUntil });
  const after = pool.run({ value: 'after' });
  await expect(stuck).rejects.toMatchObject({
    reason: expect.stringMatching(/^took longer than 1 s; it still holds its thread.*"isolate"/),
  });
  expect(await after).toMatchObject({ value: 'after', worker: 1 });
  writeFileSync(blockUntil, '');
});

test('a task of several pictures has their time together', async () => {
  const pool = open({ size: 1, timeout: 0.5 });
  await expect(pool.run({ ms: 700, value: 1 }, { share: 8 })).resolves.toMatchObject({ value: 1 });
});

test('threads are not replaced for ever', async () => {
  const pool = open({ size: 1, depth: 1, timeout: 0.2 });
  const blockUntil = join(folder, 'threads.free');
  const tasks = [1, 2, 3].map((value) =>
    pool.run({ value, blockUntil }).catch((error: Error) => error.message),
  );
  expect((await Promise.all(tasks))[2]).toMatch(
    /^2 pictures took longer than 0.2 s each and still hold their threads/,
  );
  writeFileSync(blockUntil, '');
});

test('what cannot be handed over is rejected alone', async () => {
  const pool = open({ size: 1 });
  const bad = pool.run({ value: () => 1 });
  await expect(bad).rejects.toMatchObject({ code: 'INVALID_IMAGE', reason: /cannot be handed to a worker/ });
  expect((await pool.run({ value: 1 })).value).toBe(1);
});

test('a thread that runs out of memory dies alone, and its task is blamed', async () => {
  const pool = open({ size: 1, resourceLimits: { maxOldGenerationSizeMb: 32 } });
  await expect(pool.run({ memory: true })).rejects.toMatchObject({
    reason: expect.stringContaining('ran out of memory'),
  });
  expect((await pool.run({ value: 1 })).value).toBe(1);
});
