import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { archiveEnd, encodeMember } from '../../../src/batch/inputs/tar.js';
import { encodePng } from '../../../src/image/encode.js';
import { encodeNpy } from '../../../src/image/npy.js';
import { readPicture } from '../../../src/train/data/picture-source.js';
import { labelledPictures } from '../../../src/train/data/sources/index.js';

let root: string;
const at = (...parts: string[]) => join(root, ...parts);

/** A picture of one colour, 4 × 2. */
const picture = (level: number) =>
  encodePng({ data: new Uint8Array(24).fill(level), width: 4, height: 2, channels: 3 });

async function put(name: string, content: string | Uint8Array): Promise<string> {
  await mkdir(dirname(at(name)), { recursive: true });
  await writeFile(at(name), content);
  return at(name);
}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'gradcampp-sources-'));
  for (const [i, name] of ['a', 'b', 'c', 'd'].entries()) await put(`pictures/${name}.png`, picture(10 * i));
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** What a list is understood as, names for indices. */
async function understood(
  name: string,
  content: string,
  wanted: Parameters<typeof labelledPictures>[2] = {},
) {
  const data = await labelledPictures('data', await put(`pictures/${name}`, content), wanted);
  return {
    classes: data.classes,
    labels: data.labels.map((own) => own.map((label) => data.classes[label]).join('+')),
    names: data.pictures.map(({ name: path }) => path.slice(at('pictures').length + 1)),
    several: data.isMultiLabel,
    note: data.notes[0].slice(data.notes[0].indexOf(': ') + 2),
    notes: data.notes,
  };
}
const refused = (name: string, content: string, wanted: Parameters<typeof labelledPictures>[2] = {}) =>
  expect(understood(name, content, wanted)).rejects;

