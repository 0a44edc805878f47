import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { coco } from '../../../src/evaluate/annotations/coco.js';
import { boxOfRuns } from '../../../src/evaluate/annotations/run-length.js';
import { openDataSets } from '../data-set.js';

let sets: Awaited<ReturnType<typeof openDataSets>>;
beforeAll(async () => {
  sets = await openDataSets();
});
afterAll(() => sets.remove());

let count = 0;
/** What the pictures of an instances file hold, or the messages of what cannot be read. */
async function read(content: unknown, encode: (text: string) => string | Buffer = (text) => text) {
  const name = `${count++}.json`;
  await sets.write({ [name]: encode(typeof content === 'string' ? content : JSON.stringify(content)) });
  const path = join(sets.folder, name);
  const { entries, ...rest } = await coco.read(path, []);
  const pictures: Record<string, unknown> = {};
  for (const entry of entries)
    pictures[entry.picture] = await entry
      .read()
      .catch((error: Error) => error.message.replaceAll(path, 'coco.json'));
  return { pictures, ...rest, path };
}
const images = [
  { id: 7, file_name: 'train/a.b.jpg', width: 200, height: 100 },
  { id: 8, file_name: 'c.jpg', width: 5, height: 5 },
];
const categories = [{ id: 18, name: 'dog' }];
const file = (annotation: object, more: object = {}) => ({
  images,
  categories,
  annotations: [{ image_id: 7, category_id: 18, ...annotation }],
  ...more,
});
/** The box of a file's only annotation, or why there is none. */
async function boxOf(annotation: object) {
  const { pictures } = await read(file(annotation));
  const found = pictures['train/a.b.jpg'] as { objects: { box: Record<string, number> }[] } | string;
  return typeof found === 'string' ? found : Object.values(found.objects[0].box);
}

