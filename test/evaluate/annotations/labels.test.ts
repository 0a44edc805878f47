import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseTable } from '../../../src/evaluate/annotations/delimited.js';
import { labelsOf } from '../../../src/evaluate/annotations/labels.js';
import { openDataSets } from '../data-set.js';

let sets: Awaited<ReturnType<typeof openDataSets>>;
beforeAll(async () => {
  sets = await openDataSets();
});
afterAll(() => sets.remove());

const network = {
  classes: ['cat', 'great white shark', '5', 'crane', 'crane', 'n02123045 tabby, tabby cat'],
  wnids: ['n02121620', 'n01484850', undefined, 'n03126707', 'n02012849', undefined],
};
const cells = (text: string) => parseTable(text).map((row) => row.cells);

let count = 0;
async function table(text: string | Buffer, pictures: readonly string[]) {
  const name = `labels-${count++}.csv`;
  await sets.write({ [name]: text });
  return labelsOf(pictures, network, join(sets.folder, name));
}

describe('tables', () => {
  it('have cells between commas, semicolons, tabs or spaces', () => {
    const rows = [
      ['a.jpg', 'cat'],
      ['b c.jpg', 'dog'],
    ];
    expect(cells('a.jpg,cat\nb c.jpg,dog')).toEqual(rows);
    expect(cells('a.jpg;cat\r\n\r\nb c.jpg; dog \r\n')).toEqual(rows);
    expect(cells('a.jpg\tcat\rb c.jpg\tdog')).toEqual(rows);
    expect(cells('a.jpg cat\nb c.jpg   dog\n')).toEqual(rows);
    expect(cells('a.jpg;shark, white\nb.jpg;cat, tabby')).toEqual([
      ['a.jpg', 'shark, white'],
      ['b.jpg', 'cat, tabby'],
    ]);
    expect(cells('')).toEqual([]);
  });

  it('may be quoted, with quotes, delimiters and line ends inside', () => {
    expect(parseTable('"a, ""b"".jpg","x\ny"\n c , "d" \n"e"')).toEqual([
      { cells: ['a, "b".jpg', 'x\ny'], line: 1 },
      { cells: ['c', 'd'], line: 3 },
      { cells: ['e'], line: 4 },
    ]);
    expect(cells('a"b,c\nd,e')).toEqual([
      ['a"b', 'c'],
      ['d', 'e'],
    ]);
  });
});

describe('labels', () => {
  it('come from the folder, by name, index or WordNet id', async () => {
    const pictures = [
      'd/cat/1.jpg',
      'd/0/2.jpg',
      'd/n01484850/3.jpg',
      'd/Great_White_Shark/4.jpg',
      'd/n02123045/images/5.jpg',
      'd/5/6.jpg',
    ];
    expect(await labelsOf(pictures, network, 'folder')).toEqual([0, 0, 1, 1, 5, 2]);
  });

  it('come from what the file name begins with', async () => {
    const pictures = ['d/001_n01_shark.jpg', '0.jpg', 'n01484850_12.JPEG', '003_crane.jpg'];
    expect(await labelsOf(pictures, network, 'prefix')).toEqual([1, 0, 1, 3]);
  });

  it.each([
    ['plain', 'x/a.jpg,great white shark\nb.jpg, 0\n'],
    ['with semicolons', 'a.jpg;1\nb.jpg;cat\n'],
    ['with tabs and a head', 'image\tlabel\na.jpg\tn01484850\nb.jpg\tcat\n'],
    ['quoted', '"a.jpg","great white shark"\n"b.jpg","cat"\n'],
    ['with spaces', 'x/a.jpg 1\nx/b.jpg 0\n'],
    ['with a byte-order mark', '\ufefffilename,class\na.jpg,1\nb.jpg,0'],
    ['in UTF-16', Buffer.from('\ufeffa.jpg,1\r\nb.jpg,0\r\n', 'utf16le')],
    ['the other way round', 'label,filename\n1,a.jpg\n0,b.jpg\n'],
    ['the other way round, without a head', '1,a.jpg\n0,b.jpg\n'],
    [
      'with an index before and more behind',
      ',image_id,split,breed\n0,a,train,great white shark\n1,b,test,cat\n',
    ],
    ['of ids without extensions', 'id,label\na,1\nb,0'],
    ['with a line twice', 'a.jpg,1\na.jpg,1\nb.jpg,0\n'],
  ])('come from a table: %s', async (_, text) => {
    expect(await table(text, ['y/x/a.jpg', 'y/x/b.jpg'])).toEqual([1, 0]);
  });

  it('come from the line of the same path', async () => {
    const pictures = ['y/cat/a.jpg', 'y/shark/a.jpg'];
    expect(await table('cat/a.jpg,cat\nshark/a.jpg,1', pictures)).toEqual([0, 1]);
    const [first] = (await table('a.jpg,cat\nshark/b.jpg,1', [...pictures, 'y/shark/b.jpg'])) as {
      problem: string;
    }[];
    expect(first.problem).toMatch(/labels-\d+\.csv:1 could be of "y\/cat\/a\.jpg" or of "y\/shark\/a\.jpg"/);
  });

  it('that are wrong are the problem of their picture', async () => {
    expect(
      await table('a.jpg,cats\nb.jpg,0\nc.jpg,crane\nd.jpg,17\nd.jpg,0', [
        'a.jpg',
        'b.jpg',
        'c.jpg',
        'd.jpg',
        'e.jpg',
      ]),
    ).toEqual([
      {
        problem: expect.stringMatching(
          /^The label of "a\.jpg" in .*:1 must be a class name, a WordNet id that the sidecar's "classes" give, or an index below 6; received "cats"\. Closest: "cat"\.$/,
        ),
      },
      0,
      {
        problem: expect.stringContaining('received "crane". Classes 3 and 4 are called so: give the index.'),
      },
      { problem: expect.stringMatching(/^"d\.jpg" could be annotated by .*:4 or .*:5/) },
      { problem: expect.stringMatching(/has no line for "e\.jpg"\.$/) },
    ]);
  });

  it('must be there for some picture', async () => {
    await expect(labelsOf(['d/dogs/1.jpg'], network, 'folder')).rejects.toThrow('received "dogs"');
    await expect(labelsOf(['a.jpg'], network, 'prefix')).rejects.toThrow('received ""');
    await expect(labelsOf(['006.jpg'], network, 'prefix')).rejects.toThrow(
      'an index below 6; received "006"',
    );
    await expect(table('', ['a.jpg'])).rejects.toThrow('has no line for "a.jpg"');
    await expect(labelsOf(['a.jpg'], network, 'no/such.csv')).rejects.toThrow(
      '"no/such.csv" cannot be read as a table of labels: there is no such file.',
    );
  });
});
