// Kills `gradcampp distill` with SIGKILL at random moments, resumes it, and compares what it leaves, byte by byte, with what an
// uninterrupted run leaves.
// Usage: npm run kill-training [-- --runs 30 --kills 3 --seed 123]
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { encodePng } from '../dist/image/encode.js';
import { random } from '../dist/random-stream.js';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '30' },
    /** At most so many in one run. */
    kills: { type: 'string', default: '3' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
  },
});
const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'gradcampp-kill-'));
const numbers = random(Number(values.seed));
console.log(`seed ${values.seed}`);

for (const [c, name] of ['dark', 'light', 'striped'].entries())
  for (let n = 0; n < 40; n++) {
    const data = Uint8Array.from({ length: 16 * 16 * 3 }, (_, i) => {
      const level = c === 2 ? (i % 2 ? 60 : 180) : 70 + 90 * c;
      return level + 60 * numbers.uniform();
    });
    mkdirSync(join(root, 'data', name), { recursive: true });
    writeFileSync(join(root, 'data', name, `${n}.png`), encodePng({ data, width: 16, height: 16, channels: 3 }));
  }

/** Runs a command; killed after so many milliseconds where it lasts longer. @returns whether it came to its end */
async function run(args, life = Number.POSITIVE_INFINITY) {
  const child = spawn(process.execPath, [main, ...args, '--quiet'], { stdio: ['ignore', 'inherit', 'pipe'] });
  let said = '';
  child.stderr.on('data', (text) => (said += text));
  const ended = new Promise((resolve) => child.on('exit', (code, signal) => resolve({ code, signal })));
  if (Number.isFinite(life)) void wait(life).then(() => child.kill('SIGKILL'));
  const { code, signal } = await ended;
  if (signal === null && code !== 0) throw new Error(`ended with ${code}: ${said}`);
  return signal === null;
}

const common = ['--data', join(root, 'data'), '--width', '0.25', '--batch', '20', '--seeds', '2'];
await run(['train', ...common, '--epochs', '2', '--out', join(root, 'teacher')]);
const distill = ['distill', ...common, '--teacher', join(root, 'teacher', 'student.onnx'), '--epochs', '12'];
const contents = (folder) =>
  new Map(
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.parentPath.includes('.cache'))
      .map((entry) => join(entry.parentPath, entry.name))
      .map((path) => [path.slice(folder.length), readFileSync(path).toString('base64')]),
  );
const began = performance.now();
await run([...distill, '--out', join(root, 'whole')]);
const length = performance.now() - began;
const expected = contents(join(root, 'whole'));

let kills = 0;
for (let number = 0; number < Number(values.runs); number++) {
  const out = join(root, 'killed');
  const wanted = 1 + numbers.below(Number(values.kills));
  let isDone = false;
  for (let kill = 0; kill < wanted && !isDone; kill++) {
    isDone = await run([...distill, '--out', out, '--resume'], length * 1.1 * numbers.uniform());
    if (!isDone) kills++;
  }
  if (!isDone) await run([...distill, '--out', out, '--resume']);
  const found = contents(out);
  const wrong = [...new Set([...expected.keys(), ...found.keys()])].filter((name) => expected.get(name) !== found.get(name));
  if (wrong.length > 0) {
    console.log(`run ${number}: ${wrong.join(', ')} differ; ${root} is kept`);
    process.exit(1);
  }
  rmSync(out, { recursive: true });
}
console.log(`${values.runs} runs, killed ${kills} times: ${expected.size} files each, all as without`);
rmSync(root, { recursive: true });
