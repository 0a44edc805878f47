import { existsSync } from 'node:fs';
import { readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readClassNames } from '../../../src/evaluate/annotations/class-names.js';
import { parseYolo, yolo } from '../../../src/evaluate/annotations/yolo.js';
import { openDataSets } from '../data-set.js';

const shared = fileURLToPath(new URL('../../../../shared/', import.meta.url));
let sets: Awaited<ReturnType<typeof openDataSets>>;
beforeAll(async () => {
  sets = await openDataSets();
});
afterAll(() => sets.remove());

const names = { names: ['cat', 'dog', ''], path: 'classes.txt', keyPoints: 0 };
/** Class, edges to four digits, and unit of every line. */
function boxes(text: string, of = names) {
  return parseYolo(text, of, 'a.txt').map(({ class: name, box, unit }) => {
    const edges = [box.x0, box.y0, box.x1, box.y1].map((edge) => Math.round(edge * 1e4) / 1e4 + 0);
    return [name, ...edges, unit];
  });
}

describe('lines of YOLO labels', () => {
  it.each([
    ['a box', '1 0.375 0.5 0.25 0.6', ['dog', 0.25, 0.2, 0.5, 0.8]],
    ['a box with a confidence', '0 0.5 0.5 1 1 0.93', ['cat', 0, 0, 1, 1]],
    ['a triangle', '0 0.2 0.9 0.5 0.1 0.8 0.9', ['cat', 0.2, 0.1, 0.8, 0.9]],
    ['an oriented box', '1 0.5 0.1 0.9 0.5 0.5 0.9 0.1 0.5', ['dog', 0.1, 0.1, 0.9, 0.9]],
    ['a polygon of many points', `0${' 0.25 0.25 0.75 0.5'.repeat(40)}`, ['cat', 0.25, 0.25, 0.75, 0.5]],
    ['edges that were rounded', '0 0.5 0.5 1.00001 1.00001', ['cat', 0, 0, 1, 1]],
    ['tabs and a float for the class', '1.0\t0.5 0.5\t0.5 0.5', ['dog', 0.25, 0.25, 0.75, 0.75]],
  ])('%s', (_, line, [name, ...edges]) => {
    expect(boxes(`${line}\r\n\n`)).toEqual([[name, ...edges, 'fraction']]);
  });

  it('take key points for what kpt_shape says', () => {
    const pose = { ...names, keyPoints: 6 };
    expect(boxes('0 0.5 0.5 0.4 0.4 0.1 0.9 2 0.3 0.7 1', pose)).toEqual([
      ['cat', 0.3, 0.3, 0.7, 0.7, 'fraction'],
    ]);
  });

  it('are oriented boxes in pixels where they are DOTA’s', () => {
    const text =
      'imagesource:GoogleEarth\ngsd:0.146\n10 20 110 20 110 70 10 70 large-vehicle 1\n0 0 5 0 5 5 0 5 plane 0';
    expect(boxes(text)).toEqual([
      ['large-vehicle', 10, 20, 110, 70, 'pixel'],
      ['plane', 0, 0, 5, 5, 'pixel'],
    ]);
    expect(parseYolo(text, undefined, 'a.txt').map(({ isFlagged }) => isFlagged)).toEqual([true, false]);
  });

  it.each([
    [
      '0 .5 .5 1 1\n7 .5 .5 1 1',
      'a.txt:2 must begin with a class below 3 that has a name in classes.txt; received "7 .5 .5 1 1"',
    ],
    ['2 .5 .5 1 1', 'a.txt:1 must begin with a class below 3 that has a name'],
    ['-1 .5 .5 1 1', 'a.txt:1 must begin with a class below 3'],
    ['0.5 .5 .5 1 1', 'a.txt:1 must begin with a class below 3'],
    [
      '0 320 240 640 480',
      'a.txt:1 must hold fractions of the picture, from 0 to 1; received "0 320 240 640 480", which looks like pixels. Divide',
    ],
    ['0 0.1 0.1 200 0.1 200 0.9', 'a.txt:1 must hold fractions'],
    ['0 0.5 0.5 0.2', 'a.txt:1 must be "class cx cy w h" or "class x1 y1 x2 y2 x3 y3 …"'],
    ['0 0.5 0.5 0.2 wide', 'a.txt:1 must be "class cx cy w h"'],
    ['0 0.5 0.5 NaN 0.1', 'a.txt:1 must be "class cx cy w h"'],
    ['0 0.5 0.5 1e999 0.1', 'a.txt:1 must be "class cx cy w h"'],
    ['0 .1 .1 .2 .2 .3 .3 .4', 'a.txt:1 must be "class cx cy w h"'],
  ])('are refused, by file and line: %j', (text, message) => {
    expect(() => parseYolo(text, names, 'a.txt')).toThrow(message);
  });

  it('need names', () => {
    expect(() => parseYolo('0 .5 .5 1 1', undefined, 'labels/a.txt')).toThrow(
      'labels/a.txt:1 names a class by its index, and there are no names: no data.yaml, data.yml, classes.json, classes.txt, obj.names in "labels" or the folders above it.',
    );
  });
});

