import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pictureKey } from '../../../src/evaluate/annotations/annotation.js';
import { readCoco } from '../../../src/evaluate/annotations/coco.js';
import { labelsOf } from '../../../src/evaluate/annotations/labels.js';
import { mappingByName, readMapping } from '../../../src/evaluate/annotations/mapping.js';
import { boxInInput, regionOfBoxes, regionOfMask } from '../../../src/evaluate/annotations/region.js';
import { parseVoc, readVoc } from '../../../src/evaluate/annotations/voc.js';
import { readYolo } from '../../../src/evaluate/annotations/yolo.js';

const shared = fileURLToPath(new URL('../../../../shared/', import.meta.url));
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'annotations-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function write(path: string, text: string): Promise<string> {
  const full = join(folder, path);
  await mkdir(join(full, '..'), { recursive: true });
  await writeFile(full, text);
  return full;
}

// One picture of 200 × 100 with a dog from (50, 20) to (100, 80), in three formats.
const dog = { class: 'dog', box: { x0: 0.25, y0: 0.2, x1: 0.5, y1: 0.8 } };
const voc = `<?xml version="1.0" encoding="utf-8"?>
<!-- <object><name>cat</name></object> -->
<annotation verified="no">
  <filename>a.b.jpg</filename>
  <size><width>200</width><height>100</height><depth>3</depth></size>
  <object>
    <name>dog</name><pose>Left</pose><difficult>1</difficult>
    <part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></part>
    <bndbox><xmax>100</xmax><xmin> 51 </xmin><ymin>21</ymin><ymax>80.0</ymax></bndbox>
  </object>
</annotation>`;

describe('annotation readers', () => {
  it('name pictures as the formats do', () => {
    expect(['x/000025.jpg', 'a.b.png', 'C:\\d\\e.jpg', '.hidden', 'plain'].map(pictureKey)).toEqual([
      '000025',
      'a.b',
      'e',
      '.hidden',
      'plain',
    ]);
  });

  it('read YOLO labels, with classes in JSON or text, here or one folder up', async () => {
    await write('yolo/labels/a.b.txt', '1 0.375 0.5 0.25 0.6\r\n\n');
    await write('yolo/labels/none.txt', '');
    await write('yolo/classes.json', '["cat", "dog"]');
    const annotations = await readYolo(join(folder, 'yolo/labels'));
    expect([...annotations.keys()]).toEqual(['a.b', 'none']);
    expect(annotations.get('a.b')).toEqual([dog]);
    expect(annotations.get('none')).toEqual([]);
    await write('text/classes.txt', 'cat\ndog\n');
    await write('text/a.txt', '0 0.5 0.5 1 1 0.93');
    expect((await readYolo(join(folder, 'text'))).get('a')?.[0].class).toBe('cat');
  });

  it('say which YOLO line is wrong', async () => {
    await write('bad/classes.txt', 'cat\ndog');
    const path = await write('bad/a.txt', '0 .5 .5 1 1\n2 .5 .5 1 1');
    await expect(readYolo(join(folder, 'bad'))).rejects.toThrow(
      `${path}:2 must be "class cx cy w h" with a class below 2; received "2 .5 .5 1 1".`,
    );
    await write('none/a.txt', '');
    await expect(readYolo(join(folder, 'none'))).rejects.toThrow('no classes.json, classes.txt, obj.names');
    await write('empty/classes.txt', 'cat');
    await expect(readYolo(join(folder, 'empty'))).rejects.toThrow('one <picture>.txt a picture');
  });

  it('read Pascal VOC: pixels from 1, both ends included, parts and comments left alone', async () => {
    await write('voc/a.b.xml', voc);
    expect((await readVoc(join(folder, 'voc'))).get('a.b')).toEqual([dog]);
    expect(() => parseVoc('<annotation><size>', 'x.xml')).toThrow('"x.xml" is not XML');
    expect(() => parseVoc('<html/>', 'x.xml')).toThrow('must be a VOC <annotation>; received <html>');
    expect(() => parseVoc(voc.replace('51', 'left'), 'x.xml')).toThrow(
      '<xmin> in "x.xml" must be a number above 0; received " left "',
    );
  });

  it('read COCO instances', async () => {
    const coco = {
      images: [
        { id: 7, file_name: 'train/a.b.jpg', width: 200, height: 100 },
        { id: 8, file_name: 'c.jpg', width: 5, height: 5 },
      ],
      annotations: [{ image_id: 7, category_id: 18, bbox: [50, 20, 50, 60], iscrowd: 0 }],
      categories: [{ id: 18, name: 'dog' }],
    };
    const annotations = await readCoco(await write('coco.json', JSON.stringify(coco)));
    expect(annotations.get('a.b')).toEqual([dog]);
    expect(annotations.get('c')).toEqual([]);
    coco.annotations[0].category_id = 3;
    await expect(readCoco(await write('bad.json', JSON.stringify(coco)))).rejects.toThrow('names category 3');
    await expect(readCoco(await write('bad.json', '{"images": [{"id": "x"}]}'))).rejects.toThrow(
      'images.0.id must be number; received "x"',
    );
    await expect(readCoco(await write('bad.json', 'nonsense'))).rejects.toThrow('cannot be read as COCO');
  });

  it.skipIf(!existsSync(shared))(
    'read the 128 COCO pictures of ../shared (skipped where it is missing)',
    async () => {
      const annotations = await readYolo(join(shared, 'images/coco128/labels'));
      const objects = [...annotations.values()].flat();
      const text = await readFile(join(shared, 'images/coco128/labels/000000000025.txt'), 'utf8');
      expect(annotations.get('000000000025')?.length).toBe(text.trim().split('\n').length);
      expect(annotations.get('000000000025')?.[0].class).toBe('giraffe');
      expect(objects.every(({ box }) => box.x0 >= -1e-5 && box.x1 <= 1 + 1e-5 && box.x0 < box.x1)).toBe(true);
    },
  );
});

