import { setTimeout } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { faithfulnessTable, summarizeFaithfulness } from '../../../src/evaluate/faithfulness/faithfulness.js';
import {
  type FaithfulnessRecord,
  measureFaithfulness,
} from '../../../src/evaluate/faithfulness/masked-picture.js';
import {
  faithfulnessOptions,
  faithfulnessSettings,
} from '../../../src/evaluate/faithfulness/faithfulness-options.js';
import type { FaithfulnessSettings } from '../../../src/evaluate/faithfulness/measuring-options.js';
import { area, fractions } from '../../../src/evaluate/faithfulness/metrics/curve.js';
import { random } from '../../../src/random-stream.js';
import { readOptions } from '../../../src/options.js';
import { seeded } from '../../../src/evaluate/variants.js';
import { fakeSubject, left, variants } from '../fake.js';

const white = left.map(() => 1);
const pictures = {
  // P("left") of these is 1, 0.75 and 0.5; the right half never matters.
  white,
  grey: white.map(() => 0.75),
  half: left.map((value) => value * 0.5),
};
const settings: FaithfulnessSettings = faithfulnessSettings(
  { variants, seed: 1 },
  readOptions('masking', faithfulnessOptions, { steps: 2, insertionBaseline: 'zero' }),
  { size: [4, 4] },
);
const roundOf = (records: readonly FaithfulnessRecord[], over: Partial<FaithfulnessSettings> = {}) => ({
  records,
  subject: fakeSubject({ pictures }),
  plan: { jobs: [], settings: { ...settings, ...over } },
});
const summarize = (records: readonly FaithfulnessRecord[]) =>
  summarizeFaithfulness(roundOf(records), 'Faithfulness');
const measure = async (image: string, over: Partial<FaithfulnessSettings> = {}) =>
  (await measureFaithfulness(fakeSubject({ pictures }), { image }, { ...settings, ...over })).record;

describe('faithfulness of a network whose answers are known', () => {
  it('gives a perfect explanation no drop, the worst and an empty one all of it', async () => {
    const record = await measure('grey');
    expect(record).toMatchObject({ image: 'grey', class: 0, full: 0.75 });
    expect(record.variants.map(({ masked }) => masked).slice(0, 3)).toEqual([0.75, 0, 0]);
    expect(record.variants.map(({ empty }) => empty)).toEqual([false, false, true, false]);
  });

  it('keeps, deletes and inserts the most salient half first', async () => {
    const [perfect, worst] = (await measure('white')).variants;
    expect(perfect.curves).toEqual({ areaAuc: [0, 1, 1], deletionAuc: [1, 0, 0], insertionAuc: [0, 1, 1] });
    expect(worst.curves).toEqual({ areaAuc: [0, 0, 1], deletionAuc: [1, 1, 0], insertionAuc: [0, 0, 1] });
  });

  it('ranks an empty map as the random control', async () => {
    const [, , empty, control] = (await measure('white', { steps: 8 })).variants;
    expect(Object.keys(empty.curves)).toEqual(['areaAuc', 'deletionAuc', 'insertionAuc']);
    expect(empty.curves).toEqual(control.curves);
  });

  it('masks pixels instead of the tensor: what is hidden is black, not zero', async () => {
    const [perfect, worst] = (await measure('grey', { masking: 'black', steps: 0 })).variants;
    expect(perfect.masked).toBeCloseTo(0.75, 6);
    expect(worst.masked).toBeCloseTo(-1, 6); // the mean of a left half of black, −1
  });

  it('decodes and explains a picture once for all methods, and asks for masked pictures in batches', async () => {
    const subject = fakeSubject({ pictures });
    await measureFaithfulness(subject, { image: 'white' }, { ...settings, steps: 4, batch: 5 });
    // 4 variants: the explanation map and 3 inner points of 3 curves; one empty picture for all of them.
    const { prepare, explain, predicted, largestBatch } = subject.counts;
    expect({ prepare, explain, predicted, largestBatch }).toEqual({
      prepare: 1,
      explain: 1,
      predicted: 4 * (1 + 3 * 3) + 1,
      largestBatch: 5,
    });
  });

  it('measures the same whatever the batch', async () => {
    const one = await measure('grey', { batch: 1, steps: 5 });
    expect(await measure('grey', { batch: 64, steps: 5 })).toEqual(one);
  });
});

