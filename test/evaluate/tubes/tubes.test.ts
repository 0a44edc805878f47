import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { measureTubes, type TubeRecord } from '../../../src/evaluate/tubes/annotated-clip.js';
import { summarizeTubes } from '../../../src/evaluate/tubes/tubes.js';
import { readTubes, type Tube } from '../../../src/evaluate/tubes/tube-file.js';
import { placeOfTube } from '../../../src/evaluate/tubes/tube-place.js';
import { fakeSubject, variants } from '../fake.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tubes-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Four frames of 2 × 2; a box on the left half in the second and the third. */
const size = [4, 2, 2];
const leftHalf = { x0: 0, y0: 0, x1: 0.5, y1: 1 };
const tube: Tube = {
  class: 'left',
  boxes: [1, 2].map((frame) => ({ frame, box: leftHalf })),
};
const [l, r, o] = [
  [1, 0, 1, 0],
  [0, 1, 0, 1],
  [0, 0, 0, 0],
];
const maps: Readonly<Record<string, readonly number[]>> = {
  // All on the left of the second frame; as much in the first frame as on the right of the third; nothing.
  'grad-cam++': [...o, ...l, ...o, ...o],
  'grad-cam': [...r, ...o, ...r, ...o],
  cam: [...o, ...o, ...o, ...o],
};
const subject = fakeSubject({
  size,
  pictures: { clip: Array(16).fill(1) },
  network: () => 0.8,
  maps: (method) => maps[method],
});
const settings = { variants, seed: 1, target: 'top' } as const;
const measure = async (tubes: readonly Tube[], target: 'top' | 'annotated' = 'top') =>
  (await measureTubes(subject, { image: 'clip', tubes }, { ...settings, target })).record;

describe('tubes', () => {
  it('are where and when the map should be: energies by hand', async () => {
    const { variants: found, chances, annotated, boxes } = await measure([tube]);
    expect(annotated).toBe('left');
    expect(found[0]).toEqual({ energyInTube: 1, energyInSpace: 0.5, energyInTime: 1, pointingInTube: 1 });
    expect(found[1]).toEqual({ energyInTube: 0, energyInSpace: 0, energyInTime: 0.5, pointingInTube: 0 });
    expect(found[2]).toEqual({ energyInTube: 0, energyInSpace: 0, energyInTime: 0, pointingInTube: 0 });
    expect(chances).toEqual({
      energyInTube: 0.25,
      energyInSpace: 0.5,
      energyInTime: 0.5,
      pointingInTube: 0.25,
    });
    // On a sheet of two by two frames: the second is at the upper right, the third at the lower left.
    expect(boxes).toEqual([
      [0.5, 0, 0.75, 0.5],
      [0, 0.5, 0.25, 1],
    ]);
  });

  it('count where the explained class is annotated, and say why not', async () => {
    const of = async (tubes: readonly Tube[], target?: 'annotated') =>
      (await measure(tubes, target)).excluded;
    expect(await of([{ ...tube, class: 'right' }])).toBe('class not in the clip');
    expect(await of([{ ...tube, class: 'right' }], 'annotated')).toBeUndefined();
    expect(await of([{ ...tube, class: '' }])).toBeUndefined();
    expect(await of([{ class: 'LEFT', boxes: [{ frame: 9, box: leftHalf }] }])).toBe(
      'outside the frames or the crop',
    );
    expect((await measure([{ ...tube, class: '' }, tube])).annotated).toBe('left');
    const none = await measureTubes(subject, { image: 'clip', tubes: undefined }, settings);
    expect(none.record.excluded).toBe('not annotated');
  });

  it('follow the frames that were sampled, the last of which fills a clip that is too short', () => {
    const geometry = {
      picture: { width: 4, height: 2 },
      crop: { x: 2, y: 0, width: 2, height: 2 },
      input: { width: 2, height: 2 },
    };
    const right = { x0: 0.5, y0: 0, x1: 0.75, y1: 1 };
    const boxes = [10, 14].map((frame) => ({ frame, box: right }));
    const place = placeOfTube(boxes, geometry, size, { start: 10, interval: 2, count: 3, span: 6 });
    expect([...(place?.inside ?? [])]).toEqual([...l, ...o, ...l, ...l]);
    expect(place?.areas).toEqual([0.5, 0, 0.5, 0.5]);
    expect(placeOfTube([{ frame: 0, box: leftHalf }], geometry, size)).toBeUndefined();
  });

  it('are summed up with what chance gives', async () => {
    const records: TubeRecord[] = [];
    for (const image of ['a', 'b']) records.push({ ...(await measure([tube])), image });
    records.push({ ...records[0], image: 'c', excluded: 'not annotated', variants: [] });
    const { summaries, lead } = summarizeTubes(records, settings);
    expect(lead).toContain('perfect 100.0 %, worst 0.0 %');
    expect(lead).toContain('a uniform map 25.0 %');
    expect(summaries?.[0].caption).toContain('2 of 3 clips count. Not counted: 1 not annotated.');
    const time = summaries?.[0].metrics.find(({ key }) => key === 'energyInTime');
    expect(time?.values[1]).toMatchObject({ mean: 0.5, count: 2 });
    expect(time?.byChance?.value).toBe(0.5);
  });
});

