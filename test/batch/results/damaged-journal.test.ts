import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterAll, expect, test } from 'vitest';
import type { Inputs } from '../../../src/batch/inputs/inputs.js';
import type { Done } from '../../../src/batch/picture.js';
import { makeRecord } from '../../../src/batch/results/run-record.js';
import { ResultsFolder } from '../../../src/batch/results/results-folder.js';
import { folderWriter } from '../../../src/batch/results/write-file.js';
import { randomNumbers } from '../../map/random.js';

/** In memory where there is such a file system: every run waits for the disk several times. */
const fast = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
const root = mkdtempSync(join(fast, 'gradcampp-damage-'));
afterAll(() => rmSync(root, { recursive: true }));

const count = 12;
const inputs = {
  list: Array.from({ length: count }, (_, index) => ({ index, path: `${index}.png`, name: `${index}` })),
  stateOf: () => '10 5',
} as unknown as Inputs;
const record = makeRecord({
  command: 'explain',
  models: [{ path: 'm.onnx', sha256: 'abc' }],
  settings: {},
  inputs: { count, sha256: 'def', state: 'now' },
});

/** Lines, of which some pictures have two and some an error, and a file each. */
async function done(out: string, index: number): Promise<Done> {
  const line = { index, image: { path: `${index}.png` } };
  if (index % 5 === 4) return { index, lines: [{ ...line, error: {} } as never], files: [] };
  const bytes = Buffer.from(`content of ${index}`);
  await folderWriter(out, 'w')(`${index}.npy`, [bytes]);
  const lines = Array.from({ length: 1 + (index % 2) }, (_, n) => ({
    ...line,
    n,
    files: { npy: `${index}.npy` },
  }));
  return { index, lines: lines as never, files: [[`${index}.npy`, bytes.length, crc32(bytes)]] };
}

async function open(out: string): Promise<ResultsFolder> {
  return (await ResultsFolder.open(out, record, inputs, { resume: true })) as ResultsFolder;
}

/** What may happen to a file: from a byte to half of it, up to three times. */
function damage(bytes: Buffer, random: () => number): Buffer {
  const below = (n: number) => Math.floor(random() * n);
  let file = bytes;
  for (let times = 1 + below(3); times > 0 && file.length > 0; times--) {
    const at = below(file.length);
    const length = random() < 0.5 ? 1 : 1 + below(Math.max(1, file.length / 4));
    const [before, part, behind] = [
      file.subarray(0, at),
      file.subarray(at, at + length),
      file.subarray(at + length),
    ];
    const noise = Buffer.from(Array.from(part, () => below(256)));
    const kinds = [
      () => [before, noise, behind],
      () => [before, Buffer.alloc(part.length), behind],
      () => [before, behind],
      () => [before, part, part, behind],
      () => [before, noise, part, behind],
      () => [behind, part, before],
      () => [before],
      () => [before, Buffer.from('\n'), part, behind],
    ];
    file = Buffer.concat(kinds[below(kinds.length)]());
  }
  return file;
}

test('1,000 random damages to a journal: nothing whole is done again, nothing is listed twice', async () => {
  const whole = join(root, 'whole');
  const first = await open(whole);
  for (let index = 0; index < count - 2; index++) await first.add(await done(whole, index));
  await first.close();
  const journal = readFileSync(join(whole, '.partial', 'journal.jsonl'));
  const lines = journal.toString('latin1').split('\n').slice(0, -1);
  expect(lines).toHaveLength(count - 2);
  const finished = join(root, 'finished');
  cpSync(whole, finished, { recursive: true });
  const last = await open(finished);
  for (let index = count - 2; index < count; index++) await last.add(await done(finished, index));
  await last.finish();
  await last.close();
  const expected = readFileSync(join(finished, 'results.jsonl'), 'utf8');

  const random = randomNumbers(7);
  const out = join(root, 'out');
  let damaged = 0;
  for (let round = 0; round < 1000; round++) {
    rmSync(out, { recursive: true, force: true });
    cpSync(whole, out, { recursive: true });
    const bytes = damage(journal, random);
    writeFileSync(join(out, '.partial', 'journal.jsonl'), bytes);
    const text = bytes.toString('latin1');
    const isWhole = Array.from({ length: count }, (_, i) => i < lines.length && text.includes(lines[i]));
    if (isWhole.slice(0, -2).includes(false)) damaged++;
    const folder = await open(out);
    const found = Array.from(isWhole, (_, index) => folder.isDone(index));
    expect(found, `round ${round}: ${JSON.stringify(text)}`).toEqual(isWhole);
    await folder.close();
    const again = await open(out); // nothing is lost by looking
    expect(Array.from(isWhole, (_, index) => again.isDone(index))).toEqual(isWhole);
    for (const [index, is] of isWhole.entries()) if (!is) await again.add(await done(out, index));
    await again.finish();
    await again.close();
    expect(readFileSync(join(out, 'results.jsonl'), 'utf8'), `round ${round}`).toBe(expected);
  }
  expect(damaged).toBeGreaterThan(500);
}, 600_000);
