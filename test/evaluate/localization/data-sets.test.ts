import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { evaluate } from '../../../src/evaluate/evaluate.js';
import { measureHere } from '../../../src/evaluate/measurer.js';
import { encodePng } from '../../../src/image/encode.js';
import { anyPicture, openDataSets, picture } from '../data-set.js';
import { left } from '../fake.js';

let sets: Awaited<ReturnType<typeof openDataSets>>;
beforeAll(async () => {
  sets = await openDataSets();
});
afterAll(() => sets.remove());

/** Localisation on a data set; the network finds "left" in every picture, of 400 × 300. */
async function localize(set: string, boxes: 'yolo' | 'voc' | 'coco' | 'masks', over: object = {}) {
  const { report, images, failures } = await evaluate('localization', {
    model: measureHere(anyPicture()),
    images: [join(sets.folder, set)],
    boxes,
    method: ['grad-cam++'],
    out: join(sets.folder, 'out', set),
    ...over,
  });
  const table =
    report?.gallery?.items.map(({ name, boxes: found }) => [name, found?.map((box) => [...box])]) ?? [];
  return {
    images,
    failures,
    boxes: Object.fromEntries(table),
    remarks: report?.remarks,
    caption: report?.summaries[0].caption,
  };
}
const all = (...names: readonly string[]) =>
  Object.fromEntries(names.map((name) => [name, [[0, 0, 0.5, 1]]]));

const classes = { 'classes.txt': 'left\nright' };
const label = '0 0.25 0.5 0.5 1';
const xml = (size = '<size><width>400</width><height>300</height></size>', edges = [1, 1, 200, 300]) =>
  `<annotation>${size}<object><name>left</name><bndbox><xmin>${edges[0]}</xmin><ymin>${edges[1]}</ymin><xmax>${edges[2]}</xmax><ymax>${edges[3]}</ymax></bndbox></object></annotation>`;
const instances = (names: readonly string[], over: object = {}) =>
  JSON.stringify({
    images: names.map((name, i) => ({ id: i, file_name: name, width: 400, height: 300, ...over })),
    annotations: names.map((_, i) => ({ image_id: i, category_id: 1, bbox: [0, 0, 200, 300] })),
    categories: [{ id: 1, name: 'left' }],
  });
const under = (set: string, files: Readonly<Record<string, string | Uint8Array>>) =>
  Object.fromEntries(Object.entries(files).map(([name, content]) => [`${set}/${name}`, content]));

