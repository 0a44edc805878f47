import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { openStorage, readWhole, type Storage } from '../../src/fleet/storages/index.js';
import { type S3Server, startS3 } from './s3-server.js';

const root = mkdtempSync(join(tmpdir(), 'gradcampp-storage-'));
let server: S3Server;
beforeAll(async () => {
  server = await startS3();
});
afterEach(() => {
  server.fault = () => undefined;
});
afterAll(async () => {
  await server.close();
  rmSync(root, { recursive: true });
});

async function namesIn(storage: Storage, folder: string): Promise<string[]> {
  const names: string[] = [];
  for await (const name of storage.list(folder)) names.push(name);
  return names.sort();
}

const kinds = [
  ['a folder', join(root, 'folder')],
  ['S3', 's3://bucket/some/prefix'],
] as const;

describe.each(kinds)('%s', (_, address) => {
  test('gives a name once, however many ask for it', async () => {
    const storages = await Promise.all(Array.from({ length: 12 }, () => openStorage(address)));
    const made = await Promise.all(
      storages.map((own, i) => own.create('once/a', Buffer.from(`content ${i}`))),
    );
    expect(made.filter(Boolean)).toHaveLength(1);
    const [storage] = storages;
    expect((await readWhole(storage, 'once/a'))?.toString()).toBe(`content ${made.indexOf(true)}`);
    expect(await namesIn(storage, 'once')).toEqual(['once/a']);
  });

  test('puts bytes and files, replaces, reads', async () => {
    const storage = await openStorage(address);
    const file = join(root, 'large');
    const bytes = Buffer.alloc(9 * 2 ** 20 + 1, 'gradcampp');
    writeFileSync(file, bytes);
    await storage.put('put/deep/a', Buffer.from('one'));
    await storage.put('put/deep/a', Buffer.from('two'));
    await storage.put('put/b', { file });
    expect((await readWhole(storage, 'put/deep/a'))?.toString()).toBe('two');
    expect((await readWhole(storage, 'put/b'))?.equals(bytes)).toBe(true);
    expect(await readWhole(storage, 'put/c')).toBeUndefined();
    expect(await readWhole(storage, 'put/b/c')).toBeUndefined();
  });

  test('lists what is in a folder, not in those below it', async () => {
    const storage = await openStorage(address);
    await storage.put('list/b', Buffer.from('b'));
    await storage.put('list/deep/c', Buffer.from('c'));
    expect(await namesIn(storage, 'list')).toEqual(['list/b']);
    expect(await namesIn(storage, 'nothing')).toEqual([]);
  });
});

describe('a folder', () => {
  const [[, folder]] = kinds;

  test('lists nothing half written, and leaves nothing', async () => {
    const storage = await openStorage(folder);
    await storage.put('half/a', Buffer.from('x'));
    writeFileSync(join(folder, 'half', '.partial-of-a-killed-process'), '');
    expect(await namesIn(storage, 'half')).toEqual(['half/a']);
    expect(await storage.create('left/a', Buffer.from('x'))).toBe(true);
    expect(await storage.create('left/a', Buffer.from('y'))).toBe(false);
    await expect(storage.put('left/b', { file: join(root, 'missing') })).rejects.toThrow('cannot be written');
    expect(readdirSync(join(folder, 'left'))).toEqual(['a']);
  });

  test('says why nothing can be written', async () => {
    const storage = await openStorage(folder);
    await storage.put('file', Buffer.from('x'));
    await expect(storage.put('file/a', Buffer.from('x'))).rejects.toThrow(/cannot be written: .* is a file/);
    expect(existsSync(join(folder, 'file', 'a'))).toBe(false);
  });
});

describe('S3', () => {
  const [, [, address]] = kinds;
  const digest = (bytes: Uint8Array | undefined) =>
    createHash('sha256')
      .update(bytes ?? 'nothing')
      .digest('hex');

  test.each(['busy', 'reset', 'lost', 'cut'] as const)(
    'every other request %s: all comes whole',
    async (fault) => {
      const storage = await openStorage(address);
      let count = 0;
      server.fault = () => (count++ % 2 === 0 ? fault : undefined);
      const before = server.faults;
      const file = join(root, 'parts');
      const bytes = Buffer.from(Array.from({ length: 2 ** 20 }, (_, i) => i * 7 + (i >> 8)));
      const all = Buffer.concat(Array(17).fill(bytes));
      writeFileSync(file, all);
      await storage.put(`${fault}/a`, { file });
      expect(digest(await readWhole(storage, `${fault}/a`))).toBe(digest(all));
      await storage.create(`${fault}/b`, Buffer.from('b')); // whose answer may be lost, and the name be taken when it is asked again
      expect((await readWhole(storage, `${fault}/b`))?.toString()).toBe('b');
      expect(server.faults - before).toBeGreaterThan(fault === 'cut' ? 0 : 3);
    },
  );

  test('goes on behind a break where a server knows no ranges', async () => {
    const storage = await openStorage(address);
    const bytes = Buffer.from(Array.from({ length: 2 ** 20 }, (_, i) => i * 7 + (i >> 8)));
    await storage.put('ranges', bytes);
    let count = 0;
    server.fault = (method) => (method !== 'GET' ? undefined : count++ === 0 ? 'cut' : 'whole');
    expect(digest(await readWhole(storage, 'ranges'))).toBe(digest(bytes));
    expect(count).toBe(2);
  });

  test('lists names that hold anything', async () => {
    const storage = await openStorage(address);
    const names = [
      'a b+c%20.png',
      'line\nfeed.png',
      ' <&"\'> .png',
      'ü–漢字😀.png',
      'tab\t.png',
      'x/..y/z.png',
    ];
    for (const name of names) await storage.put(`names/${name}`, Buffer.from(name));
    const found: string[] = [];
    for await (const name of storage.list('names', { isDeep: true })) found.push(name);
    expect(found.sort()).toEqual(names.map((name) => `names/${name}`).sort());
    for (const name of found) expect(`names/${await readWhole(storage, name)}`).toBe(name);
  });

  test('waits while another writes the same', async () => {
    const storage = await openStorage(address);
    const names = Array.from({ length: 5 }, () => storage.create('conflict', Buffer.from('x')));
    expect((await Promise.all(names)).filter(Boolean)).toHaveLength(1);
  });

  test('says what is wrong, and no secret', async () => {
    await expect(openStorage('s3://')).rejects.toThrow('"s3://" names no bucket: give s3://BUCKET/PREFIX.');
    const none = await openStorage('s3://none/prefix');
    await expect(none.put('a', Buffer.from('x'))).rejects.toThrow(
      /^"s3:\/\/none\/prefix\/a" cannot be written: NoSuchBucket, The specified bucket does not exist\.$/,
    );
    process.env.AWS_ACCESS_KEY_ID = 'nobody';
    process.env.AWS_SECRET_ACCESS_KEY = 'not-the-secret';
    try {
      const error = await (await openStorage(address)).put('a', Buffer.from('x')).catch(String);
      expect(error).toMatch(/cannot be written: InvalidAccessKeyId/);
      expect(error).not.toContain('not-the-secret');
    } finally {
      process.env.AWS_ACCESS_KEY_ID = process.env.AWS_SECRET_ACCESS_KEY = 'S3RVER';
    }
  });
});
