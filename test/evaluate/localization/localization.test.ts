import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AnnotatedObject } from '../../../src/evaluate/annotations/annotation.js';
import {
  type LocalizationJob,
  measureLocalization,
} from '../../../src/evaluate/localization/annotated-picture.js';
import { localizationTable, summarizeLocalization } from '../../../src/evaluate/localization/localization.js';
import type { LocalizationSettings } from '../../../src/evaluate/localization/place.js';
import { encodePng } from '../../../src/image/encode.js';
import { fakeSubject, left, variants } from '../fake.js';

const pictures = { leftish: left.map((value) => value * 0.9), dark: left.map(() => 0.1) };
const settings: LocalizationSettings = {
  variants,
  seed: 1,
  deltas: [0, 0.25, 0.5],
  tolerance: 0,
  boxThreshold: 0.15,
  target: 'top',
  mapping: ['thing', null],
};
const locs = (...values: readonly [number, number, number]) => ({
  'localization(0)': values[0],
  'localization(0.25)': values[1],
  'localization(0.5)': values[2],
});
const box = (x0: number, y0: number, x1: number, y1: number) => ({ x0, y0, x1, y1 });
const object = (edges: ReturnType<typeof box>, name = 'thing'): AnnotatedObject => ({
  class: name,
  box: edges,
  unit: 'fraction',
  place: 'a.txt:1',
});
const leftHalf = object(box(0, 0, 0.5, 1));
const objects = (...all: readonly AnnotatedObject[]) => ({ annotation: { objects: all } });
const measure = (job: LocalizationJob, over: Partial<LocalizationSettings> = {}) =>
  measureLocalization(fakeSubject({ pictures }), job, { ...settings, ...over });
const record = async (job: LocalizationJob, over: Partial<LocalizationSettings> = {}) =>
  (await measure(job, over)).record;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'masks-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('localisation', () => {
  it('is perfect, worst and empty where the maps are', async () => {
    const { variants: found, area, boxes } = await record({ image: 'leftish', ...objects(leftHalf) });
    expect(area).toBe(0.5);
    expect(boxes).toEqual([[0, 0, 0.5, 1]]);
    const perfect = { ...locs(1, 1, 1), boxIoU: 1, boxFound: 1, pointing: 1, energy: 1, rankAccuracy: 1 };
    const wrong = { ...locs(0, 0, 0), boxIoU: 0, boxFound: 0, pointing: 0, energy: 0, rankAccuracy: 0 };
    expect(found[0]).toMatchObject({ values: perfect, empty: false });
    expect(found[1]).toMatchObject({ values: wrong, empty: false });
    expect(found[2]).toMatchObject({ values: { ...wrong, rankAccuracy: 0.5 }, empty: true });
  });

  it('unites the boxes of the class and leaves other classes alone', async () => {
    const halves = [box(0, 0, 0.5, 0.5), box(0, 0.25, 0.5, 1)].map((edges) => object(edges));
    const other = object(box(0.5, 0, 1, 1), 'other');
    const { variants: found, area } = await record({ image: 'leftish', ...objects(...halves, other) });
    expect(area).toBe(0.5);
    expect(found[0].values).toMatchObject(locs(1, 1, 1));
    // The proposed box is the left half, the better of the true ones 2 × 3 of its 2 × 4 pixels.
    expect(found[0].values.boxIoU).toBe(6 / 8);
  });

  it('says why a picture does not count', async () => {
    const why = async (job: LocalizationJob, over?: Partial<LocalizationSettings>) =>
      (await record(job, over)).excluded;
    expect(await why({ image: 'leftish' })).toBe('not annotated');
    expect(await why({ image: 'leftish', ...objects() })).toBe('class not in the picture');
    expect(await why({ image: 'dark', ...objects(leftHalf) })).toBe('no corresponding class');
    expect((await measure({ image: 'dark', ...objects(leftHalf) })).pictures).toEqual([]);
  });

  it('can explain what is annotated instead of the top class', async () => {
    const annotated = { target: 'annotated' } as const;
    // P("right") is 0.9 on the dark picture, but only "left" corresponds to something in it.
    expect(await record({ image: 'dark', ...objects(leftHalf) }, annotated)).toMatchObject({
      class: 0,
      annotated: 'thing',
    });
    expect((await record({ image: 'dark', ...objects() }, annotated)).excluded).toBe(
      'class not in the picture',
    );
  });

  it('takes masks, for one class or for any', async () => {
    const png = (values: readonly number[]) =>
      encodePng({ data: Uint8Array.from(values, (value) => value * 255), width: 4, height: 4, channels: 1 });
    const write = async (name: string, values: readonly number[]) => {
      await writeFile(join(folder, name), png(values));
      return join(folder, name);
    };
    const any = await write(
      'any.png',
      left.map((_, p) => (p === 5 ? 1 : 0)),
    );
    const thing = await write('thing.png', left);
    const none = await write(
      'none.png',
      left.map(() => 0),
    );
    const masked = (masks: Record<string, string>) => ({ image: 'leftish', annotation: { masks } });
    expect((await record(masked({ '': any, thing }))).variants[0].values).toMatchObject(locs(1, 1, 1));
    const found = await record(masked({ '': any }));
    expect(found.boxes).toEqual([[0.25, 0.25, 0.5, 0.5]]);
    expect(found.variants[0].values).toMatchObject(locs(1 / 8, 1 / 8, 1 / 8));
    expect((await record(masked({ '': none }))).excluded).toBe('class not in the picture');
    expect(await record({ ...masked({ '': any }), image: 'dark' }, { target: 'annotated' })).toMatchObject({
      class: 1,
      area: 1 / 16,
    });
  });

  it('fails for a picture whose annotation is wrong', async () => {
    await expect(measure({ image: 'leftish', problem: 'a.txt:3 is wrong.' })).rejects.toMatchObject({
      code: 'INVALID_IMAGE',
      message: 'a.txt:3 is wrong.',
    });
    await expect(measure({ image: 'leftish', ...objects(object(box(1.2, 0, 1.4, 1))) })).rejects.toThrow(
      'a.txt:1 must mark a part of the picture, 1 × 1; received the box 1.2, 0, 1.4, 1.',
    );
  });

  it('says what chance gives, and steps over what the network does not see', async () => {
    const { chances } = await record({
      image: 'leftish',
      ...objects(object(box(0, 0, 0.5, 0.5)), object(box(0.75, 0, 1, 1))),
    });
    expect(chances).toEqual({
      ...locs(0.5, 0.5, 0.5),
      boxIoU: 0.25,
      boxFound: 0,
      pointing: 0.5,
      energy: 0.5,
      rankAccuracy: 0.5,
    });
    expect(
      (await record({ image: 'leftish', ...objects(leftHalf) }, { tolerance: 1 })).chances.pointing,
    ).toBe(0.75);
    const crop = { x: 2, y: 0, width: 2, height: 4 };
    const subject = fakeSubject({ pictures });
    const cropped: typeof subject = {
      ...subject,
      prepare: async (image) => {
        const prepared = await subject.prepare(image);
        return { ...prepared, geometry: { ...prepared.geometry, crop } };
      },
    };
    const { record: outside } = await measureLocalization(
      cropped,
      { image: 'leftish', ...objects(leftHalf) },
      settings,
    );
    expect(outside.excluded).toBe('outside the crop');
  });
});