/** A list of lists of lists … that would be 10⁹ names. */
const bomb = `a: &a [x]\n${Array.from({ length: 9 }, (_, i) => {
  const [from, to] = ['abcdefghij'[i], 'abcdefghij'[i + 1]];
  return `${to}: &${to} [${Array(10).fill(`*${from}`).join(', ')}]\n`;
}).join('')}names: *j`;

describe('class names of YOLO data sets', () => {
  const utf16 = (text: string) => Buffer.from(`\ufeff${text}`, 'utf16le');

  it.each<[string, string, string | Buffer, string[]]>([
    ['one a line, padded', 'classes.txt', ' cat \r\ndog\t\r\n\r\n', ['cat', 'dog']],
    ['with a byte-order mark', 'classes.txt', '\ufeffcat\ndog', ['cat', 'dog']],
    ['in UTF-16', 'classes.txt', utf16('cat\r\nd\u00f6g\r\n'), ['cat', 'd\u00f6g']],
    ['in UTF-16 without a mark', 'obj.names', utf16('cat\ndog').subarray(2), ['cat', 'dog']],
    ['in UTF-16, the other way round', 'classes.txt', utf16('cat\ndog').swap16(), ['cat', 'dog']],
    ['with a line that is empty', 'classes.txt', 'cat\n\ndog\n', ['cat', '', 'dog']],
    ['of a Mac of old', 'classes.txt', 'cat\rdog', ['cat', 'dog']],
    ['in JSON', 'classes.json', '["cat", "dog"]', ['cat', 'dog']],
    ['in JSON by index', 'classes.json', '{"0": "cat", "1": "dog"}', ['cat', 'dog']],
    [
      'in a list of data.yaml',
      'data.yaml',
      'train: ../train/images\nnc: 2\nnames: [cat, "dog"]\n',
      ['cat', 'dog'],
    ],
    ['in a block', 'data.yaml', 'names:\n- cat # the first\n- dog\n', ['cat', 'dog']],
    ['in a map', 'data.yaml', '\ufeffpath: x\nnames:\n  0: cat\n  2: dog\n', ['cat', '', 'dog']],
    [
      'that YAML takes for something else',
      'data.yaml',
      'names: [yes, 1, null-ish]',
      ['yes', '1', 'null-ish'],
    ],
    ['in any yaml', 'coco8.yaml', 'names: {0: cat, 1: dog}', ['cat', 'dog']],
    ['of Roboflow', '_darknet.labels', 'cat\ndog', ['cat', 'dog']],
    ['of darknet', 'coco.names', 'cat\ndog', ['cat', 'dog']],
  ])('are read %s', async (what, file, content, expected) => {
    const set = `names ${what}`;
    await sets.write({ [`${set}/${file}`]: content, [`${set}/labels/train/a.txt`]: '' });
    expect((await readClassNames(join(sets.folder, set, 'labels/train')))?.names).toEqual(expected);
    expect((await readClassNames(join(sets.folder, set)))?.names).toEqual(expected);
  });

  it.each([
    ['data.yaml', 'names: cat', 'must hold "names", a list or a map from indexes to names; received "cat"'],
    ['data.yaml', 'names:\n  cat: 0', 'must hold "names"'],
    ['data.yaml', 'names: [cat', 'is not YAML'],
    ['data.yaml', bomb, 'is not YAML: Excessive alias count'],
    ['data.yaml', 'names: [[cat]]', 'must hold "names"'],
    ['data.yaml', '', 'must hold "names", a list or a map from indexes to names; received undefined'],
    ['classes.json', '["cat"', 'is not JSON'],
    ['classes.json', '{"cat": 0}', 'must be an array of class names'],
  ])('are refused in one sentence: %s %j', async (file, content, message) => {
    const set = `bad names/${file} ${content.replaceAll(/\W/g, '_').slice(0, 10)}`;
    await sets.write({ [`${set}/${file}`]: content });
    const path = join(sets.folder, set, file);
    await expect(readClassNames(join(sets.folder, set))).rejects.toThrow(
      `${JSON.stringify(path)} ${message}`,
    );
  });

  it('say how many numbers key points take', async () => {
    await sets.write({ 'pose/data.yaml': 'kpt_shape: [17, 3]\nnames: [person]' });
    expect(await readClassNames(join(sets.folder, 'pose'))).toMatchObject({
      names: ['person'],
      keyPoints: 51,
    });
  });
});