describe('data sets are found as they usually lie', () => {
  it.each<
    [
      string,
      'yolo' | 'voc' | 'coco' | 'masks',
      Record<string, string | Uint8Array>,
      string,
      readonly string[],
    ]
  >([
    [
      'labels beside images',
      'yolo',
      { ...classes, 'images/a.png': picture, 'labels/a.txt': label },
      '',
      ['a.png'],
    ],
    [
      'splits within labels and images',
      'yolo',
      {
        'data.yaml': 'names: {0: left}',
        'images/train/a.png': picture,
        'images/val/a.png': picture,
        'labels/train/a.txt': label,
        'labels/val/a.txt': label,
      },
      '',
      ['train/a.png', 'val/a.png'],
    ],
    [
      'one split of them',
      'yolo',
      { ...classes, 'images/train/a.png': picture, 'labels/train/a.txt': label, 'labels/val/a.txt': '' },
      'images/train',
      ['a.png'],
    ],
    [
      'labels and images within splits',
      'yolo',
      {
        'data.yaml': 'names: [left]',
        'train/images/a.png': picture,
        'train/labels/a.txt': label,
        'valid/images/a.png': picture,
        'valid/labels/a.txt': label,
      },
      '',
      ['train/images/a.png', 'valid/images/a.png'],
    ],
    [
      'labels beside each picture',
      'yolo',
      { 'obj.names': 'left', 'data/a.png': picture, 'data/a.txt': label },
      'data',
      ['a.png'],
    ],
    [
      'Annotations beside JPEGImages',
      'voc',
      { 'JPEGImages/a.png': picture, 'Annotations/a.xml': xml() },
      '',
      ['a.png'],
    ],
    [
      'pictures and Annotations in folders',
      'voc',
      {
        'images/x/a.png': picture,
        'images/y/a.png': picture,
        'Annotations/x/a.xml': xml(),
        'Annotations/y/a.xml': xml(),
      },
      '',
      ['x/a.png', 'y/a.png'],
    ],
    ['XML beside each picture', 'voc', { 'train/a.png': picture, 'train/a.xml': xml() }, 'train', ['a.png']],
    [
      'JPEGImages alone',
      'voc',
      { 'JPEGImages/a.png': picture, 'Annotations/a.xml': xml() },
      'JPEGImages',
      ['a.png'],
    ],
    [
      'annotations.json beside images',
      'coco',
      { 'images/a.png': picture, 'annotations.json': instances(['a.png']) },
      '',
      ['a.png'],
    ],
    [
      'the folders of COCO',
      'coco',
      {
        'val2017/a.png': picture,
        'annotations/instances_val2017.json': instances(['a.png']),
        'annotations/instances_train2017.json': instances([]),
        'annotations/captions_val2017.json': '{}',
      },
      '',
      ['a.png'],
    ],
    [
      'one folder of COCO',
      'coco',
      {
        'val2017/a.png': picture,
        'train2017/a.png': picture,
        'annotations/instances_val2017.json': instances(['a.png']),
        'annotations/instances_train2017.json': instances(['b.png']),
      },
      'val2017',
      ['a.png'],
    ],
    [
      'images/val2017',
      'coco',
      { 'images/val2017/a.png': picture, 'annotations/instances_val2017.json': instances(['a.png']) },
      '',
      ['a.png'],
    ],
    [
      '_annotations.coco.json beside pictures',
      'coco',
      { 'a.png': picture, '_annotations.coco.json': instances(['a.png']) },
      '',
      ['a.png'],
    ],
    [
      'masks beside images',
      'masks',
      { 'images/a.png': picture, 'masks/left/a.png': halfMask() },
      '',
      ['a.png'],
    ],
    [
      'masks of images alone',
      'masks',
      { 'images/a.png': picture, 'masks/a.png': halfMask() },
      'images',
      ['a.png'],
    ],
  ])('%s (%s)', async (what, format, files, folder, names) => {
    const set = `${format} ${what}`;
    await sets.write(under(set, files));
    expect(await localize(join(set, folder), format)).toMatchObject({
      images: names.length,
      failures: [],
      boxes: all(...names),
      remarks: [],
    });
  });

  it.each(['yolo', 'voc', 'coco', 'masks'] as const)('else a sentence says how %s lies', async (format) => {
    await sets.write({ 'nothing/a.png': picture });
    await expect(localize('nothing', format)).rejects.toThrow(`must hold ${format} annotations: `);
    await expect(localize('not/there', format)).rejects.toThrow(`must hold ${format} annotations: `);
  });

  it('else COCO is asked for one of several splits', async () => {
    const one = instances(['a.png']);
    await sets.write(
      under('splits', {
        'val/a.png': picture,
        'train/a.png': picture,
        'annotations/instances_val.json': one,
        'annotations/instances_train.json': one,
      }),
    );
    await expect(localize('splits', 'coco')).rejects.toThrow(
      /holds several splits with pictures: ".*train", ".*val"\. Give the folder of one/,
    );
  });
});

/** The left half of a picture. */
function halfMask(): Uint8Array {
  const data = Uint8Array.from(left, (value) => value * 255);
  return encodePng({ data, width: 4, height: 4, channels: 1 });
}

describe('annotations of one picture', () => {
  it('fail it alone, by file and line', async () => {
    await sets.write(
      under('lines', {
        ...classes,
        'images/a.png': picture,
        'images/b.png': picture,
        'images/c.png': picture,
        'labels/a.txt': label,
        'labels/b.txt': `${label}\n9 0.5 0.5 1 1`,
        'labels/c.txt': '0 12 12 20 20',
      }),
    );
    const { images, failures, boxes } = await localize('lines', 'yolo');
    expect(images).toBe(1);
    expect(boxes).toEqual(all('a.png'));
    expect(failures.map(({ error }) => error)).toEqual([
      expect.stringMatching(/^.*labels\/b\.txt:2 must begin with a class below 2/),
      expect.stringMatching(/^.*labels\/c\.txt:1 must hold fractions of the picture/),
    ]);
  });

  it('fail it where they lie out of the picture', async () => {
    await sets.write(
      under('outside', {
        'JPEGImages/a.png': picture,
        'JPEGImages/b.png': picture,
        'Annotations/a.xml': xml(undefined, [401, 1, 500, 300]),
        'Annotations/b.xml': xml(),
      }),
    );
    const { failures } = await localize('outside', 'voc');
    expect(failures).toEqual([
      {
        image: expect.stringContaining('a.png'),
        error: expect.stringMatching(
          /^<object> in .*a\.xml:1 must mark a part of the picture, 400 × 300 pixels; received the box 400, 0, 500, 300\.$/,
        ),
      },
    ]);
  });

  it('end the run where none is right, in one sentence', async () => {
    await sets.write(
      under('bad', {
        ...classes,
        'images/a.png': picture,
        'images/b.png': picture,
        'labels/a.txt': '0 320 240 640 480',
        'labels/b.txt': '0 320 240 640 480',
      }),
    );
    await expect(localize('bad', 'yolo')).rejects.toThrow(/^.*a\.txt:1 must hold fractions of the picture/);
    await sets.write(under('stranger', { ...classes, 'images/a.png': picture, 'labels/b.txt': label }));
    await expect(localize('stranger', 'yolo')).rejects.toThrow(
      /^None of the 1 pictures is annotated in ".*labels": .* The first annotation there is of "b\.\*", the first picture is ".*a\.png"\.$/,
    );
  });

  it('are of the picture in the folder of the same name', async () => {
    const files = { 'images/cat/a.png': picture, 'images/dog/a.png': picture };
    await sets.write(
      under('twins', {
        ...files,
        'annotations.json': instances(['cat/a.png', 'dog/a.png']).replace('[0,0,200,300]', '[200,0,200,300]'),
      }),
    );
    expect((await localize('twins', 'coco')).boxes).toEqual({
      'cat/a.png': [[0.5, 0, 1, 1]],
      'dog/a.png': [[0, 0, 0.5, 1]],
    });
    await sets.write(
      under('flat', {
        ...classes,
        ...files,
        'images/b.png': picture,
        'labels/a.txt': label,
        'labels/b.txt': label,
      }),
    );
    const { failures, boxes } = await localize('flat', 'yolo');
    expect(boxes).toEqual(all('b.png'));
    expect(failures.length).toBe(2);
    for (const { error } of failures)
      expect(error).toMatch(/labels\/a\.txt could be of ".*cat\/a\.png" or of ".*dog\/a\.png"/);
  });
});

