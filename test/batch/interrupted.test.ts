import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type * as RunModule from '../../src/batch/run.js';
import { encodePng } from '../../src/image/encode.js';
import { built } from '../support/built.js';
import { count, digest, linesIn, makeInputs, model, newFolder, photos, root } from './inputs.js';

const { explainFolder } = await built<typeof RunModule>('batch/run.js');
const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
let out = '';

/**
 * Pictures that take a second or two, so large are they: a run waits at each. Among so many pictures that a run never holds
 * all of them at once, and so is not done with the last while it waits.
 */
const gates = [join(root, 'gate-a.png'), join(root, 'gate-b.png')];
const gateSize = 4000;
const sources = [photos, gates[0], photos, gates[1], photos, photos, photos];
const total = 5 * count + 2;
/** Lines of results.jsonl when the run waits. */
const waiting = [count, 2 * count + 1];

let whole: Record<string, string>;
beforeAll(async () => {
  makeInputs();
  const data = new Uint8Array(gateSize * gateSize);
  for (const gate of gates)
    writeFileSync(gate, encodePng({ data, width: gateSize, height: gateSize, channels: 1 }));
  const folder = newFolder();
  expect(await start(folder).exit).toBe(3);
  whole = digest(folder);
});
beforeEach(() => {
  out = newFolder();
});
afterAll(() => rmSync(root, { recursive: true }));

interface Run {
  readonly child: ChildProcess;
  /** What it wrote on standard error so far. */
  readonly said: () => string;
  /** Exit code, or the signal that ended it. */
  readonly exit: Promise<number | string>;
}

function start(folder: string, ...flags: string[]): Run {
  const files = ['--model', model, '--out', folder, '--save', 'overlay,npy', '--workers', '2'];
  const child = spawn(process.execPath, [main, 'explain', ...sources, ...files, ...flags], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let text = '';
  child.stderr.on('data', (data) => {
    text += data;
  });
  const exit = once(child, 'close').then(([code, signal]) => code ?? signal);
  return { child, said: () => text, exit };
}

/** Until something holds; a run that ends before is an error. */
async function until({ child, said }: Run, holds: () => boolean): Promise<void> {
  while (!holds()) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`It ended: ${said()}`);
    await wait(2);
  }
}

/** Until a run waits at a gate, all before it listed; the journal, which says what is done, comes last. */
const waitsAt = (run: Run, gate: number, folder = out) =>
  until(run, () => {
    const journal = join(folder, '.partial', 'journal.jsonl');
    const isThere = [journal, join(folder, 'results.jsonl')].every((file) => existsSync(file));
    if (!isThere || linesIn(folder).length !== waiting[gate]) return false;
    return readFileSync(journal, 'utf8').includes(`{"index":${waiting[gate] - 1},`);
  });