describe('class mappings', () => {
  it('ship for ImageNet, each class at most once, COCO and VOC agreeing where both have a class', async () => {
    const read = async (name: string): Promise<Record<string, Record<string, string>>> =>
      JSON.parse(await readFile(new URL(`../../../assets/mappings/${name}.json`, import.meta.url), 'utf8'))
        .classes;
    const coco = await read('imagenet-to-coco');
    const voc = await read('imagenet-to-voc');
    expect([Object.keys(coco).length, Object.keys(voc).length]).toEqual([59, 19]);
    for (const mapping of [coco, voc]) {
      const indexes = Object.values(mapping).flatMap((members) => Object.keys(members).map(Number));
      expect(new Set(indexes).size).toBe(indexes.length);
      expect(indexes.every((index) => index >= 0 && index < 1000)).toBe(true);
    }
    const names = {
      aeroplane: 'airplane',
      motorbike: 'motorcycle',
      sofa: 'couch',
      tvmonitor: 'tv',
      diningtable: 'dining table',
    };
    for (const [name, members] of Object.entries(voc))
      expect(members).toEqual(coco[names[name as keyof typeof names] ?? name]);
    // The dogs of ILSVRC 2012 are classes 151 … 268, its birds 7 … 24, 80 … 100 and 127 … 146.
    expect(Object.keys(coco.dog).length).toBe(118);
    expect(Object.keys(coco.bird).length).toBe(59);
  });

  it.skipIf(!existsSync(shared))(
    'fit the 1,000 class names of ../shared (skipped where it is missing)',
    async () => {
      const list: { name: string }[] = JSON.parse(
        await readFile(join(shared, 'models/imagenet-classes.json'), 'utf8'),
      );
      const classes = list.map(({ name }) => name);
      const coco = await readMapping('imagenet-to-coco', classes);
      expect([404, 281, 999].map(coco)).toEqual(['airplane', 'cat', undefined]);
      expect((await readMapping('imagenet-to-voc', classes))(404)).toBe('aeroplane');
    },
  );

  it('refuse a network with other classes, by name', async () => {
    const path = await write('mapping.json', '{"classes": {"pet": {"0": "cat", "1": "dog"}}}');
    const mapping = await readMapping(path, ['cat', 'dog', 'car']);
    expect([0, 1, 2].map(mapping)).toEqual(['pet', 'pet', undefined]);
    await expect(readMapping(path, ['dog', 'cat'])).rejects.toThrow(
      'class 0 is "cat"; the network calls it "dog"',
    );
    await expect(readMapping('imagenet-to-cocoa', [])).rejects.toThrow('Closest: "imagenet-to-coco"');
    await expect(
      readMapping(await write('m.json', '{"classes": {"pet": {"cat": "0"}}}'), []),
    ).rejects.toThrow('must be {"classes"');
  });

  it('fall back to equal names', () => {
    const mapping = mappingByName(['Cat', 'dog', 'car'], ['cat', 'dog', 'cow']);
    expect([0, 1, 2].map(mapping)).toEqual(['cat', 'dog', undefined]);
    expect(() => mappingByName(['n01'], ['cat'])).toThrow('Give a mapping; shipped: imagenet-to-coco');
  });
});

