import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type * as ExplainFolderModule from '../../../src/batch/explain-folder.js';
import { randomNumbers } from '../../map/random.js';
import { built } from '../../support/built.js';
import { damagedArchive, wholeArchive } from '../archives.js';
import { linesIn, makeInputs, model, newFolder, root } from '../inputs.js';

const { explainFolder } = await built<typeof ExplainFolderModule>('batch/explain-folder.js');

beforeAll(makeInputs);
afterAll(() => rmSync(root, { recursive: true }));

test.each([false, true])(
  '250 mutated archives: each fails alone, the others go on; isolated: %s',
  async (isolate) => {
    const random = randomNumbers(isolate ? 1 : 2);
    const archives = Array.from({ length: 250 }, (_, i) => join(root, `mutated-${isolate}-${i}.tar`));
    for (const [i, path] of archives.entries()) {
      writeFileSync(path, i % 50 === 49 ? wholeArchive : damagedArchive(i, random));
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