describe('faithfulness of clips', () => {
  // Four frames of 2 × 2; P("left") is the mean of the second frame, and half of what is in the third.
  const inFrames = (values: readonly number[]) => values.flatMap((value) => [value, value, value, value]);
  const clip = { size: [4, 2, 2], pictures: { clip: inFrames([1, 1, 1, 1]) } };
  const network = (tensor: Float32Array) => 0.6 * tensor[4] + 0.3 * tensor[8];
  const orders: Readonly<Record<string, readonly number[]>> = {
    'grad-cam++': inFrames([0.1, 1, 0.5, 0]),
    'grad-cam': inFrames([1, 0.1, 0.2, 0.9]),
    cam: inFrames([0, 0, 0, 0]),
  };
  const subject = fakeSubject({ ...clip, network, maps: (method) => orders[method] });
  const own = (metrics: string[]) =>
    faithfulnessSettings(
      { variants, seed: 1 },
      readOptions('faithfulness', faithfulnessOptions, { steps: 0, metrics }),
      subject,
    );

  it('removes whole frames, those of most energy first', async () => {
    const { record } = await measureFaithfulness(subject, { image: 'clip' }, own(['frame-deletion']));
    const [perfect, worst, empty, control] = record.variants;
    const curves = [perfect, worst].map(({ curves }) => curves.frameDeletionAuc);
    const expected = [
      [0.9, 0.3, 0, 0, 0],
      [0.9, 0.9, 0.9, 0.6, 0],
    ];
    for (const [i, curve] of curves.entries())
      curve.forEach((value, k) => expect(value).toBeCloseTo(expected[i][k], 6));
    expect(perfect.values.frameDeletionAuc).toBeCloseTo((0.45 + 0.3) / 4, 6);
    expect(worst.values.frameDeletionAuc).toBeCloseTo((0.45 + 0.9 + 0.9 + 0.6) / 4, 6);
    // An empty map says nothing of frames: they go in the control's order.
    expect(empty.curves.frameDeletionAuc).toHaveLength(5);
    expect(control.curves.frameDeletionAuc).toHaveLength(5);
  });

  it('is measured of clips where nothing else is asked for, and refused of pictures', async () => {
    expect(own(['usual']).metrics).toContain('frame-deletion');
    const { record } = await measureFaithfulness(subject, { image: 'clip' }, own(['usual']));
    expect(record.variants[0].values.frameDeletionAuc).toBeGreaterThan(0);
    expect((await measure('grey')).variants[0].values.frameDeletionAuc).toBeUndefined();
    expect(() =>
      faithfulnessSettings(
        { variants, seed: 1 },
        readOptions('faithfulness', faithfulnessOptions, { metrics: ['frame-deletion'] }),
        { size: [4, 4] },
      ),
    ).toThrow('"metrics" must be without frame-deletion where the model takes pictures');
  });
});