describe('a list', () => {
  test.each([
    ['with a head', 'x.csv', 'path,label\na.png,cat\nb.png,dog\n', 'columns "path" and "label"'],
    [
      'columns that are not used',
      'x.csv',
      'path,label,author\na.png,cat,Ann\nb.png,dog,Ben\n',
      'columns "path" and "label" (not used: "author")',
    ],
    ['without', 'x.csv', 'a.png,cat\nb.png,dog\n', 'no header'],
    ['classes first', 'x.csv', 'cat,a.png\ndog,b.png\n', 'no header'],
    ['a head in other words', 'x.csv', 'bild,art\na.png,cat\nb.png,dog\n', 'columns "bild" and "art"'],
    ['tabs', 'x.tsv', 'a.png\tcat\nb.png\tdog\n', 'no header'],
    ['spaces', 'x.txt', 'a.png cat\nb.png dog\n', 'no header'],
    [
      'quotes, CRLF and a mark',
      'x.csv',
      '\ufeff"filename","class"\r\n"a.png","cat"\r\n"b.png","dog"\r\n',
      'columns',
    ],
    [
      'JSON',
      'x.jsonl',
      '{"path":"a.png","label":"cat"}\n\n{"path":"b.png","label":"dog"}\n',
      '"path" and "label"',
    ],
    ['JSON arrays', 'x.jsonl', '["a.png","cat"]\n["b.png","dog"]\n', '"path" and "label"'],
  ])('%s', async (_, name, content, how) => {
    const found = await understood(name, content);
    expect(found).toMatchObject({
      classes: ['cat', 'dog'],
      labels: ['cat', 'dog'],
      names: ['a.png', 'b.png'],
      several: false,
    });
    expect(found.note).toContain(how);
    expect(found.note).toContain('one class a picture');
  });

  test('of numbers 0 and 1 under "label" has one class, whatever other column is so', async () => {
    const found = await understood('x.csv', 'path,label,flag\na.png,1,0\nb.png,0,1\n');
    expect(found).toMatchObject({ classes: ['0', '1'], labels: ['1', '0'] });
    expect(found.note).toContain('(not used: "flag")');
  });

  test.each([
    [
      'a column',
      'x.csv',
      'path,label,Split\na.png,cat,train\nb.png,dog,VAL\nc.png,cat,test\nd.png,dog,training\n',
    ],
    [
      'a column beside one a class',
      'x.tsv',
      'path\tcat\tdog\tsubset\na.png\t1\t0\ttrain\nb.png\t0\t1\tvalid\nc.png\t1\t0\ttest\nd.png\t0\t1\ttrain\n',
    ],
    [
      'a key',
      'x.jsonl',
      ['a cat train', 'b dog dev', 'c cat testing', 'd dog fit']
        .map((line) => line.split(' '))
        .map(([name, label, set]) => JSON.stringify({ path: `${name}.png`, label, set }))
        .join('\n'),
    ],
  ])('%s says what pictures are for', async (_, name, content) => {
    const data = await labelledPictures('data', await put(`pictures/${name}`, content));
    expect(data.parts).toEqual(['train', 'validation', 'test', 'train']);
    expect(data.notes[0]).not.toContain('not used');
  });

  test('what pictures are for is not guessed at', async () => {
    const cards = await labelledPictures(
      'data',
      await put('pictures/x.csv', 'path,label,set\na.png,cat,red\nb.png,dog,blue\n'),
    );
    expect(cards.parts).toBeUndefined();
    expect(cards.notes[0]).toContain('(not used: "set")');
    await refused('x.csv', 'path,label,split\na.png,cat,train\nb.png,dog,tset\n').toThrow(
      /train, validation or test, or leave that out; line 3 has "tset"/,
    );
    await refused('x.csv', 'path,label,split\na.png,cat,train\nb.png,dog,\n').toThrow(/line 3 has ""/);
    await refused('x.csv', 'path,label,split\na.png,cat,train\na.png,cat,test\nb.png,dog,test\n').toThrow(
      /"[^"]*a\.png" twice, for train \(line 2\) and for test \(line 3\)/,
    );
  });

  test('the column of pictures is the one that names files', async () => {
    const found = await understood('x.csv', 'id,file,species\n1,a.png,cat\n2,b.png,dog\n');
    expect(found.names).toEqual(['a.png', 'b.png']);
    expect(found.note).toContain('columns "file" and "species"');
  });

  test.each([
    ['words', 'x.csv', 'a.png,cat dog\nb.png,dog\nc.png,cat\nd.png,\n', {}],
    ['words under a plural', 'x.csv', 'image,labels\na.png,dog cat\nb.png,dog\nc.png,cat\nd.png,\n', {}],
    ['bars', 'x.csv', 'a.png,cat|dog\nb.png,dog\nc.png,cat\nd.png,\n', {}],
    ['known classes', 'x.csv', 'a.png,cat dog\nb.png,dog\nc.png,cat\nd.png,\n', { classes: ['cat', 'dog'] }],
    [
      'indices of known classes',
      'x.csv',
      'a.png,0 1\nb.png,1\nc.png,0\nd.png,\n',
      { classes: ['cat', 'dog'], several: true },
    ],
    [
      'arrays in cells',
      'x.csv',
      'a.png,"[""cat"",""dog""]"\nb.png,"[\'dog\']"\nc.png,"[""cat""]"\nd.png,[]\n',
      {},
    ],
    ['a column a class', 'x.csv', 'image,cat,dog\na.png,1,1\nb.png,0,1\nc.png,1,0\nd.png,0,0\n', {}],
    [
      'arrays in JSON',
      'x.jsonl',
      '{"file":"a.png","labels":["cat","dog"]}\n{"file":"b.png","labels":["dog"]}\n{"file":"c.png","labels":["cat"]}\n{"file":"d.png","labels":[]}',
      {},
    ],
    [
      'a line for each class',
      'x.csv',
      'a.png,cat\na.png,dog\nb.png,dog\nc.png,cat\nd.png,\n',
      { several: true },
    ],
  ])('of several classes: %s', async (_, name, content, wanted) => {
    const found = await understood(name, content, wanted);
    expect(found).toMatchObject({
      classes: ['cat', 'dog'],
      labels: ['cat+dog', 'dog', 'cat', ''],
      several: true,
    });
    expect(found.note).toContain('several classes a picture');
  });

  test('a class of two words is one class', async () => {
    const breeds = 'a.png,golden retriever\nb.png,german shepherd\nc.png,poodle\n';
    expect(await understood('x.csv', breeds)).toMatchObject({
      classes: ['german shepherd', 'golden retriever', 'poodle'],
      several: false,
    });
    const crossed = 'a.png,fresh apple\nb.png,rotten apple\nc.png,fresh pear\nd.png,rotten pear\n';
    expect((await understood('x.csv', crossed)).several).toBe(false);
    const forced = await understood('x.csv', 'a.png,cat dog\nb.png,cat dog\n', {
      several: false,
      classes: ['cat dog'],
    });
    expect(forced.labels).toEqual(['cat dog', 'cat dog']);
  });

  test('a repeated line is taken once, and said', async () => {
    const found = await understood('x.csv', 'a.png,cat\nb.png,dog\n./a.png,cat\n');
    expect(found.labels).toEqual(['cat', 'dog']);
    expect(found.notes[1]).toMatch(/names a picture again with the same class: taken once/);
  });

  test('what is wrong is one sentence, with its line', async () => {
    await refused('x.csv', '').toThrow(/"data" ".*x\.csv" is empty: a line for each picture/);
    await refused('x.csv', 'path,label\n').toThrow('names no pictures');
    await refused('x.csv', 'a.png\nb.png\n').toThrow('has no class in line 1, which is "a.png"');
    await refused('x.csv', 'a.png,1,2\nb.png,3,4\n').toThrow('has 3 columns and no header');
    await refused('x.csv', 'a.png,cat\nb.png\n').toThrow('has no class in line 2, which is "b.png"');
    await refused('x.csv', 'a.png,cat\nb.png,\n').toThrow(/line 2, has no class of ".*b\.png", and one is/);
    await refused('x.csv', 'a.png,cat\n,dog\n').toThrow('names no picture in line 2');
    await refused('x.csv', 'a.png,cat\nb.png,dog\na.png,dog\n').toThrow(
      /names ".*a\.png" twice, of class "cat" \(line 1\) and of class "dog" \(line 3\)/,
    );
    const classes = ['cat', 'dog'];
    await refused('x.csv', 'a.png,cat\nb.png,dgo\n', { classes }).toThrow(
      'line 2, has a class "dgo", which is none: the classes are cat, dog. Closest: "dog".',
    );
    await refused('x.csv', 'a.png,0\nb.png,2\n', { classes }).toThrow(
      'line 2, has class 2, and indices go from 0 to 1',
    );
    await refused('x.csv', 'a.png,0\nb.png,-1\n', { classes }).toThrow('has class -1, and indices');
    await refused('x.csv', 'a.png,cat\nb.png,cat\n', { classes }).toThrow('has no pictures of class "dog"');
    await refused('x.jsonl', '{"path":"a.png"}\n').toThrow('with "path" and "label" in each line; line 1 is');
    await refused('x.jsonl', '{"path":"a.png","label":"cat"}\nnull\n').toThrow('line 2 is');
    await refused('x.jsonl', '{"path":"a.png","label":null}\n').toThrow(
      'names or numbers as "label"; line 1 has null',
    );
    await refused('x.jsonl', '{"path":"a.png","label":{"a":1}}\n').toThrow('line 1 has an object {a}');
    await refused('x.jsonl', '{"path":"a.png",\n').toThrow('is not JSON in line 1');
    await refused('x.csv', 'PK\u0003\u0004\0\0').toThrow('is no list: it is no text');
    await refused('x.parquet', 'PAR1').toThrow(/is none of these: tar shards .*; a folder with .*; a list/);
    await expect(labelledPictures('data', at('none.csv'))).rejects.toThrow(
      'cannot be read: there is no such file',
    );
  });

  test('of hundreds of thousands of lines', async () => {
    const found = await understood('x.csv', `${'a.png,cat\n'.repeat(200_000)}b.png,dog\n`);
    expect(found.labels).toEqual(['cat', 'dog']);
    expect(found.notes[1]).toContain('names 199999 pictures again with the same class');
  });

  test('no class is called like a property of objects', async () => {
    const found = await understood('x.csv', 'a.png,constructor\nb.png,__proto__\n');
    expect(found.classes).toEqual(['__proto__', 'constructor']);
  });
});