describe('files of tubes', () => {
  const write = async (name: string, text: string) => {
    await writeFile(join(folder, name), text);
    return join(folder, name);
  };

  it('are JSON or tables, in shares of the frame or in pixels, and mean the same', async () => {
    const json = [
      { clip: 'a.mp4', class: 'jump', boxes: [[3, 0.25, 0, 0.5, 1]] },
      { clip: 'walk', size: [40, 20], boxes: [[0, 10, 0, 20, 20]] },
    ];
    const table =
      'clip,class,frame,x0,y0,x1,y1,width,height\na.mp4,jump,3,0.25,0,0.5,1,,\nwalk,,0,10,0,20,20,40,20\n';
    const clips = ['x/a.mp4', 'x/b.gif', 'x/walk'];
    const box = { x0: 0.25, y0: 0, x1: 0.5, y1: 1 };
    for (const path of [await write('t.json', JSON.stringify(json)), await write('t.csv', table)])
      expect(await readTubes(clips, path)).toEqual([
        [{ class: 'jump', boxes: [{ frame: 3, box }] }],
        undefined,
        [{ class: '', boxes: [{ frame: 0, box }] }],
      ]);
  });

  it('join the boxes of a class, whatever its case', async () => {
    const path = await write(
      'case.csv',
      'clip,class,frame,x0,y0,x1,y1\na.gif,Jump,0,0,0,1,1\na.gif,jump,1,0,0,1,1\n',
    );
    const [found] = await readTubes(['a.gif'], path);
    expect((found as Tube[]).map((own) => [own.class, own.boxes.length])).toEqual([['Jump', 2]]);
  });

  it.each([
    ['bad.json', '[{"clip": "a.gif"}]', /bad\.json" must be \[\{"clip".*0\.boxes/],
    ['no.json', 'clip', /no\.json" must be/],
    ['head.csv', 'clip,frame,x0,y0,x1\na.gif,0,0,0,1\n', /it lacks y1\./],
    ['other.csv', 'clip,frame,x0,y0,x1,y1\nb.gif,0,0,0,1,1\n', /None of the 1 clips is annotated.*"b\.gif"/],
  ])('%s is refused with one sentence', async (name, text, message) => {
    await expect(readTubes(['a.gif'], await write(name, text))).rejects.toThrow(message);
  });

  it.each([
    ['a.gif,0.5,0,0,1,1', 'must have a frame, a whole number from 0; received 0.5'],
    [
      'a.gif,0,0,0,9,1',
      'must have edges x0 < x1 and y0 < y1 within 0 … 1 (or give a size); received 0, 0, 9, 1',
    ],
    ['a.gif,0,,0,1,1', 'received NaN, 0, 1, 1'],
  ])('a wrong line is the problem of its clip: %s', async (line, message) => {
    const path = await write('lines.csv', `clip,frame,x0,y0,x1,y1\n${line}\n`);
    const [found] = await readTubes(['a.gif'], path);
    expect((found as { problem: string }).problem).toContain(`lines.csv:2 must`);
    expect((found as { problem: string }).problem).toContain(message);
  });
});
