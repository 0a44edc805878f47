import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseVoc, voc } from '../../../src/evaluate/annotations/voc.js';
import { openDataSets } from '../data-set.js';

let sets: Awaited<ReturnType<typeof openDataSets>>;
beforeAll(async () => {
  sets = await openDataSets();
});
afterAll(() => sets.remove());

const dog = `<?xml version="1.0" encoding="utf-8"?>
<!-- <object><name>cat</name></object> -->
<annotation verified="no">
  <filename>a.b.jpg</filename>
  <size><width>200</width><height>100</height><depth>3</depth></size>
  <object>
    <name> dog </name><pose>Left</pose><difficult>1</difficult>
    <part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></part>
    <bndbox><xmax>100</xmax><xmin> 51 </xmin><ymin>21</ymin><ymax>80.0</ymax></bndbox>
  </object>
</annotation>`;
const found = { class: 'dog', unit: 'pixel', isFlagged: true, box: { x0: 50, y0: 20, x1: 100, y1: 80 } };
/** The first object of an annotation that holds it. */
const object = async (inner: string, size = '<size><width>200</width><height>100</height></size>') =>
  (await parseVoc(`<annotation>${size}<object>${inner}</object></annotation>`, 'a.xml')).objects?.[0];
const bndbox = (x0: unknown, y0: unknown, x1: unknown, y1: unknown) =>
  `<bndbox><xmin>${x0}</xmin><ymin>${y0}</ymin><xmax>${x1}</xmax><ymax>${y1}</ymax></bndbox>`;

describe('Pascal VOC', () => {
  it('counts pixels from 1, both ends included, and leaves parts and comments alone', async () => {
    const annotation = await parseVoc(dog, 'a.xml');
    expect(annotation).toMatchObject({ declared: { width: 200, height: 100 }, objects: [found] });
    expect(annotation.objects?.[0].place).toBe('<object> in a.xml:6');
  });

  it.each([
    ['0 is the edge', bndbox(0, 0, 200, 100), { x0: 0, y0: 0, x1: 200, y1: 100 }],
    ['so is what lies before it', bndbox(-3, 1, 10.5, 20), { x0: 0, y0: 0, x1: 10.5, y1: 20 }],
    ['one pixel is a box', bndbox(7, 7, 7, 7), { x0: 6, y0: 6, x1: 7, y1: 7 }],
    [
      'an oriented box is that around its corners',
      '<robndbox><cx>100</cx><cy>50</cy><w>40</w><h>20</h><angle>1.5707963267948966</angle></robndbox>',
      { x0: 90, y0: 30, x1: 110, y1: 70 },
    ],
    [
      'a polygon of points',
      '<polygon><pt><x>10</x><y>5</y></pt><pt><x>30</x><y>5</y></pt><pt><x>20</x><y>45</y></pt></polygon>',
      { x0: 10, y0: 5, x1: 30, y1: 45 },
    ],
    [
      'a polygon of numbered edges',
      '<polygon><x1>10</x1><y1>5</y1><x2>30</x2><y2>5</y2><x3>20</x3><y3>45</y3></polygon>',
      { x0: 10, y0: 5, x1: 30, y1: 45 },
    ],
  ])('%s', async (_, inner, box) => {
    const { box: edges } = (await object(`<name>dog</name>${inner}`)) ?? {};
    for (const edge of ['x0', 'y0', 'x1', 'y1'] as const) expect(edges?.[edge]).toBeCloseTo(box[edge], 9);
  });

  it.each([
    ['<difficult>1</difficult>', true],
    ['<difficult>0</difficult>', false],
    ['<difficult/>', false],
    ['<difficult>Unspecified</difficult>', false],
    ['', false],
  ])('knows what is difficult: %j', async (flag, isFlagged) => {
    expect((await object(`<name>dog</name>${flag}${bndbox(1, 1, 2, 2)}`))?.isFlagged).toBe(isFlagged);
  });

  it.each([
    '',
    '<size/>',
    '<size><width>0</width><height>0</height></size>',
    '<size><width>w</width></size>',
  ])('declares no size in %j', async (size) => {
    expect(await parseVoc(`<annotation>${size}</annotation>`, 'a.xml')).toEqual({ objects: [] });
  });

  it.each([
    ['<annotation><size>', '"a.xml" is not XML'],
    ['', '"a.xml" is not XML'],
    ['<html/>', '"a.xml" must be a VOC <annotation>; received <html>'],
    [dog.replace('51', 'left'), '<xmin> in a.xml:6 must be a number; received "left"'],
    [dog.replace('<xmin> 51 </xmin>', ''), '<xmin> in a.xml:6 must be a number; received undefined'],
    [dog.replace('80.0', 'Infinity'), '<ymax> in a.xml:6 must be a number; received "Infinity"'],
    [
      dog.replace('80.0', '8'),
      '<bndbox> in a.xml:6 must have its xmax and ymax beyond xmin and ymin; received 51, 21, 100, 8',
    ],
    [dog.replace(' dog ', ' '), '<object> in a.xml:6 must hold a <name>; it has none'],
    [
      dog.replaceAll('bndbox', 'box'),
      '<object> in a.xml:6 must hold a <bndbox>, a <robndbox> or a <polygon>; it has none',
    ],
    [`<annotation>${'<a>'.repeat(100_000)}`, '"a.xml" is not XML'],
  ])('refuses %j in one sentence', async (text, message) => {
    const error = await parseVoc(text, 'a.xml').catch((thrown: Error) => thrown);
    expect(error).toMatchObject({ code: 'INVALID_IMAGE', message: expect.stringContaining(message) });
    expect((error as Error).message).not.toContain('\n');
  });

  it('reads the encoding that a file declares, and UTF-16', async () => {
    const text = dog.replace(' dog ', 'd\u00f6g');
    await sets.write({
      'voc/Annotations/latin.xml': Buffer.from(text.replace('utf-8', 'ISO-8859-1'), 'latin1'),
      'voc/Annotations/deep/wide.xml': Buffer.from(`\ufeff${text.replace('utf-8', 'utf-16')}`, 'utf16le'),
      'voc/Annotations/marked.xml': `\ufeff${text}`,
    });
    const { entries } = await voc.read(join(sets.folder, 'voc/Annotations'), []);
    expect(entries.map(({ picture }) => picture)).toEqual(['deep/wide.*', 'latin.*', 'marked.*']);
    for (const { read } of entries) expect((await read()).objects?.[0].class).toBe('d\u00f6g');
  });

  it('is a folder of files', async () => {
    await sets.write({ 'none/a.txt': '' });
    await expect(voc.read(join(sets.folder, 'none'), [])).rejects.toThrow('one <picture>.xml a picture');
  });
});
