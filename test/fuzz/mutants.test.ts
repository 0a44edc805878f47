import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { modelFiles } from './model-files.js';
import { readMutants } from './reader.js';
import { hidden, raw } from './words.js';

/** Damaged files to read; `npm run fuzz` reads 10,000. */
const count = Number(process.env.FUZZ_MODELS ?? 1000);
/** What the process may hold: the models have some kilobytes. */
const mostMebibytes = 600;

const dist = fileURLToPath(new URL('../../dist', import.meta.url));
const reader = fileURLToPath(new URL('read-mutants.mjs', import.meta.url));
let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gradcampp-'));
});
afterAll(() => rm(folder, { recursive: true }));

// The reader runs the built package, so that a crash or an endless loop ends a process of its own.
test.skipIf(!existsSync(dist))(
  `${count} damaged model files are each read or refused, in bounded time and memory (needs npm run build)`,
  async () => {
    const models = await modelFiles(folder);
    const { lines, end } = await readMutants(reader, [dist, '0', String(count), ...models]);
    const done = lines.filter(({ outcome }) => outcome !== undefined);
    const last = lines.at(-1);
    expect(end, `the process ended at mutant ${last?.i} (${last?.kind})`).toBe('0');
    expect(done).toHaveLength(count);
    expect(done.filter(({ outcome }) => outcome === 'foreign')).toEqual([]);
    const refused = done.filter(({ outcome }) => outcome === 'refused');
    expect(refused.filter(({ message = '' }) => raw.test(message) || hidden.test(message))).toEqual([]);
    expect(new Set(refused.map(({ message }) => message)).size).toBeGreaterThan(count / 100);
    expect(Math.max(...done.map(({ mebibytes }) => mebibytes ?? 0))).toBeLessThan(mostMebibytes);
    const of = (outcome: string) => done.filter((line) => line.outcome === outcome).length;
    // Both must happen, or nothing was tested.
    expect(Math.min(of('read'), of('refused'))).toBeGreaterThan(count / 20);
  },
  20 * 60_000,
);
