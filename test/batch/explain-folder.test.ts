import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { parquetReadObjects } from 'hyparquet';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type * as RunModule from '../../src/batch/explain-folder.js';
import { listArchive } from '../../src/batch/inputs/archive.js';
import { archiveEnd, encodeMember } from '../../src/batch/inputs/tar.js';
import { encodeNpy } from '../../src/image/npy.js';
import { built } from '../support/built.js';
import { values } from '../support/network.js';
import { count, digest, linesIn, makeInputs, model, newFolder, photos, root } from './inputs.js';

const { explainFolder } = await built<typeof RunModule>('batch/explain-folder.js');
let out = '';

beforeAll(makeInputs);
beforeEach(() => {
  out = newFolder();
});
afterAll(() => rmSync(root, { recursive: true }));

const options = (more: object = {}) => ({
  model,
  images: [photos],
  out,
  outputs: { save: ['overlay', 'npy'] as const },
  workforce: { workers: 2 },
  ...more,
});

describe('a run', () => {
  test('explains what can be explained, lists the rest, in order', async () => {
    const seen: number[] = [];
    const summary = await explainFolder(options(), {
      picture: (lines) => void seen.push(...lines.map(({ index }) => index)),
    });
    expect(summary).toMatchObject({
      images: count,
      explained: 36,
      failed: 4,
      before: 0,
      stopped: false,
      workers: 2,
    });
    expect(seen).toEqual(Array.from({ length: count }, (_, i) => i));
    const lines = linesIn(out);
    expect(lines.map(({ index }) => index)).toEqual(seen);
    const failed = lines.filter((line) => 'error' in line);
    expect(failed.map(({ image }) => relative(photos, image.path)).sort()).toEqual([
      'p17.png',
      'p27.png',
      'p37.png',
      'p7.png',
    ]);
    expect(failed[0].error).toEqual({
      code: 'INVALID_IMAGE',
      message: expect.stringMatching(/p7.png" cannot be read as a picture/),
    });
    for (const { files } of lines.filter((line) => 'files' in line))
      for (const name of Object.values(files as Record<string, string>))
        expect(existsSync(join(out, name))).toBe(true);
    expect(existsSync(join(out, 'more', 'p8.overlay.jpg'))).toBe(true);
    expect(readdirSync(out)).not.toContain('.partial');
  });

  test.each([
    ['this thread', { workers: 0 }],
    ['one worker', { workers: 1 }],
    ['three', { workers: 3 }],
    ['processes', { workers: 2, isolate: true as const }],
  ])('the same bytes, whoever works: %s', async (_, workforce) => {
    await explainFolder(options());
    const other = newFolder();
    await explainFolder(options({ out: other, workforce }));
    expect(digest(other)).toEqual(digest(out));
  });

  test('a long run, stopped and resumed by another number of workers: the same bytes', async () => {
    const images = Array.from({ length: 7 }, () => photos);
    await explainFolder(options({ images, workforce: { workers: 3 } }));
    const other = newFolder();
    const controller = new AbortController();
    const stopped = await explainFolder(
      options({ images, out: other, workforce: { workers: 1 }, signal: controller.signal }),
      { picture: ([{ index }]) => index === 101 && controller.abort() },
    );
    expect(stopped.stopped).toBe(true);
    expect(linesIn(other).length).toBeLessThan(7 * count);
    const resumed = await explainFolder(
      options({ images, out: other, workforce: { workers: 1 }, resume: true }),
    );
    expect([resumed.before, resumed.failed]).toEqual([stopped.explained + stopped.failed, 7 * 4]);
    expect(digest(other)).toEqual(digest(out));
  });

  test('two pictures of the same name are both kept, and a picture that is named twice', async () => {
    const twin = join(root, 'twin');
    mkdirSync(twin, { recursive: true });
    cpSync(join(photos, 'p2.png'), join(twin, 'p1.png'));
    await explainFolder(
      options({ images: [join(photos, 'p1.png'), join(twin, 'p1.png'), join(photos, 'p1.png')] }),
    );
    const files = linesIn(out).map((line) => line.files.npy);
    expect(files).toEqual(['p1.npy', 'p1-2.npy', 'p1-3.npy']);
    const [first, second, third] = files.map((name) => readFileSync(join(out, name)));
    expect(first).toEqual(third);
    expect(first).not.toEqual(second);
  });

  test('a tensor file of several pictures has several results', async () => {
    const path = join(root, 'two.npy');
    writeFileSync(path, encodeNpy({ type: 'float32', dims: [2, 3, 8, 8], data: values(3, [2, 3, 8, 8]) }));
    await explainFolder(options({ images: [path], explain: { targets: [1, 3] } }));
    const lines = linesIn(out);
    expect(lines.map(({ image, files }) => [image.path, files.npy])).toEqual([
      [`${path}#0`, 'two#0.1.npy'],
      [`${path}#0`, 'two#0.3.npy'],
      [`${path}#1`, 'two#1.1.npy'],
      [`${path}#1`, 'two#1.3.npy'],
    ]);
  });

  test('passes of several pictures give the same results; one bad picture spoils no other', async () => {
    await explainFolder(options());
    const other = newFolder();
    await explainFolder(options({ out: other, explain: { batchSize: 8 } }));
    const scores = (folder: string) => linesIn(folder).map((line) => line.target?.score ?? line.error.code);
    const [single, batched] = [scores(out), scores(other)];
    single.forEach((score, i) =>
      typeof score === 'number' ? expect(batched[i]).toBeCloseTo(score, 5) : expect(batched[i]).toBe(score),
    );
  });

  test('what cannot start says so before anything is written', async () => {
    await expect(explainFolder(options({ explain: { targets: 5 } }))).rejects.toMatchObject({
      code: 'INVALID_TARGET',
    });
    await expect(explainFolder(options({ model: photos }))).rejects.toMatchObject({ code: 'INVALID_MODEL' });
    await expect(explainFolder(options({ images: [join(root, 'none-*')] }))).rejects.toMatchObject({
      code: 'INVALID_OPTION',
    });
    await expect(explainFolder(options({ table: 'x.xlsx' }))).rejects.toThrow(/.parquet or .csv/);
    await expect(explainFolder(options({ workforce: { workers: 0, timeout: 1 } }))).rejects.toThrow(
      /"timeout"/,
    );
    await expect(explainFolder(options({ worker: 2 }))).rejects.toThrow(/"worker" is not an option/);
    expect(readdirSync(out)).toEqual([]);
  });

  test("somebody's own page stays, and is said", async () => {
    writeFileSync(join(out, 'index.html'), 'mine');
    const notes: string[] = [];
    const images = [join(photos, 'p1.png')];
    await explainFolder(options({ images }), { started: (start) => notes.push(...start.notes) });
    expect(readFileSync(join(out, 'index.html'), 'utf8')).toBe('mine');
    expect(notes.join()).toContain('index.html was there before the run and stays');
    await explainFolder(options({ images, overwrite: true, outputs: { save: ['map'] } }));
    expect(readFileSync(join(out, 'index.html'), 'utf8')).toBe('mine');
    rmSync(join(out, 'index.html'));
    await explainFolder(options({ images, overwrite: true }));
    expect(JSON.parse(readFileSync(join(out, 'run.json'), 'utf8')).files).toEqual(['index.html']);
  });

  test('inputs are never replaced by results', async () => {
    const tensor = { type: 'float32' as const, dims: [3, 8, 8], data: values(3, [3, 8, 8]) };
    for (const name of ['x.npy', 'x.raw.npy']) writeFileSync(join(out, name), encodeNpy(tensor));
    const before = digest(out);
    const summary = await explainFolder(
      options({ images: [join(out, 'x.npy'), join(out, 'x.raw.npy')], outputs: { save: ['npy', 'raw'] } }),
    );
    expect(summary).toMatchObject({ explained: 0, failed: 2 });
    expect(linesIn(out)[0].error.message).toMatch(/x.npy" was there before the run and is not replaced/);
    expect(digest(out)).toMatchObject(before);
    const shard = join(out, 'shard.tar');
    writeFileSync(
      shard,
      Buffer.concat([encodeMember('a.png', readFileSync(join(photos, 'p1.png'))), archiveEnd]),
    );
    rmSync(join(out, 'run.json'));
    rmSync(join(out, 'results.jsonl'));
    const archived = options({ images: undefined, archives: [shard], overwrite: true });
    await expect(explainFolder(archived)).rejects.toThrow(/shard.tar" was there before the run/);
    expect(readFileSync(shard).length).toBeGreaterThan(1024);
  });

  test('a picture whose file cannot be written fails alone', async () => {
    mkdirSync(join(out, 'p1.npy', 'in the way'), { recursive: true });
    const summary = await explainFolder(options());
    expect(summary).toMatchObject({ explained: 35, failed: 5 });
    expect(linesIn(out).find(({ image }) => image.path.endsWith('/p1.png')).error.code).toBe('OUTPUT');
  });
});

describe('sources and sinks', () => {
  test('an archive in, an archive out, the same keys; killed in the middle, the same bytes', async () => {
    const shard = join(root, 'shard-000.tar');
    const names = Array.from({ length: 12 }, (_, i) => `p${i + 1}.png`).filter((name) =>
      existsSync(join(photos, name)),
    );
    const members = names.flatMap((name) => [
      encodeMember(`set/${name.replace('.', '.input.')}`, readFileSync(join(photos, name))),
      encodeMember(`set/${name.replace('.png', '.cls')}`, Buffer.from('3')),
    ]);
    writeFileSync(shard, Buffer.concat([...members, archiveEnd]));
    const archived = options({ images: undefined, archives: [shard] });
    const summary = await explainFolder(archived);
    expect(summary).toMatchObject({ images: names.length, failed: 1 });
    const { pictures, others } = await listArchive(join(out, 'shard-000.tar'), () =>
      Promise.reject(new Error()),
    );
    const found = [...pictures, ...others.map((name) => ({ name }))].map(({ name }) => name);
    const expected = names.filter((name) => name !== 'p7.png').map((name) => `set/${name.slice(0, -4)}`);
    expect(found).toEqual(expected.flatMap((key) => [`${key}.overlay.jpg`, `${key}.npy`]));
    expect(linesIn(out)[0].image.path).toBe(`${shard}/set/p1.input.png`);
    const whole = digest(out);

    rmSync(out, { recursive: true });
    const controller = new AbortController();
    await explainFolder(
      { ...archived, signal: controller.signal, workforce: { workers: 1 } },
      { started: () => controller.abort() },
    );
    await explainFolder({ ...archived, resume: true });
    expect(digest(out)).toEqual(whole);
  });

  test('a table of the results, Parquet and CSV', async () => {
    const parquet = join(out, 'results.parquet');
    await explainFolder(
      options({ table: parquet, images: [join(photos, 'p1.png'), join(photos, 'p7.png')] }),
    );
    const bytes = readFileSync(parquet);
    const rows = await parquetReadObjects({
      file: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length),
    });
    const [line, failed] = linesIn(out);
    expect(rows).toHaveLength(2);
    expect(rows[0]).toMatchObject({
      index: 0,
      image: line.image.path,
      width: 10,
      class: line.target.class,
      score: line.target.score,
      layers: 'relu2',
      map_height: 8,
      map_empty: line.map.empty,
      npy: 'p1.npy',
      cutout: null,
      error: null,
    });
    expect(rows[1]).toMatchObject({
      index: 1,
      class: null,
      error_code: 'INVALID_IMAGE',
      error: failed.error.message,
    });
    const csv = join(out, 'results.csv');
    await explainFolder(
      options({ table: csv, overwrite: true, images: [join(photos, 'p1.png'), join(photos, 'p7.png')] }),
    );
    const [header, first, second] = readFileSync(csv, 'utf8').split('\r\n');
    expect(header).toMatch(/^index,image,width,height,class,name,kind,output,score,probability,/);
    expect(first).toContain(`,${line.target.score},`);
    expect(second).toContain(`"${failed.error.message.replaceAll('"', '""')}"`);
  });

  test('a table is replaced only when asked to, and only one that a run wrote', async () => {
    const images = [join(photos, 'p1.png')];
    const table = join(root, 'kept.csv');
    writeFileSync(table, 'my,own\r\n');
    for (const reuse of [{}, { overwrite: true }, { resume: true }])
      await expect(explainFolder(options({ images, table, ...reuse }))).rejects.toThrow(
        /kept.csv" is there already/,
      );
    rmSync(table);
    await explainFolder(options({ images, table }));
    const other = newFolder();
    await expect(explainFolder(options({ images, table, out: other }))).rejects.toThrow(/is there already/);
    expect(readdirSync(other)).toEqual([]);
    await explainFolder(options({ images, table, out: other, overwrite: true }));
  });

  test('cells that a spreadsheet would take for formulas are guarded', async () => {
    const wild = join(root, 'wild');
    mkdirSync(wild);
    const names = ['=1+1.png', '+x.png', '-x.png', '@x.png', '\tx.png', '-7.5.png'];
    for (const name of names) cpSync(join(photos, 'p1.png'), join(wild, name));
    const table = join(out, 'wild.csv');
    const cwd = process.cwd();
    process.chdir(wild);
    try {
      await explainFolder(options({ images: names, table, outputs: { save: [] } }));
    } finally {
      process.chdir(cwd);
    }
    const cells = readFileSync(table, 'utf8')
      .split('\r\n')
      .slice(1, -1)
      .map((row) => row.split(',')[1]);
    expect(cells).toEqual(names.map((name) => `'${name}`));
  });

  test('a table that is missing is made of a finished run; one that cannot be written is said, the rest stays', async () => {
    const images = [join(photos, 'p1.png'), join(photos, 'p2.png')];
    await explainFolder(options({ images }));
    const table = join(out, 'deep', 'results.csv');
    await explainFolder(options({ images, table, resume: true }));
    expect(readFileSync(table, 'utf8').split('\r\n')).toHaveLength(4);
    expect(readdirSync(join(out, 'deep'))).toEqual(['results.csv']);

    const other = newFolder();
    const taken = join(root, 'taken.csv');
    mkdirSync(join(taken, 'in the way'), { recursive: true });
    const summary = await explainFolder(options({ images, out: other, table: taken }));
    expect(summary).toMatchObject({ explained: 2, failed: 0, stopped: false });
    expect(summary.error?.message).toMatch(/taken.csv" cannot be written/);
    await expect(explainFolder(options({ images, table: join(images[0], 'x.csv') }))).rejects.toThrow(
      /x.csv" cannot be written: (it is a file|a part of the path is a file)/,
    );
  });

  test('paths on standard input', async () => {
    const stdin = (async function* () {
      yield `${join(photos, 'p1.png')}\n${join(photos, 'p2`.png')}`.replace('`', '');
    })();
    await explainFolder(options({ images: ['-'], stdin }));
    expect(linesIn(out).map(({ image }) => relative(photos, image.path))).toEqual(['p1.png', 'p2.png']);
  });
});