describe('summary', () => {
  it('averages over the pictures that count and counts the others by reason', async () => {
    const half = object(box(0, 0, 0.5, 0.5));
    const records = [
      await record({ image: 'leftish', ...objects(leftHalf) }),
      { ...(await record({ image: 'leftish', ...objects(half) })), image: 'second' },
      await record({ image: 'dark', ...objects(leftHalf) }),
    ];
    const report = summarizeLocalization(records, settings);
    const mean = (key: string) =>
      report.summaries[0].metrics.find((metric) => metric.key === key)?.values.map((value) => value?.mean);
    expect(mean('localization(0.25)')?.slice(0, 3)).toEqual([0.75, 0, 0]);
    expect(mean('energy')?.slice(0, 3)).toEqual([0.75, 0, 0]);
    expect(mean('boxFound')?.slice(0, 3)).toEqual([1, 0, 0]);
    expect(report.summaries[0].caption).toContain(
      '2 of 3 pictures count. Not counted: 1 no corresponding class.',
    );
    expect(report.duels?.[0]).toMatchObject({ a: 'perfect', b: 'worst', wins: { a: 1, b: 0, ties: 0 } });
    expect(report.breakdowns?.[0].rows).toMatchObject([{ class: 'thing', count: 2 }]);
    const table = localizationTable(records, ['left', 'right'], settings);
    expect(table.find(({ name }) => name === 'excluded')?.values).toEqual(['', '', 'no corresponding class']);
    expect(table.find(({ name }) => name === 'perfect: Loc(0.25)')?.values).toEqual([1, 0.5, NaN]);
  });

  it('has something to say without any picture that counts', async () => {
    const report = summarizeLocalization([await record({ image: 'leftish' })], settings);
    expect(report.lead).toBe('No picture shows an annotated place of its explained class.');
    expect(report.duels).toBeUndefined();
  });
});