describe('from the picture to the network input', () => {
  // 200 × 100 picture, the middle 100 × 100 shown at 50 × 50.
  const geometry = {
    picture: { width: 200, height: 100 },
    crop: { x: 50, y: 0, width: 100, height: 100 },
    input: { width: 50, height: 50 },
  };

  it('maps boxes and cuts them to the crop', () => {
    expect(boxInInput({ x0: 0.5, y0: 0.2, x1: 0.6, y1: 0.4 }, geometry)).toEqual({
      x0: 25,
      y0: 10,
      x1: 35,
      y1: 20,
    });
    expect(boxInInput({ x0: 0, y0: 0, x1: 1, y1: 1 }, geometry)).toEqual({ x0: 0, y0: 0, x1: 50, y1: 50 });
    expect(boxInInput({ x0: 0, y0: 0, x1: 0.25, y1: 1 }, geometry)).toBeUndefined();
  });

  it('marks the pixels whose centre is inside, and never loses a small box', () => {
    const region = (x0: number, y0: number, x1: number, y1: number) => [
      ...regionOfBoxes([{ x0, y0, x1, y1 }], 3, 2),
    ];
    expect(region(0.5, 0, 2.5, 2)).toEqual([1, 1, 0, 1, 1, 0]);
    expect(region(0.6, 0.6, 3, 2)).toEqual([0, 0, 0, 0, 1, 1]);
    expect(region(2.6, 0.1, 2.9, 0.2)).toEqual([0, 0, 1, 0, 0, 0]);
    expect(region(2.9, 1.9, 3, 2)).toEqual([0, 0, 0, 0, 0, 1]);
    const two = regionOfBoxes(
      [
        { x0: 0, y0: 0, x1: 2, y1: 1 },
        { x0: 1, y0: 0, x1: 3, y1: 1 },
      ],
      3,
      2,
    );
    expect([...two]).toEqual([1, 1, 1, 0, 0, 0]);
  });

  it('sees masks of any size through the crop', () => {
    // A mask of 4 × 2 over the same picture: its column 2 is the picture's 100 … 150, the input's 25 … 50.
    const mask = { data: Uint8Array.from([0, 0, 255, 0, 0, 0, 0, 0]), width: 4, height: 2 };
    const inside = regionOfMask(mask, geometry);
    const expected = Uint8Array.from({ length: 2500 }, (_, p) => (p % 50 >= 25 && p < 1250 ? 1 : 0));
    expect(inside).toEqual(expected);
  });
});

describe('labels', () => {
  const classes = ['cat', 'dog', '5'];

  it('come from the folder, the file name or a table', async () => {
    expect(await labelsOf(['d/dog/1.jpg', 'd/0/2.jpg'], classes, 'folder')).toEqual([1, 0]);
    expect(await labelsOf(['d/001_n01_dog.jpg', '0.jpg'], classes, 'prefix')).toEqual([1, 0]);
    const table = await write('labels.csv', 'x/a.jpg,dog\nb.jpg, 0\n');
    expect(await labelsOf(['y/b.jpg', 'a.jpg'], classes, table)).toEqual([0, 1]);
    await expect(labelsOf(['c.jpg'], classes, table)).rejects.toThrow('has no line "c.jpg,<class>"');
  });

  it('must be classes', async () => {
    await expect(labelsOf(['d/dogs/1.jpg'], classes, 'folder')).rejects.toThrow(
      'received "dogs". Closest: "dog"',
    );
    await expect(labelsOf(['a.jpg'], classes, 'prefix')).rejects.toThrow('received ""');
    await expect(labelsOf(['003.jpg'], classes, 'prefix')).rejects.toThrow(
      'an index below 3; received "003"',
    );
  });
});
