import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type * as ExplainFolderModule from '../../../src/batch/explain-folder.js';
import { archiveEnd, encodeMember } from '../../../src/batch/inputs/tar.js';
import { randomNumbers } from '../../map/random.js';
import { built } from '../../support/built.js';
import { typed } from '../archives.js';
import { linesIn, makeInputs, model, newFolder, noise, root } from '../inputs.js';

const { explainFolder } = await built<typeof ExplainFolderModule>('batch/explain-folder.js');

beforeAll(makeInputs);
afterAll(() => rmSync(root, { recursive: true }));

/** Pictures, a long name, a link of either kind, something else. */
const archive = Buffer.concat([
  encodeMember('set/a.png', noise(1)),
  encodeMember(`${'long/'.repeat(40)}b.png`, noise(2)),
  typed('1', 'set/hard.png', undefined, 'set/a.png'),
  typed('2', 'soft.png', undefined, 'set/a.png'),
  encodeMember('set/a.cls', Buffer.from('3')),
  encodeMember('set/c.png', noise(3)),
  archiveEnd,
]);

function mutate(bytes: Buffer, random: () => number): Buffer {
  const below = (n: number) => Math.floor(random() * n);
  const file = Buffer.from(bytes);
  for (let times = 1 + below(8); times > 0; times--) {
    const header = 512 * below(file.length / 512);
    const field = [0, 100, 124, 148, 156, 157, 257, 345][below(8)];
    file[Math.min(random() < 0.7 ? header + field + below(12) : below(file.length), file.length - 1)] =
      below(256);
  }
  const at = below(file.length);
  const kinds = [
    () => file,
    () => file,
    () => file.subarray(0, at),
    () => Buffer.concat([file.subarray(0, at), file.subarray(at + 1 + below(700))]),
    () => Buffer.concat([file.subarray(0, at), Buffer.alloc(1 + below(700), below(256)), file.subarray(at)]),
    () => withChecksums(file),
    () => withChecksums(file),
  ];
  return kinds[below(kinds.length)]();
}

/** Headers that are wrong, and pass for right. */
function withChecksums(file: Buffer): Buffer {
  for (let at = 0; at + 512 <= file.length; at += 512) {
    const block = file.subarray(at, at + 512);
    if (block.toString('latin1', 257, 262) !== 'ustar') continue;
    block.write(' '.repeat(8), 148, 'latin1');
    const sum = block.reduce((total, byte) => total + byte, 0);
    block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  }
  return file;
}

test.each([false, true])(
  '250 mutated archives: each fails alone, the others go on; isolated: %s',
  async (isolate) => {
    const random = randomNumbers(isolate ? 1 : 2);
    const archives = Array.from({ length: 250 }, (_, i) => join(root, `mutated-${isolate}-${i}.tar`));
    for (const [i, path] of archives.entries()) {
      if (i % 50 === 49) writeFileSync(path, archive);
      else if (i % 5 === 0) writeFileSync(path, mutate(gzipSync(archive), random));
      else if (i % 5 === 1) writeFileSync(path, gzipSync(mutate(archive, random)));
      else writeFileSync(path, mutate(archive, random));
    }
    const temporary = () =>
      readdirSync(tmpdir()).filter((name) => name.startsWith('gradcampp-unpacked-')).length;
    const before = temporary();
    const out = newFolder();
    const summary = await explainFolder({
      model,
      archives,
      out,
      outputs: { save: ['npy'] },
      workforce: { workers: 2, isolate },
    });
    expect(summary).toMatchObject({ stopped: false, error: undefined });
    expect(temporary()).toBe(before);
    const lines = linesIn(out);
    expect(lines.map(({ index }) => index)).toEqual(Array.from(lines, (_, i) => i));
    for (const { image, error } of lines) {
      if (!error) continue;
      expect(error.code, error.message).toBe('INVALID_IMAGE');
      expect(error.message).not.toMatch(/\n|Internal fault|    at /);
      expect(image.path).toContain('mutated-');
    }
    for (const path of archives.filter((_, i) => i % 50 === 49)) {
      const own = lines.filter(({ image }) => image.path.startsWith(`${path}/`));
      expect(own.map(({ error }) => error)).toEqual(Array(5).fill(undefined));
      expect(readFileSync(join(out, path.slice(root.length + 1))).length).toBeGreaterThan(2048);
    }
    expect(lines.filter(({ error }) => error).length).toBeGreaterThan(100);
  },
);