describe('an array', () => {
  const numbers = (dims: number[], value: (i: number) => number) =>
    Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => value(i));
  const uint8 = (dims: number[], value = (i: number) => i) =>
    encodeNpy({ type: 'uint8', dims, data: Uint8Array.from(numbers(dims, value)) });
  const float32 = (dims: number[], value: (i: number) => number) =>
    encodeNpy({ type: 'float32', dims, data: Float32Array.from(numbers(dims, value)) });
  const int64 = (dims: number[], data: number[]) =>
    encodeNpy({ type: 'int64', dims, data: BigInt64Array.from(data, BigInt) });

  test.each([
    ['[N, C, H, W]', [3, 3, 2, 2], [0, 4, 8]],
    ['[N, H, W, C]', [3, 2, 2, 3], [0, 1, 2]],
    ['[N, H, W]', [3, 2, 2], [0, 0, 0]],
  ])('%s', async (layout, dims, first) => {
    const path = await put('arrays/x_train.npy', uint8(dims));
    await put('arrays/y_train.npy', int64([3, 1], [1, 0, 1]));
    const data = await labelledPictures('data', path);
    expect(data).toMatchObject({ classes: ['0', '1'], labels: [[1], [0], [1]], isMultiLabel: false });
    expect(data.notes[0]).toContain(`3 pictures of 2 × 2 pixels, ${layout} uint8; classes from y_train.npy`);
    const pixels = await readPicture(data.pictures[0]);
    expect([...pixels.data.subarray(0, 3)]).toEqual(first);
    expect(data.pictures[2].name).toBe(`${path}[2]`);
    expect((await readPicture(data.pictures[2])).data[0]).toBe((dims.reduce((a, b) => a * b, 1) / 3) * 2);
  });

  test('floats of 0 to 1, or to 255, names of classes beside them, several classes', async () => {
    const path = await put(
      'floats/images.npy',
      float32([2, 1, 2, 2], (i) => i / 8),
    );
    await put(
      'floats/labels.npy',
      uint8([2, 3], (i) => [1, 1, 0, 0, 0, 1][i]),
    );
    await put('floats/classes.txt', 'cat\ndog\nbird\n');
    const data = await labelledPictures('data', path);
    expect(data).toMatchObject({
      classes: ['cat', 'dog', 'bird'],
      labels: [[0, 1], [2]],
      isMultiLabel: true,
    });
    expect((await readPicture(data.pictures[1])).data[0]).toBe(128);
    await put(
      'floats/images.npy',
      float32([2, 1, 2, 2], (i) => 30 * i),
    );
    expect((await readPicture((await labelledPictures('data', path)).pictures[1])).data[3]).toBe(150);
  });

  test('what is wrong is one sentence', async () => {
    const wrong = async (pictures: Uint8Array, labels: Uint8Array, sentence: string | RegExp) => {
      await put('wrong/x.labels.npy', labels);
      await expect(labelledPictures('data', await put('wrong/x.npy', pictures))).rejects.toThrow(sentence);
    };
    const two = int64([2], [0, 1]);
    await wrong(
      float32([2, 1, 2, 2], (i) => i - 3),
      two,
      'holds -3, and pictures go from 0 to 1 or from 0 to 255',
    );
    await wrong(
      float32([2, 1, 2, 2], () => Number.NaN),
      two,
      'holds NaN, and pictures',
    );
    await wrong(uint8([2, 2, 5, 5]), two, 'has dims [2, 2, 5, 5], and [N, C, H, W] or');
    await wrong(uint8([3, 3, 2, 2]), two, 'has 3 pictures, and x.labels.npy has classes of 2');
    await wrong(uint8([2, 3, 2, 2]), int64([2], [0, -1]), 'row 1 of x.labels.npy is -1n');
    await wrong(uint8([2, 3, 2, 2]), int64([2, 2], [0, 1, 2, 3]), 'has dims [2, 2] and other numbers');
    await wrong(
      int64([2, 3, 1, 1], [1, 2, 3, 4, 5, 6]),
      two,
      'holds numbers of type <i8, and uint8 or float32',
    );
    await wrong(uint8([2, 3, 2, 2]).subarray(0, 140), two, 'ends before its last picture');
    await wrong(Buffer.from('no array'), two, /x\.npy" cannot be read as \.npy: /);
    await expect(
      labelledPictures('data', await put('alone/x_train.npy', uint8([1, 3, 2, 2]))),
    ).rejects.toThrow(
      'has no classes beside it: save them, [N] or [N, classes], as x_train.labels.npy or y_train.npy',
    );
  });
});