describe('metrics that change the picture again and again', () => {
  const costly = (metrics: string[], over: object = {}) =>
    faithfulnessSettings(
      { variants, seed: 1 },
      readOptions('faithfulness', faithfulnessOptions, { steps: 0, metrics, ...over }),
      { size: [4, 4] },
    );
  const valuesOf = async (key: string, own: FaithfulnessSettings, options = {}) => {
    const subject = fakeSubject({ pictures: { ...pictures, spotted }, ...options });
    const { record } = await measureFaithfulness(subject, { image: 'spotted' }, own);
    return { values: record.variants.map(({ values }) => values[key]), subject, record };
  };
  // A left half of ones with a 0.5 in the middle of each row, and a right half of zeros.
  const spotted = left.map((value, p) => (p % 4 === 1 ? 0.5 : value));

  it('ROAD: what is removed becomes the mean of what is around it', async () => {
    // Without its best half, the left one, the picture is the right half's zeros; without the right one it stays as it is.
    const own = costly(['road'], { percentiles: [50] });
    const { record } = await valuesOf('roadMostFirst', own);
    const [perfect, worst, empty, control] = record.variants.map(({ values }) => values);
    expect(perfect.roadMostFirst).toBeCloseTo(0, 1);
    expect(perfect.roadLeastFirst).toBe(record.full);
    expect(perfect.roadDifference).toBeCloseTo(record.full / 2, 1);
    expect(worst.roadDifference).toBeCloseTo(-perfect.roadDifference, 10);
    expect(empty.roadMostFirst).toBe(control.roadMostFirst);
  });

  it('infidelity: removing squares of a linear network loses what a map says that has its weights', async () => {
    const own = costly(['infidelity'], { perturbations: 40 });
    // P(0) = Σ w x / 8 with x the same everywhere in the left half: what is lost is the left map's sum over the square.
    const white = { pictures: { spotted: left } };
    const { values, subject } = await valuesOf('infidelity', own, white);
    expect(values[0]).toBeCloseTo(0, 12);
    expect(values[1]).toBeGreaterThan(1e-3);
    expect(values[2]).toBeGreaterThan(values[1] - 1e-12);
    expect(subject.counts.predicted).toBe(40 + 4); // squares are the same for all maps
  });

  it('max-sensitivity: the most that a map changes with the picture', async () => {
    const own = costly(['max-sensitivity'], { repeats: 3, radius: 0.1 });
    const noisy = (method: string, tensor: Float32Array) =>
      method === 'grad-cam++' ? left : Array.from(tensor, (value) => Math.abs(value));
    const { values, subject } = await valuesOf('maxSensitivity', own, { maps: noisy });
    expect(values[0]).toBe(0);
    // At most 0.1 of the range, 1, at each of 16 positions, by a norm of √(8 · 1/2 + …): 4 ones and 4 halves.
    expect(values[1]).toBeGreaterThan(0.2 * (0.4 / Math.sqrt(5)));
    expect(values[1]).toBeLessThan(0.4 / Math.sqrt(5));
    expect(values[3]).toBe(0);
    expect(subject.counts.explain).toBe(1 + 3); // one noisy picture for all methods
  });

  it('ADCC: coherency, the mean of the map and the drop', async () => {
    const { record } = await valuesOf('adcc', costly(['adcc']));
    const [perfect, worst, empty, control] = record.variants.map(({ values }) => values);
    expect(perfect).toMatchObject({ coherency: 1, shownArea: 0.5, averageDrop: 0 });
    expect(perfect.adcc).toBeCloseTo(3 / (1 + 2 + 1), 12);
    expect(worst).toMatchObject({ coherency: 1, averageDrop: 1, adcc: 0 });
    expect(empty).toMatchObject({ coherency: 0, adcc: 0 });
    expect(control.coherency).toBeCloseTo(1, 12);
  });

  it('explains changed pictures one after the other', async () => {
    const subject = fakeSubject({ pictures });
    let [now, most] = [0, 0];
    const { explain } = subject;
    subject.explain = async (...given) => {
      most = Math.max(most, ++now);
      await setTimeout(1);
      now--;
      return explain(...given);
    };
    await measureFaithfulness(subject, { image: 'grey' }, costly(['adcc', 'max-sensitivity']));
    expect(subject.counts.explain).toBe(1 + 4 + 10);
    expect(most).toBe(1);
  });
});

