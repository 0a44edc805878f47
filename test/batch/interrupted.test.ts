import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type * as RunModule from '../../src/batch/explain-folder.js';
import { built } from '../support/built.js';
import { Hold } from '../support/hold.js';
import { count, digest, linesIn, makeInputs, model, newFolder, noise, photos, root } from './inputs.js';
import { ownFileSystems } from '../support/own-file-systems.js';

const { explainFolder } = await built<typeof RunModule>('batch/explain-folder.js');
const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
let out = '';

/** Behind each forty pictures one that a run comes to, and no farther, until it is let go. */
const held = ['held-1.png', 'held-2.png', 'held-3.png'];
const sources = [...held.flatMap((name) => [photos, join(root, name)]), photos];
const total = held.length + (held.length + 1) * count;

let whole: Record<string, string>;
let hold: Hold;
beforeAll(async () => {
  makeInputs();
  for (const [i, name] of held.entries()) writeFileSync(join(root, name), noise(i));
  hold = new Hold(newFolder());
  hold.letGo(...held);
  const folder = newFolder();
  expect(await start(folder).exit).toBe(3);
  whole = digest(folder);
});
beforeEach(() => {
  out = newFolder();
  hold = new Hold(newFolder());
});
afterEach(() => vi.unstubAllEnvs());
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
    env: { ...process.env, ...hold.env },
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

/** Whole lines of the journal, which says what is done. */
function done(folder: string): number {
  const journal = join(folder, '.partial', 'journal.jsonl');
  return existsSync(journal) ? readFileSync(journal, 'utf8').split('\n').length - 1 : 0;
}

/** Stops a run, until SIGCONT, once all is done before the held picture of this number. @returns how many are */
async function pause(run: Run, number: number): Promise<number> {
  const before = number * (count + 1) + count;
  await until(run, () => done(out) === before);
  run.child.kill('SIGSTOP');
  return before;
}

describe('interrupted and resumed', () => {
  test.each([[[]], [['--isolate']]])(
    'killed three times: the folder of an uninterrupted run %j',
    async (flags) => {
      let before = 0;
      for (let kill = 0; kill < 3; kill++) {
        const run = start(out, ...flags, '--resume');
        before = await pause(run, kill);
        run.child.kill('SIGKILL');
        expect(await run.exit).toBe('SIGKILL');
        expect(existsSync(join(out, '.partial'))).toBe(true);
        hold.letGo(held[kill]);
      }
      const last = start(out, ...flags, '--resume');
      expect(await last.exit).toBe(3);
      expect(last.said()).toContain(`${before} were done before`);
      expect(digest(out)).toEqual(whole);
    },
  );

  test('Ctrl-C finishes what is in flight; --resume does only the rest', async () => {
    const run = start(out);
    const listed = await pause(run, 0);
    run.child.kill('SIGINT');
    run.child.kill('SIGCONT');
    await until(run, () => run.said().includes('Finishing what is in flight'));
    hold.letGo(...held);
    expect(await run.exit).toBe(130);
    const before = linesIn(out).length;
    expect(before).toBeGreaterThanOrEqual(listed);
    expect(before).toBeLessThan(total);
    expect(run.said()).toContain(`${total - before} are left: --resume continues`);
    const rest = start(out, '--resume');
    expect(await rest.exit).toBe(3);
    expect(rest.said()).toContain(`${before} were done before`);
    expect(digest(out)).toEqual(whole);
  });

  test('interrupted twice it stops now; what is listed stays', async () => {
    const run = start(out);
    const listed = await pause(run, 0);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGCONT'] as const) run.child.kill(signal);
    expect(await run.exit).toMatch(/^SIG(INT|TERM)$/);
    hold.letGo(...held);
    const rest = start(out, '--resume');
    expect(await rest.exit).toBe(3);
    const [, before] = /(\d+) were done before/.exec(rest.said()) ?? [];
    expect(Number(before)).toBeGreaterThanOrEqual(listed);
    expect(digest(out)).toEqual(whole);
  });

  test.runIf(existsSync('/proc/self/task'))(
    'worker processes that are killed are replaced, and nothing is lost (needs /proc)',
    async () => {
      const run = start(out, '--isolate');
      await pause(run, 0);
      const { pid } = run.child;
      const workers = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
      expect(workers).toHaveLength(2);
      for (const worker of workers) process.kill(Number(worker), 'SIGKILL');
      hold.letGo(...held);
      run.child.kill('SIGCONT');
      expect(await run.exit).toBe(3);
      expect(digest(out)).toEqual(whole);
    },
  );
});

test('a picture that takes too long is listed as failed, and its worker stopped; the others are explained', async () => {
  for (const [name, value] of Object.entries(hold.env)) vi.stubEnv(name, value);
  const slow = join(root, held[0]);
  const images = [photos, slow, photos];
  const workforce = { workers: 2, isolate: true, timeout: 3 };
  const outputs = { save: ['npy'] as const };
  const summary = await explainFolder({ model, images, out, outputs, workforce });
  expect(summary).toMatchObject({ images: 2 * count + 1, failed: 1 + (2 * count) / 10, stopped: false });
  expect(linesIn(out)[count]).toEqual({
    index: count,
    image: { path: slow },
    error: { code: 'RUNTIME', message: `${JSON.stringify(slow)} took longer than 3 s.` },
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
  expect(summary).toMatchObject({ before: done - 1, images: count });
  expect(digest(out)).toEqual(digest(expected));
});

const own = ownFileSystems(join(root, 'probe'));
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
    expect(
      readFileSync(join(expected, 'results.jsonl'), 'utf8').startsWith(kept.slice(0, kept.lastIndexOf('\n'))),
    ).toBe(true);
    expect(digest(join(out, 'resumed'))).toEqual(digest(expected));
  },
);