describe('COCO instances', () => {
  it('have boxes in pixels from 0, and pictures without any', async () => {
    const { pictures, classes } = await read(file({ bbox: [50, 20, 50, 60], iscrowd: 0 }));
    expect(classes).toEqual(['dog']);
    expect(pictures).toEqual({
      'train/a.b.jpg': {
        declared: { width: 200, height: 100 },
        objects: [
          {
            class: 'dog',
            box: { x0: 50, y0: 20, x1: 100, y1: 80 },
            unit: 'pixel',
            place: expect.stringMatching(/^annotations\[0\] in .*\.json$/),
            isFlagged: false,
          },
        ],
      },
      'c.jpg': { declared: { width: 5, height: 5 }, objects: [] },
    });
  });

  it('may begin with a byte-order mark, or be in UTF-16', async () => {
    const content = JSON.stringify(file({ bbox: [1, 2, 3, 4] }));
    for (const encode of [
      (text: string) => `\ufeff${text}`,
      (text: string) => Buffer.from(`\ufeff${text}`, 'utf16le'),
      (text: string) => Buffer.from(text, 'utf16le'),
    ])
      expect((await read(content, encode)).pictures['train/a.b.jpg']).toHaveProperty('objects.length', 1);
  });

  it('may have ids of text, or of both kinds', async () => {
    const { pictures } = await read({
      images: [
        { id: 'left', file_name: 'l.jpg', width: 9, height: 9 },
        { id: '12', file_name: 'r.jpg', width: 9, height: 9 },
      ],
      annotations: [
        { image_id: 'left', category_id: 'd', bbox: [0, 0, 9, 9] },
        { image_id: 12, category_id: 'd', bbox: [0, 0, 1, 1] },
      ],
      categories: [{ id: 'd', name: 'dog' }],
    });
    expect(Object.values(pictures).map((found) => (found as { objects: unknown[] }).objects.length)).toEqual([
      1, 1,
    ]);
  });

  it.each([
    ['a polygon', { segmentation: [[10, 20, 50, 20, 50, 60, 10, 60]] }, [10, 20, 50, 60]],
    [
      'several polygons',
      {
        segmentation: [
          [10, 20, 50, 20, 50, 60],
          [90, 5, 95, 5, 95, 9],
        ],
        bbox: [],
      },
      [10, 5, 95, 60],
    ],
    ['a flat polygon', { segmentation: [10, 20, 50, 20, 50, 60] }, [10, 20, 50, 60]],
    ['run lengths', { segmentation: { size: [4, 3], counts: [5, 2, 5] } }, [1, 1, 2, 3]],
    ['packed run lengths', { segmentation: { size: [7, 5], counts: '62k0' }, iscrowd: 1 }, [0, 0, 2, 7]],
    [
      'a box of nothing and a polygon',
      { bbox: [0, 0, 0, 0], segmentation: [[1, 1, 2, 1, 2, 3]] },
      [1, 1, 2, 3],
    ],
  ])('take the box around %s', async (_, annotation, box) => {
    expect(await boxOf(annotation)).toEqual(box);
  });

  it.each([
    [
      {},
      'annotations[0] in coco.json must have a "bbox" of [x, y, width, height], or a "segmentation" of polygons or run lengths; received undefined.',
    ],
    [{ bbox: [1, 2, 3] }, 'received [1, 2, 3]'],
    [{ bbox: [1, 2, -3, 4] }, 'received [1, 2, -3, 4]'],
    [{ bbox: [1, 2, 'wide', 4] }, 'received [1, 2, "wide", 4]'],
    [{ bbox: null, segmentation: [] }, 'received null'],
    [{ segmentation: [[1, 2]] }, 'must have a "bbox"'],
    [{ segmentation: { size: [4, 3], counts: [5, 200] } }, 'must have a "bbox"'],
    [{ segmentation: { size: [4, 3], counts: 'zz~~' } }, 'must have a "bbox"'],
    [{ segmentation: { size: [4], counts: '62k0' } }, 'must have a "bbox"'],
    [
      { bbox: [1, 2, 3, 4], category_id: 3 },
      'annotations[0] in coco.json must name a category of the file; received category_id 3.',
    ],
  ])('make one bad annotation the problem of its picture: %j', async (annotation, message) => {
    const { pictures } = await read(file(annotation));
    expect(pictures['train/a.b.jpg']).toContain(message);
    expect(pictures['c.jpg']).toHaveProperty('objects', []);
  });

  it('say what they leave out', async () => {
    const { remarks, pictures, path } = await read(
      file({ image_id: 99, bbox: [1, 2, 3, 4] }, { images: [...images, { id: 9 }] }),
    );
    expect(remarks).toEqual([
      `1 annotations in ${path} are of pictures that it does not list; they are left out.`,
      `1 images in ${path} have no "file_name"; they are left out.`,
    ]);
    expect(Object.keys(pictures)).toEqual(['train/a.b.jpg', 'c.jpg']);
  });

  it.each([
    [{ id: 1, file_name: 'a.jpg' }],
    [{ id: 1, file_name: 'a.jpg', width: 0, height: 0 }],
    [{ id: 1, file_name: 'a.jpg', width: 'wide', height: 5 }],
  ])('declare no size in %j', async (image) => {
    const { pictures } = await read({ images: [image], annotations: [], categories });
    expect(pictures).toEqual({ 'a.jpg': { objects: [] } });
  });

  it.each([
    ['nonsense', 'cannot be read as COCO instances: Unexpected token'],
    [
      '[{"image_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]',
      'is not a COCO instances file: it has no "images"',
    ],
    ['{"images": {}, "annotations": []}', '"images" must be a list of objects; received an object {}'],
    [
      '{"images": [], "annotations": [1], "categories": []}',
      '"annotations" must be a list of objects; received [1]',
    ],
    ['{"images": [], "annotations": []}', 'it has no "categories"'],
    ['null', 'it has no "images"'],
    ['', 'cannot be read as COCO instances'],
  ])('are refused as a whole: %j', async (content, message) => {
    const error = await read(content).catch((thrown: Error) => thrown);
    expect(error).toMatchObject({ code: 'INVALID_OPTION', message: expect.stringContaining(message) });
    expect((error as Error).message).not.toContain('\n');
  });
});

describe('run lengths', () => {
  // By `encode` and `toBbox` of pycocotools 2.0.11.
  it.each([
    [30, 40, 'a97g0000000000000000000000000000m=', [10, 5, 25, 12]],
    [120, 90, '\\[4l1l10000^NVNV1j1<0000l[5', [37, 20, 44, 80]],
    [7, 5, '62k0', [0, 0, 2, 7]],
    [2000, 1500, 'oeak21', [1499, 1999, 1500, 2000]],
    [16, 12, 'd122O02ON20N10O40O1MO10O00073IO0N41LO3013LM50N12OL020M01021OO51IO', [3, 3, 12, 16]],
  ])('of %i × %i packed in %j', (height, width, counts, box) => {
    expect(Object.values(boxOfRuns({ size: [height, width], counts }) ?? {})).toEqual(box);
  });

  it.each<[string, readonly number[] | string]>([
    ['nothing marked', [12]],
    ['more than the picture', [5, 8]],
    ['a length below 0', [5, -1]],
    ['half a pixel', [5, 0.5]],
    ['a text that is cut off', '6`'],
    ['characters that are none', '6 2'],
    ['a number without end', 'ooooooooooooooooo1'],
  ])('mark no box: %s', (_, counts) => {
    expect(boxOfRuns({ size: [4, 3], counts })).toBeUndefined();
  });
});
