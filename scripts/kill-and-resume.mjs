// Kills `gradcampp explain` with SIGKILL at random moments, resumes it, and compares what it leaves, byte by byte, with
// what an uninterrupted run leaves. Nothing is left out of the comparison: no file of a run holds a time, a process
// number or anything else that differs when the run is repeated.
// Usage: npm run kill-and-resume [-- --runs 100 --pictures 60 --kills 3 --seed 123 --isolate]
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, relative } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { archiveEnd, encodeMember } from '../dist/batch/inputs/tar.js';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '100' },
    pictures: { type: 'string', default: '60' },
    /** At most so many in one run. */
    kills: { type: 'string', default: '3' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    isolate: { type: 'boolean', default: false },
  },
});
const [runs, count, mostKills] = [values.runs, values.pictures, values.kills].map(Number);
const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const assets = fileURLToPath(new URL('../assets', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'gradcampp-kill-'));
const random = mulberry32(Number(values.seed));
console.log(`seed ${values.seed}`);

/** The embedded pictures, over and over; every tenth cannot be read. */
const source = join(assets, 'pictures');
const originals = readdirSync(source).filter((name) => /\.(png|jpe?g)$/.test(name));
const photos = join(root, 'photos');
mkdirSync(join(photos, 'below'), { recursive: true });
const members = [];
for (let i = 0; i < count; i++) {
  const original = join(source, originals[i % originals.length]);
  const name = `${i}-${basename(original)}`;
  const path = join(photos, i % 3 === 0 ? 'below' : '', name);
  if (i % 10 === 9) writeFileSync(path, 'no picture');
  else cpSync(original, path);
  members.push(encodeMember(`set/${name}`, readFileSync(path)));
}
const shards = [0, 1].map((i) => join(root, `shard-${i}.tar`));
const half = Math.ceil(count / 2);
writeFileSync(shards[0], Buffer.concat([...members.slice(0, half), archiveEnd]));
writeFileSync(shards[1], Buffer.concat([...members.slice(half), archiveEnd]));

const common = ['--model', join(assets, 'shapes.onnx'), '--workers', '2', '--quiet', '--save', 'overlay,npy'];
if (values.isolate) common.push('--isolate');
const kinds = {
  'files and a Parquet table': (out) => [photos, '--table', join(out, 'results.parquet')],
  'archives and a CSV table': (out) => [
    ...shards.flatMap((shard) => ['--input', shard]),
    '--table',
    join(out, 'results.csv'),
  ],
};

let differing = 0;
let kills = 0;
for (const [kind, sources] of Object.entries(kinds)) {
  const start = (out) => command([...sources(out), ...common, '--out', out, '--resume']);
  const whole = join(root, 'whole');
  const since = performance.now();
  const { exit } = start(whole);
  const code = await exit;
  const length = performance.now() - since;
  if (code !== 3) throw new Error(`The uninterrupted run ended with code ${code}.`);
  const expected = digest(whole);
  const before = kills;
  let same = 0;
  const mine = Math.ceil(runs / 2);
  for (let run = 0; run < mine; run++) {
    const out = join(root, 'killed');
    const planned = 1 + Math.floor(random() * mostKills);
    for (let kill = 0; kill < planned; kill++) {
      const { child, exit } = start(out);
      await Promise.race([wait(random() * length), exit]);
      const isInTime = child.exitCode === null && child.kill('SIGKILL');
      await exit;
      if (isInTime) kills++;
      else if (kill-- === 0) rmSync(out, { recursive: true }); // it ended before: a run that was never killed does not count
      else break;
    }
    const code = await start(out).exit;
    const differences = compare(expected, digest(out));
    if (code === 3 && differences.length === 0) same++;
    else console.log(`run ${run} (${kind}): exit code ${code}, differs in ${differences.join(', ')}`);
    rmSync(out, { recursive: true });
  }
  differing += mine - same;
  console.log(
    `${kind}: ${same} of ${mine} folders identical (${Object.keys(expected).length} files each; ${kills - before} kills; a whole run takes ${(length / 1000).toFixed(1)} s)`,
  );
  rmSync(whole, { recursive: true });
}
rmSync(root, { recursive: true });
process.exitCode = differing === 0 ? 0 : 1;

function command(args) {
  const child = spawn(process.execPath, [main, 'explain', ...args], { stdio: 'ignore' });
  return { child, exit: new Promise((resolve) => child.on('exit', resolve)) };
}

/** Path and SHA-256 of everything in a folder, empty folders and what should not be there included. */
function digest(folder) {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).map((entry) => {
    const path = join(entry.parentPath, entry.name);
    const hash = entry.isFile() && createHash('sha256').update(readFileSync(path)).digest('hex');
    return [relative(folder, path), hash];
  });
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function compare(expected, found) {
  const names = new Set([...Object.keys(expected), ...Object.keys(found)]);
  return [...names].filter((name) => expected[name] !== found[name]);
}

/** Numbers of [0, 1) from a seed. */
function mulberry32(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
