import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { folderWriter } from '../../src/batch/folder.js';
import { makeRecord, type RunRecord } from '../../src/batch/record.js';
import { RunFolder } from '../../src/batch/run-folder.js';
import { readMembers } from '../../src/batch/tar.js';

let out = '';
beforeEach(() => {
  out = join(mkdtempSync(join(tmpdir(), 'gradcampp-run-')), 'deep', 'out');
});
afterEach(() => rmSync(join(out, '..', '..'), { recursive: true }));

const parts = {
  version: '1',
  model: { path: 'm.onnx', sha256: 'abc' },
  layers: ['relu'],
  backend: 'reference',
  settings: { save: ['npy'] },
  inputs: { count: 3, sha256: 'def' },
};
const record = makeRecord(parts);

const line = (index: number) => ({ index, image: { path: `${index}.png` }, files: { npy: `${index}.npy` } });
const content = (index: number) => Buffer.from(`content of ${index}`);

/** What a worker hands over: the picture's file is written, or, for an archive, handed over too. */
async function done(index: number, inArchive = false) {
  const bytes = content(index);
  const files = [[`${index}.npy`, bytes.length, crc32(bytes)]] as const;
  if (!inArchive) await folderWriter(out, 'w')(`${index}.npy`, [bytes.subarray(0, 5), bytes.subarray(5)]);
  return { index, lines: [line(index) as never], files, ...(inArchive ? { bytes: [bytes] } : {}) };
}

async function open(reuse = {}, of = record): Promise<RunFolder> {
  const folder = await RunFolder.open(out, of, reuse);
  expect(folder).toBeInstanceOf(RunFolder);
  return folder as RunFolder;
}

/** Ends the process, as far as the folder can see. */
async function crashAfter(count: number, inArchive?: (index: number) => string): Promise<void> {
  const folder = await open();
  for (let i = 0; i < count; i++) await folder.add(await done(i, inArchive !== undefined), inArchive?.(i));
  await folder.close();
}

const text = (name: string) => readFileSync(join(out, name), 'utf8');
const linesOf = (...indices: number[]) => indices.map((i) => `${JSON.stringify(line(i))}\n`).join('');