describe('a folder of YOLO labels', () => {
  it('has an entry for each file of labels, below folders too', async () => {
    await sets.write({
      'yolo/data.yaml': 'names: [cat]',
      'yolo/labels/a.b.txt': '0 .5 .5 1 1',
      'yolo/labels/train/none.txt': '',
      'yolo/labels/classes.txt': 'cat',
    });
    const { classes, entries } = await yolo.read(join(sets.folder, 'yolo/labels'), []);
    expect(classes).toEqual(['cat']);
    expect(entries.map(({ picture }) => picture)).toEqual(['a.b.*', 'train/none.*']);
    expect(await Promise.all(entries.map(({ read }) => read()))).toMatchObject([
      { objects: [{ class: 'cat', place: `${join(sets.folder, 'yolo/labels/a.b.txt')}:1` }] },
      { objects: [] },
    ]);
  });

  it('may lie behind links, and a link back ends nowhere', async () => {
    await sets.write({ 'real/train/a.txt': '0 .5 .5 1 1', 'linked/labels/b.txt': '' });
    await symlink(join(sets.folder, 'real/train'), join(sets.folder, 'linked/labels/train'));
    await symlink(join(sets.folder, 'linked'), join(sets.folder, 'linked/labels/back'));
    const { entries } = await yolo.read(join(sets.folder, 'linked/labels'), []);
    expect(entries.map(({ picture }) => picture)).toEqual(['b.*', 'train/a.*']);
  });

  it('must hold labels', async () => {
    await sets.write({ 'empty/classes.txt': 'cat' });
    await expect(yolo.read(join(sets.folder, 'empty'), [])).rejects.toThrow('one <picture>.txt a picture');
    await expect(yolo.read(join(sets.folder, 'missing'), [])).rejects.toThrow(
      'cannot be read as a folder of YOLO labels',
    );
  });

  it.skipIf(!existsSync(shared))(
    'may be that of the 128 COCO pictures of ../shared (skipped where it is missing)',
    async () => {
      const folder = join(shared, 'images/coco128/labels');
      const { entries } = await yolo.read(folder, []);
      const objects = (await Promise.all(entries.map(({ read }) => read()))).map(
        (found) => found.objects ?? [],
      );
      const at = entries.findIndex(({ picture }) => picture === '000000000025.*');
      const text = await readFile(join(folder, '000000000025.txt'), 'utf8');
      expect(objects[at].length).toBe(text.trim().split('\n').length);
      expect(objects[at][0].class).toBe('giraffe');
      expect(
        objects.flat().every(({ box }) => box.x0 >= -1e-5 && box.x1 <= 1 + 1e-5 && box.x0 < box.x1),
      ).toBe(true);
    },
  );
});