describe('interrupted and resumed', () => {
  test.each([[[]], [['--isolate']]])(
    'killed three times: the folder of an uninterrupted run %j',
    async (flags) => {
      const first = start(out, ...flags, '--resume');
      await waitsAt(first, 0);
      first.child.kill('SIGKILL');
      expect(await first.exit).toBe('SIGKILL');
      expect(existsSync(join(out, '.partial'))).toBe(true);

      for (let kill = 0; kill < 2; kill++) {
        const next = start(out, ...flags, '--resume');
        await waitsAt(next, 1);
        next.child.kill('SIGKILL');
        expect(await next.exit).toBe('SIGKILL');
      }
      const last = start(out, ...flags, '--resume');
      expect(await last.exit).toBe(3);
      expect(last.said()).toContain(`${waiting[1]} were done before`);
      expect(digest(out)).toEqual(whole);
    },
  );

  test('Ctrl-C finishes what is in flight; --resume does only the rest', async () => {
    const run = start(out);
    await waitsAt(run, 0);
    run.child.kill('SIGINT');
    await until(run, () => run.said().includes('Finishing the pictures in flight'));
    expect(await run.exit).toBe(130);
    const before = linesIn(out).length;
    expect(before).toBeGreaterThan(waiting[0]);
    expect(before).toBeLessThan(total);
    expect(run.said()).toContain(`${total - before} are left: --resume continues`);
    const rest = start(out, '--resume');
    expect(await rest.exit).toBe(3);
    expect(rest.said()).toContain(`${before} were done before`);
    expect(digest(out)).toEqual(whole);
  });

  test('Ctrl-C twice stops now; what is listed stays', async () => {
    const run = start(out);
    await waitsAt(run, 0);
    run.child.kill('SIGINT');
    await until(run, () => run.said().includes('Finishing the pictures in flight'));
    run.child.kill('SIGINT');
    expect(await run.exit).toBe('SIGINT');
    const rest = start(out, '--resume');
    expect(await rest.exit).toBe(3);
    expect(rest.said()).toContain(`${waiting[0]} were done before`);
    expect(digest(out)).toEqual(whole);
  });

  /** Numbers of the worker processes. */
  const workersOf = ({ child: { pid } }: Run) =>
    readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);

  test.runIf(existsSync('/proc/self/task'))(
    'worker processes that are killed are replaced, and nothing is lost (needs /proc)',
    async () => {
      const run = start(out, '--isolate');
      await waitsAt(run, 0);
      const killed = workersOf(run);
      expect(killed).toHaveLength(2);
      for (const pid of killed) process.kill(pid, 'SIGKILL');
      await until(run, () => !workersOf(run).some((pid) => killed.includes(pid)));
      expect(await run.exit).toBe(3);
      expect(digest(out)).toEqual(whole);
    },
  );

  test('a picture whose worker is stopped is tried once more, then listed as failed; the others are explained', async () => {
    const run = start(out, '--isolate', '--timeout', '0.4');
    expect(await run.exit).toBe(3);
    const failed = linesIn(out).filter((line) => 'error' in line);
    expect(failed).toHaveLength(2 + (5 * count) / 10);
    expect(failed.find(({ image }) => image.path === gates[0])).toMatchObject({
      index: count,
      error: { code: 'RUNTIME', message: expect.stringMatching(/gate-a.png" took longer than 0.4 s/) },
    });
    expect(run.said()).toMatch(/gradcampp: "[^"]*gate-a.png" took longer/);
    const gone = Object.keys(whole).filter((name) => !existsSync(join(out, name)));
    expect(gone).toEqual(['gate-a.npy', 'gate-a.overlay.png', 'gate-b.npy', 'gate-b.overlay.png']);
  });
});

test('damaged files are written again', async () => {
  const expected = newFolder();
  const options = { model, images: [photos], outputs: { save: ['npy'] as const }, workforce: { workers: 2 } };
  await explainFolder({ ...options, out: expected });
  const controller = new AbortController();
  await explainFolder(
    { ...options, out, images: [photos], signal: controller.signal, workforce: { workers: 1 } },
    { picture: ([line]) => void (line.index === 5 && controller.abort()) },
  );
  const done = linesIn(out).length;
  expect(done).toBeLessThan(count);
  const { files } = linesIn(out).find((line) => 'files' in line);
  appendFileSync(join(out, files.npy), 'x');
  const summary = await explainFolder({ ...options, out, resume: true });
  expect(summary).toMatchObject({ before: done, images: count });
  expect(digest(out)).toEqual(digest(expected));
});

/** What gives a process file systems of its own: as root, or as root of a user namespace. */
const own = [
  ['unshare', '--mount'],
  ['unshare', '--user', '--map-root-user', '--mount'],
].find(([command, ...flags]) => {
  const small = join(root, 'probe');
  mkdirSync(small, { recursive: true });
  const mount = ['mount', '-t', 'tmpfs', '-o', 'size=100k', 'tmpfs', small];
  return spawnSync(command, [...flags, ...mount]).status === 0;
});
if (!own) console.warn('NOT TESTED: a full disk. No small file system can be mounted here.');

test.runIf(own !== undefined)(
  'a full disk stops the run; with space it goes on to the same end (needs mount)',
  () => {
    const [small, expected] = [join(root, 'small'), newFolder()];
    mkdirSync(small);
    const script = `
    explain() { "$NODE" "$MAIN" explain "$PHOTOS" --model "$MODEL" --save overlay,npy --workers 2 "$@" 2> "$OUT/said"; echo $?; }
    explain --out "$EXPECTED"
    mount -t tmpfs -o size=100k tmpfs "$SMALL"
    explain --out "$SMALL/out"
    cp "$OUT/said" "$OUT/full"
    cp "$SMALL/out/results.jsonl" "$OUT/results.jsonl"
    mount -o remount,size=10m "$SMALL"
    explain --out "$SMALL/out" --resume
    cp -r "$SMALL/out" "$OUT/resumed"`;
    const names = { NODE: process.execPath, MAIN: main, PHOTOS: photos, MODEL: model };
    const env = { ...process.env, ...names, SMALL: small, OUT: out, EXPECTED: expected };
    const [command, ...flags] = own as string[];
    const { stdout, stderr } = spawnSync(command, [...flags, 'sh', '-c', script], { env, encoding: 'utf8' });
    expect(stderr).toBe('');
    const codes = stdout.split('\n').filter((line) => /^\d$/.test(line));
    expect(codes).toEqual(['3', '3', '3']);
    expect(readFileSync(join(out, 'full'), 'utf8')).toMatch(
      /^gradcampp: .* cannot be written: the disk is full\.$/m,
    );
    const kept = readFileSync(join(out, 'results.jsonl'), 'utf8');
    expect(kept.length).toBeGreaterThan(0);
    expect(
      readFileSync(join(expected, 'results.jsonl'), 'utf8').startsWith(kept.slice(0, kept.lastIndexOf('\n'))),
    ).toBe(true);
    expect(digest(join(out, 'resumed'))).toEqual(digest(expected));
  },
);
