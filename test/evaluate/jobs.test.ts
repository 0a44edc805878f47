import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GradcamppError } from '../../src/errors.js';
import { evaluate } from '../../src/evaluate/evaluate.js';
import { faithfulness } from '../../src/evaluate/faithfulness/faithfulness.js';
import {
  faithfulnessSettings,
  faithfulnessOptions,
} from '../../src/evaluate/faithfulness/faithfulness-options.js';
import { runJobs } from '../../src/evaluate/jobs.js';
import { measureHere } from '../../src/evaluate/measurer.js';
import type { Subject } from '../../src/evaluate/subject.js';
import { ablationVariants, sameMapRemarks, variantsOfMethods } from '../../src/evaluate/variants.js';
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
  readOptions('masking', faithfulnessOptions, { steps: 2 }),
  { size: [4, 4] },
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

  it('tells what is done of jobs that are under way, and never less', async () => {
    const subject = fakeSubject({ pictures });
    const slow: Subject = {
      ...subject,
      explain: async (picture, own) => {
        const { maps, targets } = await subject.explain(picture, own);
        const slowly = targets.map((target) => ({
          ...target,
          confidenceIn: async (tensors: Float32Array, count: number) => {
            await setTimeout(300);
            return target.confidenceIn(tensors, count);
          },
        }));
        return { maps, targets: slowly };
      },
    };
    const seen: { done: number; within: number }[] = [];
    const few = { ...settings, batch: 6 };
    await runJobs(measureHere(slow), faithfulness, jobs.slice(0, 2), few, {
      onProgress: ({ done, within }) => seen.push({ done, within }),
    });
    // Of each picture 18 pictures in three batches: told after each.
    expect(seen.map(({ done }) => done)).toEqual([0, 0, 0, 0, 1, 1, 1, 1, 2]);
    expect(seen.map(({ within }) => Math.round(within * 18))).toEqual([0, 6, 12, 18, 0, 6, 12, 18, 0]);
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
  const options = { images: names, variants, steps: 2, open: {} };
  const run = (subject: Subject, out: string, more = {}) =>
    evaluate('faithfulness', { ...options, model: measureHere(subject), out, ...more });
  const dying = () => failing((image) => (image === 'p4' ? new Error('power is gone') : undefined));
  const files = async (out: string) =>
    Promise.all(
      ['results.json', 'images.csv', 'report.html', 'run.json'].map((name) =>
        readFile(join(out, name), 'utf8'),
      ),
    );
  const journalIn = (out: string) => join(out, '.partial', 'journal.jsonl');

  it('measures only what is missing and gives the same files', async () => {
    const [whole, cut] = [join(folder, 'whole'), join(folder, 'cut')];
    await run(fakeSubject({ pictures }), whole);
    await expect(run(dying(), cut)).rejects.toThrow('power');
    // The crash also tore the last line, and spoiled the first.
    const kept = await readFile(journalIn(cut), 'utf8');
    const finished = kept.split('\n').slice(0, -1).length;
    expect(finished).toBeGreaterThan(1);
    await writeFile(journalIn(cut), `x${kept.slice(1)}0123abcd {"step":"faith`);
    const rest = fakeSubject({ pictures });
    await run(rest, cut, { resume: true });
    expect(rest.counts.prepare).toBe(names.length - (finished - 1));
    expect(await files(cut)).toEqual(await files(whole));
    await expect(readFile(journalIn(cut))).rejects.toThrow('ENOENT');
  });

  it('measures a picture again that has changed', async () => {
    const out = join(folder, 'changed');
    const paths = names.map((name) => join(folder, `${name}.txt`));
    for (const path of paths) await writeFile(path, 'as it was');
    const own = Object.fromEntries(paths.map((path, i) => [path, pictures[names[i]]]));
    const subject = fakeSubject({ pictures: own });
    const failingLate: Subject = {
      ...subject,
      prepare: async (image) => {
        if (image === paths[5]) throw new Error('power is gone');
        return subject.prepare(image);
      },
    };
    await expect(run(failingLate, out, { images: paths })).rejects.toThrow('power');
    const noted = (await readFile(journalIn(out), 'utf8')).split('\n').length - 1;
    await writeFile(paths[1], 'another');
    const rest = fakeSubject({ pictures: own });
    await run(rest, out, { images: paths, resume: true });
    expect(rest.counts.prepare).toBe(names.length - (noted - 1));
    await writeFile(paths[2], 'yet another');
    await expect(run(rest, out, { images: paths, resume: true })).rejects.toThrow(/have changed since/);
  });

  it('replaces results only when it is asked to, and goes on with the same run alone', async () => {
    const out = join(folder, 'twice');
    const { report } = await run(fakeSubject({ pictures }), out);
    const before = await files(out);
    const again = fakeSubject({ pictures });
    await expect(run(again, out)).rejects.toThrow(/holds a finished run.*--overwrite/);
    await expect(run(again, out, { resume: true, steps: 3 })).rejects.toThrow(/differs in the settings/);
    const found = await run(again, out, { resume: true });
    expect([found.finishedBefore, found.images, found.failures]).toEqual([true, names.length, []]);
    expect(found.report).toEqual({ ...report, gallery: undefined });
    expect(again.counts.prepare).toBe(0);
    expect(await files(out)).toEqual(before);
    await run(again, out, { overwrite: true, steps: 3 });
    expect(await files(out)).not.toEqual(before);
  });

  it("leaves somebody's own results alone", async () => {
    const out = join(folder, 'mine');
    await mkdir(out);
    await writeFile(join(out, 'images.csv'), 'my,own');
    for (const more of [{}, { resume: true }, { overwrite: true }])
      await expect(run(fakeSubject({ pictures }), out, more)).rejects.toThrow(/not those of a run/);
    expect(await readFile(join(out, 'images.csv'), 'utf8')).toBe('my,own');
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

  it('says where methods cannot differ, because the channels of the layer are the classes', () => {
    const compared = [
      ...variantsOfMethods(['grad-cam++', 'grad-cam', 'random', 'eigen-cam']),
      { name: 'elsewhere', method: 'grad-cam', layer: 'fire9' } as const,
    ];
    const classMaps = ({ layer }: { layer?: string }) => (layer === undefined ? ['conv10'] : []);
    expect(sameMapRemarks({ classMaps }, compared)).toEqual([
      'The channels of "conv10" are the classes: there grad-cam++, grad-cam cannot differ, since only the explained class\'s channel has a gradient. Compare them at another layer (--layer).',
    ]);
    expect(sameMapRemarks({ classMaps }, compared.slice(1))).toEqual([]);
    expect(sameMapRemarks({}, compared)).toEqual([]);
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
