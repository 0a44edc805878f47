import { createHash } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
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
import { listArchive } from '../../../src/batch/inputs/archive.js';
import { folderWriter } from '../../../src/batch/results/write-file.js';
import type { Inputs } from '../../../src/batch/inputs/inputs.js';
import { makeRecord } from '../../../src/batch/results/run-record.js';
import { ResultsFolder } from '../../../src/batch/results/results-folder.js';

let out = '';
beforeEach(() => {
  out = join(mkdtempSync(join(tmpdir(), 'gradcampp-run-')), 'deep', 'out');
});
afterEach(() => rmSync(join(out, '..', '..'), { recursive: true }));

const inputs = { count: 3, sha256: 'def', state: 'now' };
const parts = {
  command: 'explain',
  models: [{ path: 'm.onnx', sha256: 'abc' }],
  layers: ['relu'],
  backend: 'reference',
  settings: { save: ['npy'] },
  inputs,
};
const record = makeRecord(parts);

/** Three pictures; `states` are their sizes and times. */
const pictures = (archive?: (index: number) => string, states: readonly string[] = []) =>
  ({
    list: [0, 1, 2].map((index) => ({
      index,
      path: `${index}.png`,
      name: `${index}`,
      archive: archive?.(index),
    })),
    stateOf: (index: number) => states[index] ?? '10 5',
  }) as unknown as Inputs;

const line = (index: number) => ({ index, image: { path: `${index}.png` }, files: { npy: `${index}.npy` } });
const content = (index: number) => Buffer.from(`content of ${index}`);

/** What a worker hands over: the picture's file is written, or, for an archive, handed over too. */
async function done(index: number, inArchive = false) {
  const bytes = content(index);
  const files = [[`${index}.npy`, bytes.length, crc32(bytes)]] as const;
  if (!inArchive) await folderWriter(out, 'w')(`${index}.npy`, [bytes.subarray(0, 5), bytes.subarray(5)]);
  return { index, lines: [line(index) as never], files, ...(inArchive ? { bytes: [bytes] } : {}) };
}

async function open(reuse = {}, of = record, list = pictures()): Promise<ResultsFolder> {
  const folder = await ResultsFolder.open(out, of, list, reuse);
  expect(folder).toBeInstanceOf(ResultsFolder);
  return folder as ResultsFolder;
}
const openPlain = (reuse = {}, of = record) => ResultsFolder.open(out, of, pictures(), reuse);

/** Does what is left, and says what that was. */
async function finish(folder: ResultsFolder, inArchive = false): Promise<number[]> {
  const left = [0, 1, 2].filter((index) => !folder.isDone(index));
  for (const index of left) await folder.add(await done(index, inArchive));
  await folder.finish();
  await folder.close();
  return left;
}

/** Ends the process, as far as the folder can see. */
async function crashAfter(count: number, archive?: (index: number) => string): Promise<void> {
  const folder = await open({}, record, pictures(archive));
  for (let i = 0; i < count; i++) await folder.add(await done(i, archive !== undefined));
  await folder.close();
}

const journal = () => join(out, '.partial', 'journal.jsonl');
const text = (name: string) => readFileSync(join(out, name), 'utf8');
const linesOf = (...indices: number[]) => indices.map((i) => `${JSON.stringify(line(i))}\n`).join('');

const isDone = (folder: ResultsFolder) => [0, 1, 2].map((index) => folder.isDone(index));

