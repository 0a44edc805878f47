import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { openStorage, readWhole } from '../../src/fleet/storages/index.js';

const root = mkdtempSync(join(tmpdir(), 'gradcampp-storage-'));
afterAll(() => rmSync(root, { recursive: true }));

async function namesIn(folder: string): Promise<string[]> {
  const names: string[] = [];
  for await (const name of (await openStorage(root)).list(folder)) names.push(name);
  return names.sort();
}

describe('a folder', () => {
  test('gives a name once, however many ask for it, and leaves nothing else', async () => {
    const storages = await Promise.all(Array.from({ length: 20 }, () => openStorage(root)));
    const made = await Promise.all(
      storages.map((own, i) => own.create('once/a', Buffer.from(`content ${i}`))),
    );
    expect(made.filter(Boolean)).toHaveLength(1);
    const [storage] = storages;
    expect((await readWhole(storage, 'once/a'))?.toString()).toBe(`content ${made.indexOf(true)}`);
    expect(readdirSync(join(root, 'once'))).toEqual(['a']);
  });

  test('puts bytes and files, replaces, reads', async () => {
    const storage = await openStorage(root);
    const file = join(root, 'large');
    const bytes = Buffer.alloc(1_000_003, 'gradcampp');
    writeFileSync(file, bytes);
    await storage.put('put/deep/a', Buffer.from('one'));
    await storage.put('put/deep/a', Buffer.from('two'));
    await storage.put('put/b', { file });
    expect((await readWhole(storage, 'put/deep/a'))?.toString()).toBe('two');
    expect((await readWhole(storage, 'put/b'))?.equals(bytes)).toBe(true);
    expect(await readWhole(storage, 'put/c')).toBeUndefined();
    expect(await readWhole(storage, 'put/b/c')).toBeUndefined();
  });

  test('lists what is whole in a folder, not in those below it', async () => {
    const storage = await openStorage(root);
    await storage.put('list/b', Buffer.from('b'));
    await storage.put('list/deep/c', Buffer.from('c'));
    writeFileSync(join(root, 'list', '.partial-of-a-killed-process'), '');
    expect(await namesIn('list')).toEqual(['list/b']);
    expect(await namesIn('nothing')).toEqual([]);
  });

  test('says why nothing can be written, and leaves nothing half written', async () => {
    const storage = await openStorage(root);
    await storage.put('file', Buffer.from('x'));
    await expect(storage.put('file/a', Buffer.from('x'))).rejects.toThrow(/cannot be written: .* is a file/);
    await expect(storage.put('half/a', { file: join(root, 'missing') })).rejects.toThrow('cannot be written');
    expect(existsSync(join(root, 'half')) && readdirSync(join(root, 'half'))).toEqual([]);
  });
});
