import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mappingByName, readMapping } from '../../../src/evaluate/annotations/mapping.js';

const shared = fileURLToPath(new URL('../../../../shared/', import.meta.url));
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mapping-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function write(path: string, text: string): Promise<string> {
  await writeFile(join(folder, path), text);
  return join(folder, path);
}

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