describe('shards', () => {
  const shard = (members: Record<string, string | Uint8Array>) =>
    Buffer.concat([
      ...Object.entries(members).map(([name, content]) => encodeMember(name, Buffer.from(content as string))),
      archiveEnd,
    ]);

  test.each([
    ['a folder', 'shards'],
    ['a range', 'shards/s-{000..001}.tar'],
    ['a pattern', 'shards/s-*.tar'],
  ])('by %s', async (_, path) => {
    await put(
      'shards/s-000.tar',
      shard({ 'x/1.png': picture(1), 'x/1.cls': '1\n', 'x/2.seg.png': picture(2), 'x/2.cls': '0' }),
    );
    await put('shards/s-001.tar', shard({ '3.cls': '1', '3.png': picture(3) }));
    const data = await labelledPictures('data', at(path));
    expect(data).toMatchObject({ classes: ['0', '1'], labels: [[1], [0], [1]] });
    expect(data.pictures.map(({ name }) => name.slice(at('shards').length))).toEqual([
      '/s-000.tar/x/1.png',
      '/s-000.tar/x/2.seg.png',
      '/s-001.tar/3.png',
    ]);
    expect((await readPicture(data.pictures[2])).data[0]).toBe(3);
    expect(data.notes[0]).toContain('3 pictures of 2 archives, classes from .cls, one class a picture');
  });

  test('with JSON, compressed, of several classes', async () => {
    const members = {
      'a.png': picture(7),
      'a.json': '{"width": 4, "labels": ["cat", "dog"]}',
      'b.png': picture(9),
      'b.json': '{"labels": []}',
    };
    const data = await labelledPictures('data', await put('one.tar.gz', gzipSync(shard(members))));
    expect(data).toMatchObject({ classes: ['cat', 'dog'], labels: [[0, 1], []], isMultiLabel: true });
    expect((await readPicture(data.pictures[1])).data[0]).toBe(9);
  });

  test('what is wrong is one sentence', async () => {
    const wrong = async (bytes: Uint8Array, sentence: string) =>
      expect(labelledPictures('data', await put('wrong.tar', bytes))).rejects.toThrow(sentence);
    await wrong(shard({ 'a.png': picture(1) }), 'without a class beside it, as a.cls');
    await wrong(
      shard({ 'a.png': picture(1), 'a.json': '{"width": 4}' }),
      'without a class: one of cls, label',
    );
    await wrong(shard({ 'a.png': picture(1), 'a.json': 'no' }), 'which is not JSON');
    await wrong(shard({ 'a.txt': 'x' }), 'holds no pictures');
    await wrong(
      shard({ 'a.png': picture(1), 'a.cls': '0' }).subarray(0, 560),
      'cannot be read: it ends within',
    );
    await expect(labelledPictures('data', at('s-*.tar'))).rejects.toThrow('matches no archives');
    await expect(labelledPictures('data', at('s-{0..1}.tar'))).rejects.toThrow(
      'cannot be read: there is no such file',
    );
  });
});