describe('the size of a picture', () => {
  it('is its own where none or another is declared, and this is said', async () => {
    await sets.write(
      under('sizes', {
        'JPEGImages/a.png': picture,
        'JPEGImages/b.png': picture,
        'JPEGImages/c.png': picture,
        'JPEGImages/d.png': picture,
        'Annotations/a.xml': xml(''),
        'Annotations/b.xml': xml('<size><width>300</width><height>400</height></size>'),
        'Annotations/c.xml': xml('<size><width>800</width><height>600</height></size>', [1, 1, 400, 600]),
        'Annotations/d.xml': xml(),
      }),
    );
    const { boxes, remarks } = await localize('sizes', 'voc');
    expect(boxes).toEqual(all('a.png', 'b.png', 'c.png', 'd.png'));
    expect(remarks).toEqual([
      'Of 1 picture the annotations declare no size: boxes are read in pixels of the picture itself.',
      expect.stringMatching(
        /^Of 1 picture the annotations declare another size than the picture has \(300 × 400, not 400 × 300, in .*b\.png\): boxes/,
      ),
      expect.stringMatching(
        /^1 picture is saved at another size than the annotations declare, in its proportions \(800 × 600, not 400 × 300, in .*c\.png\): boxes are scaled/,
      ),
    ]);
  });

  it('is its own for COCO images without one', async () => {
    await sets.write(
      under('unsized', {
        'images/a.png': picture,
        'annotations.json': instances(['a.png'], { width: 0, height: null }),
      }),
    );
    expect(await localize('unsized', 'coco')).toMatchObject({
      boxes: all('a.png'),
      remarks: [expect.stringContaining('declare no size')],
    });
  });
});

it('says how many objects are difficult or crowds', async () => {
  const crowd = instances(['a.png']).replace('"category_id":1', '"category_id":1,"iscrowd":1');
  await sets.write(under('crowd', { 'images/a.png': picture, 'annotations.json': crowd }));
  expect((await localize('crowd', 'coco')).remarks).toEqual([
    '1 of 1 objects are marked as difficult or as a crowd; they count like the others: the class is there.',
  ]);
});

it('measures again where an annotation has changed, and nothing else', async () => {
  const set = 'changing';
  const label = (edge: number) => `0 ${edge / 2} 0.5 ${edge} 1`;
  const labels = { 'labels/a.txt': label(0.5), 'labels/b.txt': label(0.5) };
  await sets.write(under(set, { ...classes, 'images/a.png': picture, 'images/b.png': picture, ...labels }));
  let isCut = true;
  const run = async () => {
    const prepared: string[] = [];
    const subject = anyPicture();
    const prepare: typeof subject.prepare = async (image) => {
      if (isCut && image.endsWith('b.png')) throw new Error('power is gone');
      prepared.push(image.slice(-5));
      return subject.prepare(image);
    };
    const model = measureHere({ ...subject, prepare });
    const { boxes } = await localize(set, 'yolo', { model, resume: true });
    return { prepared, boxes };
  };
  await expect(run()).rejects.toThrow('power is gone');
  isCut = false;
  await sets.write(under(set, { 'labels/b.txt': label(0.25) }));
  expect(await run()).toEqual({
    prepared: ['b.png'],
    boxes: { 'a.png': [[0, 0, 0.5, 1]], 'b.png': [[0, 0, 0.25, 1]] },
  });
  expect((await run()).prepared).toEqual([]);
  await sets.write(under(set, { 'labels/a.txt': label(1) }));
  await expect(run()).rejects.toThrow(
    'holds the finished run of these inputs, of which some have changed since',
  );
});

it('asks for the format', async () => {
  await expect(localize('crowd', undefined as never)).rejects.toThrow(
    '"boxes" must be one of yolo, voc, coco, masks',
  );
});
