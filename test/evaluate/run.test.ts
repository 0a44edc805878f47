import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GradcamppError } from '../../src/errors.js';
import { evaluate } from '../../src/evaluate/evaluate.js';
import { faithfulness } from '../../src/evaluate/faithfulness/faithfulness.js';
import { faithfulnessSettings, maskingOptions } from '../../src/evaluate/faithfulness/masking-options.js';
import { openJournal } from '../../src/evaluate/journal.js';
import { measureHere, runJobs } from '../../src/evaluate/run.js';
import type { Subject } from '../../src/evaluate/subject.js';
import { ablationVariants, variantsOfMethods } from '../../src/evaluate/variants.js';
import { readOptions } from '../../src/options.js';
import { fakeSubject, left, variants } from './fake.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'run-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const pictures = Object.fromEntries(
  Array.from({ length: 6 }, (_, i) => [`p${i}`, left.map((v) => v * (0.7 + i / 25))]),
);
const names = Object.keys(pictures);
const jobs = names.map((image) => ({ image }));
const settings = faithfulnessSettings(
  { variants, seed: 1 },
  readOptions('masking', maskingOptions, { steps: 2 }),
);

/** Fails on some pictures. */
function failing(error: (image: string) => Error | undefined): Subject & { counts: { prepare: number } } {
  const subject = fakeSubject({ pictures });
  return {
    ...subject,
    prepare: async (image) => {
      const found = error(image);
      if (found) throw found;
      return subject.prepare(image);
    },
  };
}

describe('running jobs', () => {
  it('goes on after a picture that fails, in the order of the jobs, and reports progress', async () => {
    const subject = failing((image) =>
      image === 'p2' ? new GradcamppError('INVALID_IMAGE', 'p2 is broken.') : undefined,
    );
    const seen: string[] = [];
    const { measured, failures } = await runJobs(measureHere(subject), faithfulness, jobs, settings, {
      onProgress: ({ done, total, failed }) => seen.push(`${done}/${total} ${failed}`),
    });
    expect(measured.map(({ record }) => record.image)).toEqual(['p0', 'p1', 'p3', 'p4', 'p5']);
    expect(failures).toEqual([{ image: 'p2', error: 'p2 is broken.' }]);
    expect(seen).toEqual(['0/6 0', '1/6 0', '2/6 0', '3/6 1', '4/6 1', '5/6 1', '6/6 1']);
  });

  it('stops at what would be wrong with every picture', async () => {
    const subject = failing((image) =>
      image === 'p1' ? new GradcamppError('INVALID_OPTION', 'no such layer.') : undefined,
    );
    await expect(runJobs(measureHere(subject), faithfulness, jobs, settings)).rejects.toThrow('no such');
  });

  it('stops at a fault', async () => {
    const subject = failing((image) => (image === 'p1' ? new TypeError('oops') : undefined));
    await expect(runJobs(measureHere(subject), faithfulness, jobs, settings)).rejects.toThrow('oops');
  });

  it('keeps pictures only for the jobs that are shown', async () => {
    const { measured } = await runJobs(measureHere(fakeSubject({ pictures })), faithfulness, jobs, settings, {
      shown: { jobs: new Set(['p1', 'p4']), pictures: 2 },
    });
    expect(measured.map(({ shown }) => shown.length)).toEqual([0, 1, 0, 0, 1, 0]);
    expect(measured[1].shown[0].maps.map((map) => map.data.length)).toEqual([16, 16, 0, 16]);
    // |left − right| is 1 everywhere, each against the empty map 1/2: (1 + 1/2 + 1/2) / 3.
    expect(measured[1].shown[0].disagreement).toBeCloseTo(2 / 3, 12);
  });
});

describe('resuming', () => {
  it('measures only what is missing and gives the same files', async () => {
    const whole = join(folder, 'whole');
    const options = { images: names, variants, steps: 2, open: {} };
    const files = async (out: string) =>
      Promise.all(
        ['results.json', 'images.csv', 'report.html'].map((name) => readFile(join(out, name), 'utf8')),
      );
    await evaluate('faithfulness', { ...options, model: measureHere(fakeSubject({ pictures })), out: whole });

    const cut = join(folder, 'cut');
    const dying = failing((image) => (image === 'p4' ? new Error('power is gone') : undefined));
    await expect(
      evaluate('faithfulness', { ...options, model: measureHere(dying), out: cut }),
    ).rejects.toThrow('power');
    // The crash also tore the last line.
    const journal = join(cut, 'faithfulness.journal');
    const kept = await readFile(journal, 'utf8');
    const finished = kept.split('\n').slice(1, -1).length;
    expect(finished).toBeGreaterThan(0);
    await writeFile(journal, `${kept}"p4"\thalf a li`);
    const rest = fakeSubject({ pictures });
    await evaluate('faithfulness', { ...options, model: measureHere(rest), out: cut, resume: true });
    expect(rest.counts.prepare).toBe(names.length - finished);
    expect(await files(cut)).toEqual(await files(whole));
    await expect(readFile(journal)).rejects.toThrow('ENOENT');
  });

  it('refuses the journal of another run and forgets it without resume', async () => {
    const path = join(folder, 'some.journal');
    const first = await openJournal<number>(path, { steps: 1 }, false);
    await Promise.all([first.add('a', 1), first.add('tab\t', NaN)]);
    const again = await openJournal<number>(path, { steps: 1 }, true);
    expect([...again.finished]).toEqual([
      ['a', 1],
      ['tab\t', NaN],
    ]);
    await expect(openJournal(path, { steps: 2 }, true)).rejects.toThrow(
      'another model, pictures or settings',
    );
    expect((await openJournal(path, { steps: 2 }, false)).finished.size).toBe(0);
  });
});

describe('options', () => {
  const model = () => measureHere(fakeSubject({ pictures }));
  const run = (over: object) =>
    evaluate('faithfulness', { model: model(), images: names, variants, out: folder, ...over });

  it.each([
    [{ steps: -1 }, '"steps" must be a whole number from 0 to 1000'],
    [{ masking: 'grey' }, '"masking" must be one of zero, black, mean, blur'],
    [{ variants: [] }, '"variants" must be a list of {name, method}, at least one'],
    [{ images: ['p1', 'p1'] }, '"images" must not name a picture twice; received p1 again'],
    [{ seed: 0.5 }, '"seed" must be a whole number'],
  ])('refuses %o', async (over, message) => {
    await expect(run(over)).rejects.toThrow(message);
  });

  it('names methods and their variants', () => {
    expect(variantsOfMethods(['grad-cam++', 'random'])).toEqual([
      { name: 'grad-cam++', method: 'grad-cam++' },
      { name: 'random', method: 'random' },
    ]);
    expect(() => variantsOfMethods(['gradcam'])).toThrow('Closest: "grad-cam"');
    expect(() => variantsOfMethods(['cam', 'cam'])).toThrow('must not repeat');
    expect(ablationVariants([], []).map((variant) => variant.name)).toEqual([
      'exp',
      'softmax',
      'no-gradient-relu',
      'alpha-normalization',
    ]);
    expect(ablationVariants(['exp', 'grad-cam'], ['a', 'b'])).toEqual([
      { name: 'exp @ a', method: 'grad-cam++', form: 'exp', layer: 'a' },
      { name: 'grad-cam @ a', method: 'grad-cam', layer: 'a' },
      { name: 'exp @ b', method: 'grad-cam++', form: 'exp', layer: 'b' },
      { name: 'grad-cam @ b', method: 'grad-cam', layer: 'b' },
    ]);
    expect(() => ablationVariants(['expo'], [])).toThrow('Closest: "exp"');
  });
});