describe('summary', () => {
  const all = () => Promise.all(Object.keys(pictures).map((image) => measure(image)));
  const values = async (key: string) => {
    const report = summarize(await all());
    const metric = report.summaries[0].metrics.find((item) => item.key === key);
    return metric?.values.map((value) => value?.mean) ?? [];
  };

  it('is the average of what was measured by hand', async () => {
    expect((await values('averageDrop')).slice(0, 3)).toEqual([0, 1, 1]);
    expect((await values('increaseInConfidence')).slice(0, 3)).toEqual([0, 0, 0]);
    expect((await values('areaAuc')).slice(0, 2)).toEqual([0.75, 0.25]);
    expect((await values('deletionAuc'))[0]).toBeCloseTo((0.25 * (1 + 0.75 + 0.5)) / 3, 6);
    expect((await values('insertionAuc'))[1]).toBeCloseTo((0.25 * (1 + 0.75 + 0.5)) / 3, 6);
    expect(await values('emptyMaps')).toEqual([0, 0, 1, 0]);
  });

  it('counts wins of every pair with ties apart', async () => {
    const { duels } = summarize(await all());
    expect(duels?.length).toBe(6);
    expect(duels?.[0]).toMatchObject({
      a: 'perfect',
      b: 'worst',
      wins: { a: 1, b: 0, ties: 0 },
      difference: -1,
    });
    expect(duels?.find(({ a, b }) => a === 'worst' && b === 'empty')?.wins).toEqual({ a: 0, b: 0, ties: 1 });
  });

  it('rewards an increase', async () => {
    // A network that is distracted by the right half: without it P("left") rises.
    const subject = fakeSubject({
      pictures,
      network: (tensor) => tensor.reduce((sum, value, p) => sum + (left[p] - 0.5) * value, 0) / 8 + 0.5,
    });
    const { record } = await measureFaithfulness(subject, { image: 'white' }, { ...settings, steps: 0 });
    expect(record.full).toBe(0.5);
    expect(record.variants[0].masked).toBe(1);
    const [{ metrics }] = summarize([record]).summaries;
    expect(metrics.find((metric) => metric.key === 'increaseInConfidence')?.values[0]?.mean).toBe(1);
  });

  it('does not depend on the order of the pictures, and the table follows it', async () => {
    const many = Object.fromEntries(
      Array.from({ length: 40 }, (_, i) => [`p${i}`, white.map(() => random('pixel', i).uniform())]),
    );
    const subject = fakeSubject({ pictures: many });
    const run = async (images: readonly string[]) => {
      const records = [];
      for (const image of images)
        records.push((await measureFaithfulness(subject, { image }, settings)).record);
      return records;
    };
    const names = Object.keys(many);
    const [forward, shuffled] = [await run(names), await run(random('order').shuffle(names))];
    expect(JSON.stringify(summarize(shuffled))).toBe(JSON.stringify(summarize(forward)));
    const lines = (records: typeof forward) => {
      const table = faithfulnessTable(roundOf(records));
      return [...table[0].values.keys()].map((row) => JSON.stringify(table.map(({ values }) => values[row])));
    };
    expect(lines(shuffled)).not.toEqual(lines(forward));
    expect([...lines(shuffled)].sort()).toEqual([...lines(forward)].sort());
  });

  it('changes the random control with the seed and nothing else', async () => {
    const of = (seed: number) => measure('grey', { seed, variants: seeded(variants, seed) });
    const [a, b] = [await of(1), await of(2)];
    expect(b.variants.slice(0, 2)).toEqual(a.variants.slice(0, 2));
    expect(b.variants[3]).not.toEqual(a.variants[3]);
  });

  it('draws curves that end where they must', async () => {
    const { charts } = summarize(await all());
    const [kept, deleted] = charts ?? [];
    for (const line of kept.lines) {
      expect(line?.y[0]).toBe(0);
      expect(line?.y[2]).toBe(1);
      expect(line?.low?.[2]).toBe(1);
    }
    expect(deleted.lines[0]?.y[0]).toBe(0.75);
    expect(area({ x: fractions(2), y: kept.lines[0]?.y ?? [] })).toBe(0.75);
  });
});