describe('a results folder', () => {
  test('a whole run: results in order, the record, the files, and nothing else', async () => {
    expect(await finish(await open())).toEqual([0, 1, 2]);
    expect(readdirSync(out).sort()).toEqual(['0.npy', '1.npy', '2.npy', 'results.jsonl', 'run.json']);
    expect(text('results.jsonl')).toBe(linesOf(0, 1, 2));
    expect(JSON.parse(text('run.json'))).toEqual({
      ...record,
      finished: true,
      resultsSha256: createHash('sha256').update(text('results.jsonl')).digest('hex'),
      explained: 3,
      failed: 0,
      files: [],
    });
  });

  test('resumed: what is listed is kept, what was half-written is cut', async () => {
    await crashAfter(2);
    appendFileSync(join(out, 'results.jsonl'), '{"index":2,"ima');
    appendFileSync(journal(), '0123abcd {"index":2,"fai');
    writeFileSync(join(out, '.partial', 'w-7'), 'half a fi');
    const folder = await open({ resume: true });
    expect(folder.count()).toEqual({ done: 2, failed: 0 });
    expect(isDone(folder)).toEqual([true, true, false]);
    expect(text('results.jsonl')).toBe(linesOf(0, 1));
    expect(readdirSync(join(out, '.partial')).sort()).toEqual(['journal.jsonl', 'lock']);
    await finish(folder);
    expect(text('results.jsonl')).toBe(linesOf(0, 1, 2));
  });

  test('files that are not as they were written are done again, and listed once', async () => {
    await crashAfter(3);
    writeFileSync(join(out, '0.npy'), '\0'.repeat(content(0).length)); // same size, other bytes
    truncateSync(join(out, '1.npy'), 0);
    const folder = await open({ resume: true });
    expect(isDone(folder)).toEqual([false, false, true]);
    expect(text('results.jsonl')).toBe(linesOf(2));
    await folder.add(await done(1));
    await folder.close(); // and once more
    const again = await open({ resume: true });
    expect(isDone(again)).toEqual([false, true, true]);
    expect(text('results.jsonl')).toBe(linesOf(1, 2));
    await finish(again);
    expect(text('results.jsonl')).toBe(linesOf(0, 1, 2));
  });

  test('after a power cut: results that did not reach the disk are done again', async () => {
    await crashAfter(3);
    truncateSync(join(out, 'results.jsonl'), linesOf(0, 1).length - 3);
    appendFileSync(join(out, 'results.jsonl'), '\0'.repeat(100));
    const folder = await open({ resume: true });
    expect(isDone(folder)).toEqual([true, false, false]);
    expect(text('results.jsonl')).toBe(linesOf(0));
    expect(text('.partial/journal.jsonl').split('\n')).toHaveLength(2);
    await folder.close();
  });

  test('a picture that has changed is done again', async () => {
    await crashAfter(3);
    const folder = await open({ resume: true }, record, pictures(undefined, ['10 5', '10 6', '11 5']));
    expect(isDone(folder)).toEqual([true, false, false]);
    await finish(folder);
    expect(text('results.jsonl')).toBe(linesOf(0, 1, 2));
  });

  test('a finished run of pictures of which some have changed is refused', async () => {
    await finish(await open());
    const changed = makeRecord({ ...parts, inputs: { ...inputs, state: 'later' } });
    await expect(openPlain({ resume: true }, changed)).rejects.toThrow(/have changed since.*--overwrite/);
    await (await open({ overwrite: true }, changed)).close();
  });

  test('a journal that is gone costs everything but nothing more', async () => {
    await crashAfter(2);
    rmSync(join(out, '.partial'), { recursive: true });
    const folder = await open({ resume: true });
    expect(folder.count().done).toBe(0);
    expect(text('results.jsonl')).toBe('');
    expect(await finish(folder)).toEqual([0, 1, 2]);
  });

  test('a lost or damaged record is written anew where the journal is of this run, else said to be lost', async () => {
    for (const damage of [
      () => rmSync(join(out, 'run.json')),
      () => writeFileSync(join(out, 'run.json'), '{"for'),
    ]) {
      await crashAfter(2);
      damage();
      await expect(openPlain()).rejects.toThrow(/holds an unfinished run/);
      const other = makeRecord({ ...parts, settings: {} });
      await expect(openPlain({ resume: true }, other)).rejects.toThrow(/run.json.*is lost.*--overwrite/);
      const folder = await open({ resume: true });
      expect(folder.notes).toEqual(['run.json was lost or damaged, and is written anew.']);
      expect(isDone(folder)).toEqual([true, true, false]);
      await finish(folder);
      rmSync(out, { recursive: true });
    }
    await finish(await open());
    rmSync(join(out, 'run.json'));
    for (const reuse of [{}, { resume: true }])
      await expect(openPlain(reuse)).rejects.toThrow(/run.json.*is lost.*--overwrite/);
    expect(text('results.jsonl')).toBe(linesOf(0, 1, 2));
    await (await open({ overwrite: true })).close();
    expect(existsSync(join(out, '0.npy'))).toBe(false);
  });

  test('another run is not continued, and what differs is said', async () => {
    await crashAfter(1);
    const other = makeRecord({ ...parts, settings: { save: ['map'] }, inputs: { ...inputs, sha256: 'x' } });
    await expect(openPlain({ resume: true }, other)).rejects.toThrow(
      /holds another run, which differs in the settings, the inputs\. /,
    );
    const moved = makeRecord({ ...parts, models: [{ path: 'elsewhere.onnx', sha256: 'abc' }] });
    await (await open({ resume: true }, moved)).close();
  });

  test('a run is replaced only when asked to, finished or not; its files go, and no others', async () => {
    await crashAfter(2);
    await expect(openPlain()).rejects.toThrow(/holds an unfinished run.*--resume.*--overwrite/);
    writeFileSync(join(out, 'mine.txt'), 'not listed');
    const folder = await open({ overwrite: true });
    expect(readdirSync(out).sort()).toEqual(['.partial', 'mine.txt', 'run.json']);
    await finish(folder);
    await expect(openPlain()).rejects.toThrow(/holds a finished run.*--overwrite/);
    expect(existsSync(join(out, '0.npy'))).toBe(true);
    await (await open({ overwrite: true })).close();
    expect(existsSync(join(out, '0.npy'))).toBe(false);
    expect(existsSync(join(out, 'mine.txt'))).toBe(true);
  });

  test("somebody's own results and records are never replaced", async () => {
    mkdirSync(out, { recursive: true });
    writeFileSync(join(out, 'results.jsonl'), '{"score": 1}\n');
    for (const reuse of [{}, { resume: true }, { overwrite: true }])
      await expect(openPlain(reuse)).rejects.toThrow(/holds results that are not those of a run/);
    expect(text('results.jsonl')).toBe('{"score": 1}\n');
    writeFileSync(join(out, 'run.json'), '{"name": "mine"}');
    for (const reuse of [{}, { resume: true }, { overwrite: true }])
      await expect(openPlain(reuse)).rejects.toThrow(/run.json that is not the record of a run/);
  });

  test('a file that was there before the run is not replaced; one of the run is', async () => {
    mkdirSync(out, { recursive: true });
    writeFileSync(join(out, '1.npy'), 'mine');
    const folder = await open();
    await folder.add(await done(0));
    await expect(done(1)).rejects.toThrow(/1.npy" was there before the run and is not replaced/);
    await done(2);
    await folder.add(await done(2)); // a worker that died is followed by another
    await folder.close();
    expect(text('1.npy')).toBe('mine');
    const archives = makeRecord({ ...parts, archives: ['1.npy'] });
    await expect(openPlain({ resume: true }, archives)).rejects.toThrow(/1.npy" was there before the run/);
    expect(text('1.npy')).toBe('mine');
  });

  test('the same finished run is not run again; its record is returned', async () => {
    await finish(await open());
    expect(await openPlain({ resume: true })).toMatchObject({ finished: true, explained: 3, failed: 0 });
    expect(existsSync(join(out, '.partial'))).toBe(false);
  });

  test('a finished run of which something is missing, or its results are cut, is not taken for whole', async () => {
    await finish(await open());
    const results = readFileSync(join(out, 'results.jsonl'));
    truncateSync(join(out, 'results.jsonl'), 40);
    await expect(openPlain({ resume: true })).rejects.toThrow(
      'holds the finished run, but its results.jsonl is not as it was written. Do all again with --overwrite',
    );
    rmSync(join(out, 'results.jsonl'));
    await expect(openPlain({ resume: true })).rejects.toThrow('its results.jsonl is not as it was written');
    writeFileSync(join(out, 'results.jsonl'), results);
    rmSync(join(out, '1.npy'));
    await expect(openPlain({ resume: true })).rejects.toThrow('its file "1.npy" is missing');
    writeFileSync(join(out, '1.npy'), content(1));
    expect(await openPlain({ resume: true })).toMatchObject({ finished: true });
  });

  test('a list of files that leaves the folder is not followed', async () => {
    await crashAfter(1);
    const outside = join(out, '..', 'precious.txt');
    writeFileSync(outside, 'keep');
    appendFileSync(join(out, 'results.jsonl'), `${JSON.stringify({ files: { npy: '../precious.txt' } })}\n`);
    await (await open({ overwrite: true })).close();
    expect(readFileSync(outside, 'utf8')).toBe('keep');
  });

  test('a folder that another run of this process writes to is refused', async () => {
    const folder = await open();
    await expect(openPlain({ resume: true })).rejects.toThrow(/Another run \(process \d+\)/);
    await folder.close();
    await (await open({ resume: true })).close();
  });

  const title =
    'a folder that another process writes to is refused; one of a process that is gone is not (needs /proc)';
  test.skipIf(!existsSync('/proc/1/stat'))(title, async () => {
    await crashAfter(1);
    const init = readFileSync('/proc/1/stat', 'latin1').split(') ')[1].split(' ')[19];
    writeFileSync(join(out, '.partial', 'lock'), `1 ${init}`);
    await expect(openPlain({ resume: true })).rejects.toThrow(/Another run \(process 1\)/);
    writeFileSync(join(out, '.partial', 'lock'), '1 12345');
    await (await open({ resume: true })).close();
  });
});

describe('archives', () => {
  const archive = (index: number) => (index < 2 ? 'a.tar' : 'b.tar');
  const membersOf = async (name: string) => {
    const bytes = readFileSync(join(out, name));
    const { pictures: members } = await listArchive(join(out, name), () => Promise.reject(new Error()));
    return members.map((member) => {
      const { offset, size } = member.place as { offset: number; size: number };
      return `${member.name}: ${bytes.toString('utf8', offset, offset + size)}`;
    });
  };

  const names = ['a.tar', 'b.tar', 'results.jsonl'];
  const contents = () => names.map((name) => readFileSync(join(out, name)));
  async function wholeRun(): Promise<Buffer[]> {
    await finish(await open({}, record, pictures(archive)), true);
    const found = contents();
    expect(await membersOf('a.tar')).toEqual(['0.npy: content of 0', '1.npy: content of 1']);
    expect(await membersOf('b.tar')).toEqual(['2.npy: content of 2']);
    rmSync(out, { recursive: true });
    return found;
  }

  test.each([0, 1, 2, 3])('resumed after %i pictures, the archives are the same bytes', async (count) => {
    const expected = await wholeRun();
    await crashAfter(count, archive);
    if (count > 0) appendFileSync(join(out, archive(count - 1)), 'half a member');
    const folder = await open({ resume: true }, record, pictures(archive));
    expect(folder.count().done).toBe(count);
    await finish(folder, true);
    expect(contents()).toEqual(expected);
  });

  test.each(['member', 'journal', 'results'])('a damaged %s costs its picture alone', async (what) => {
    const expected = await wholeRun();
    await crashAfter(3, archive);
    const [path, place] = {
      member: [join(out, 'a.tar'), 520],
      journal: [journal(), 12],
      results: [join(out, 'results.jsonl'), 12],
    }[what] as [string, number];
    const bytes = readFileSync(path);
    bytes[place] ^= 1;
    writeFileSync(path, bytes);
    const folder = await open({ resume: true }, record, pictures(archive));
    expect(isDone(folder)).toEqual([false, true, true]);
    await finish(folder, true);
    expect(contents()).toEqual(expected);
  });
});