describe('a run folder', () => {
  test('a whole run: results in order, the record, the files, and nothing else', async () => {
    await crashAfter(0);
    rmSync(out, { recursive: true });
    const folder = await open();
    for (let i = 0; i < 3; i++) await folder.add(await done(i));
    await folder.finish(3, 0);
    expect(readdirSync(out).sort()).toEqual(['0.npy', '1.npy', '2.npy', 'results.jsonl', 'run.json']);
    expect(text('results.jsonl')).toBe(linesOf(0, 1, 2));
    expect(JSON.parse(text('run.json'))).toEqual({ ...record, finished: true, explained: 3, failed: 0 });
  });

  test('resumed: what is listed is kept, what was half-written is cut', async () => {
    await crashAfter(2);
    appendFileSync(join(out, 'results.jsonl'), '{"index":2,"ima');
    appendFileSync(join(out, '.partial', 'journal.jsonl'), '{"index":2,"fai');
    writeFileSync(join(out, '.partial', 'w-7'), 'half a fi');
    const folder = await open({ resume: true });
    expect(folder.progressed).toMatchObject({ done: 2, failed: 0, redo: [] });
    expect(text('results.jsonl')).toBe(linesOf(0, 1));
    expect(readdirSync(join(out, '.partial')).sort()).toEqual(['journal.jsonl', 'lock']);
    await folder.add(await done(2));
    await folder.finish(3, 0);
    expect(text('results.jsonl')).toBe(linesOf(0, 1, 2));
  });

  test('after a power cut: files that are not as they were written are done again', async () => {
    await crashAfter(3);
    writeFileSync(join(out, '0.npy'), '\0'.repeat(content(0).length)); // same size, other bytes
    truncateSync(join(out, '1.npy'), 0);
    const folder = await open({ resume: true });
    expect(folder.progressed).toMatchObject({ done: 3, redo: [0, 1] });
    await folder.close();
  });

  test('after a power cut: results that did not reach the disk end what is done', async () => {
    await crashAfter(3);
    const length = linesOf(0, 1).length;
    truncateSync(join(out, 'results.jsonl'), length - 3);
    appendFileSync(join(out, 'results.jsonl'), '\0'.repeat(100));
    const folder = await open({ resume: true });
    expect(folder.progressed.done).toBe(1);
    expect(text('results.jsonl')).toBe(linesOf(0));
    expect(text('.partial/journal.jsonl').split('\n')).toHaveLength(2);
    await folder.close();
  });

  test('a journal that is gone costs everything but nothing more', async () => {
    await crashAfter(2);
    rmSync(join(out, '.partial'), { recursive: true });
    const folder = await open({ resume: true });
    expect(folder.progressed.done).toBe(0);
    expect(text('results.jsonl')).toBe('');
    await folder.close();
  });

  test('another run is not continued, and what differs is said', async () => {
    await crashAfter(1);
    const other = makeRecord({ ...parts, settings: { save: ['map'] }, inputs: { count: 4, sha256: 'x' } });
    await expect(RunFolder.open(out, other, { resume: true })).rejects.toThrow(
      /holds another run, which differs in the settings, the inputs\. /,
    );
    const moved = makeRecord({ ...parts, model: { path: 'elsewhere.onnx', sha256: 'abc' } });
    await (await open({ resume: true }, moved)).close();
  });

  test('an unfinished run is replaced only when asked to; a finished one is, and its files go', async () => {
    await crashAfter(2);
    await expect(RunFolder.open(out, record)).rejects.toThrow(
      /holds an unfinished run.*--resume.*--overwrite/,
    );
    writeFileSync(join(out, 'mine.txt'), 'not listed');
    const folder = await open({ overwrite: true });
    expect(readdirSync(out).sort()).toEqual(['.partial', 'mine.txt', 'results.jsonl', 'run.json']);
    await folder.add(await done(0));
    await folder.finish(1, 0);
    const again = await open();
    expect(existsSync(join(out, '0.npy'))).toBe(false);
    await again.close();
  });

  test('the same finished run is not run again; its record is returned', async () => {
    await crashAfter(3);
    await (await open({ resume: true })).finish(2, 1);
    const found = (await RunFolder.open(out, record, { resume: true })) as RunRecord;
    expect(found).toMatchObject({ finished: true, explained: 2, failed: 1 });
    expect(existsSync(join(out, '.partial'))).toBe(false);
  });

  test('a list of files that leaves the folder is not followed', async () => {
    await crashAfter(1);
    const outside = join(out, '..', 'precious.txt');
    writeFileSync(outside, 'keep');
    appendFileSync(join(out, 'results.jsonl'), `${JSON.stringify({ files: { npy: '../precious.txt' } })}\n`);
    await (await open({ overwrite: true })).close();
    expect(readFileSync(outside, 'utf8')).toBe('keep');
  });

  const title =
    'a folder that another process writes to is refused; one of a process that is gone is not (needs /proc)';
  test.skipIf(!existsSync('/proc/1/stat'))(title, async () => {
    await crashAfter(1);
    const init = readFileSync('/proc/1/stat', 'latin1').split(') ')[1].split(' ')[19];
    writeFileSync(join(out, '.partial', 'lock'), `1 ${init}`);
    await expect(RunFolder.open(out, record, { resume: true })).rejects.toThrow(/Another run \(process 1\)/);
    writeFileSync(join(out, '.partial', 'lock'), '1 12345');
    await (await open({ resume: true })).close();
  });

  test('what is no record is said to be none', async () => {
    await crashAfter(0);
    writeFileSync(join(out, 'run.json'), '{"format":');
    await expect(RunFolder.open(out, record)).rejects.toThrow(/run.json" is not the record of a run/);
  });
});

describe('archives', () => {
  const archive = (index: number) => (index < 2 ? 'a.tar' : 'b.tar');
  const membersOf = async (name: string) => {
    const found: string[] = [];
    for await (const member of readMembers(join(out, name))) {
      const start = member.offset;
      found.push(
        `${member.name}: ${readFileSync(join(out, name)).toString('utf8', start, start + member.size)}`,
      );
    }
    return found;
  };

  test.each([0, 1, 2, 3])('resumed after %i pictures, the archives are the same bytes', async (count) => {
    const whole = await open();
    for (let i = 0; i < 3; i++) await whole.add(await done(i, true), archive(i));
    await whole.finish(3, 0);
    const expected = ['a.tar', 'b.tar', 'results.jsonl'].map((name) => readFileSync(join(out, name)));
    expect(await membersOf('a.tar')).toEqual(['0.npy: content of 0', '1.npy: content of 1']);
    expect(await membersOf('b.tar')).toEqual(['2.npy: content of 2']);
    rmSync(out, { recursive: true });

    await crashAfter(count, archive);
    if (count > 0) appendFileSync(join(out, archive(count - 1)), 'half a member');
    const folder = await open({ resume: true });
    expect(folder.progressed.done).toBe(count);
    for (let i = count; i < 3; i++) await folder.add(await done(i, true), archive(i));
    await folder.finish(3, 0);
    expect(['a.tar', 'b.tar', 'results.jsonl'].map((name) => readFileSync(join(out, name)))).toEqual(
      expected,
    );
  });
});
