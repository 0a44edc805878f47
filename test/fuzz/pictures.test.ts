import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pictureFiles } from './picture-files.js';
import { readMutants } from './reader.js';

/** Damaged files to read; `npm run fuzz` reads 10,000. */
const count = Number(process.env.FUZZ_PICTURES ?? 3000);
const first = Number(process.env.FUZZ_SEED ?? 0);
/** What the process may hold: a picture has 12 MiB at most, which several steps may hold at once. */
const mostMebibytes = 500;

const dist = fileURLToPath(new URL('../../dist', import.meta.url));
const reader = fileURLToPath(new URL('read-pictures.mjs', import.meta.url));
let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gradcampp-'));
});
afterAll(() => rm(folder, { recursive: true }));

test.skipIf(!existsSync(dist))(
  `${count} damaged pictures are each read or refused, in bounded time and memory (needs npm run build)`,
  async () => {
    const { lines, end } = await readMutants(reader, [
      dist,
      String(first),
      String(first + count),
      ...(await pictureFiles(folder)),
    ]);
    const done = lines.filter(({ outcome }) => outcome !== undefined);
    const last = lines.at(-1);
    expect(end, `the process ended at mutant ${last?.i} of ${last?.file} (${last?.kind})`).toBe('0');
    expect(done).toHaveLength(count);
    expect(done.filter(({ outcome }) => outcome === 'foreign')).toEqual([]);
    expect(Math.max(...done.map(({ mebibytes }) => mebibytes ?? 0))).toBeLessThan(mostMebibytes);
    // A file that is cut off says nothing else.
    const cut = done.filter(({ kind, outcome }) => kind === 'truncate' && outcome === 'refused');
    const reasons = new Set(cut.map(({ message = '' }) => message.replace(/^.*?: /, '')));
    expect([...reasons].filter((reason) => !/too early|not begin like|is empty/.test(reason))).toEqual([]);
    const of = (outcome: string) => done.filter((line) => line.outcome === outcome).length;
    // Both must happen, or nothing was tested.
    expect(Math.min(of('read'), of('refused'))).toBeGreaterThan(count / 20);
  },
  20 * 60_000,
);
