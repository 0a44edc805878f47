// What starting costs: `import 'gradcampp'` over an empty module, `gradcampp --help` over `node -e 0`, and the first
// picture of a command that is started cold.
//
//   npm run build && node bench/startup.mjs [--only import,help,picture] [--rounds 15] [--images DIR] [--models DIR] [--out FILE]
//
// Every trial is a process; contenders take turns. The least of the rounds is what the code needs; the median, what a
// busy machine makes of it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { flags, Report, round, shared, statistics } from './measure.mjs';

const options = flags({ rounds: '15', images: undefined, models: undefined });
const rounds = Number(options.rounds);
const root = mkdtempSync(join(tmpdir(), 'gradcampp-startup-'));
const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const index = new URL('../dist/index.js', import.meta.url).href;

/** Says, when a process ends, what processor time it used. */
const clock = join(root, 'clock.cjs');
writeFileSync(
  clock,
  "process.on('exit', () => { const { user, system } = process.cpuUsage(); process.stderr.write(`clock ${user + system}\\n`); });",
);

/** Milliseconds until a process ends, and until it first writes; its processor time; what it wrote. */
async function timeOf(args) {
  const start = performance.now();
  const child = spawn(process.execPath, ['--require', clock, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let first;
  let text = '';
  child.stdout.on('data', (data) => {
    first ??= performance.now() - start;
    text += data;
  });
  let said = '';
  child.stderr.on('data', (data) => {
    said += data;
  });
  const [code] = await once(child, 'close');
  assert.equal(code, 0, `${args.join(' ')} ended with code ${code}`);
  const whole = performance.now() - start;
  return { whole, first, processor: Number(/clock (\d+)/.exec(said)[1]) / 1000, text };
}

async function byTurns(contenders) {
  const times = Object.fromEntries(Object.keys(contenders).map((name) => [name, []]));
  for (let i = -1; i < rounds; i++)
    for (const [name, run] of Object.entries(contenders)) {
      const time = await run();
      if (i >= 0) times[name].push(time);
    }
  return times;
}

/** Two contenders, and what the second needs more. */
function rowsOf(times, what) {
  const columns = { 'median ms': ['whole', 'median'], 'least ms': ['whole', 'least'], 'processor ms': ['processor', 'median'] };
  const rows = Object.entries(times).map(([contender, list]) => ({
    contender,
    ...Object.fromEntries(
      Object.entries(columns).map(([column, [time, which]]) => [column, statistics(list.map((result) => result[time]))[which]]),
    ),
  }));
  const more = Object.keys(columns).map((column) => [column, round(rows[1][column] - rows[0][column], 3)]);
  return [...rows, { contender: what, ...Object.fromEntries(more) }];
}

/** All samples, without what was written. */
function samplesOf(times) {
  return Object.fromEntries(Object.entries(times).map(([name, list]) => [name, list.map(({ whole, processor }) => ({ whole, processor }))]));
}

async function imports() {
  writeFileSync(join(root, 'empty.mjs'), '');
  writeFileSync(join(root, 'gradcampp.mjs'), `import { Explainer } from ${JSON.stringify(index)};\nif (!Explainer.open) process.exit(1);\n`);
  const run = (name) => () => timeOf([join(root, `${name}.mjs`)]);
  const times = await byTurns({ 'an empty module': run('empty'), "import 'gradcampp'": run('gradcampp') });
  return { rows: rowsOf(times, 'difference'), times: samplesOf(times) };
}

async function help() {
  const times = await byTurns({
    'node -e 0': () => timeOf(['-e', '0']),
    'gradcampp --help': async () => {
      const result = await timeOf([main, '--help']);
      assert.match(result.text, /explain/);
      return result;
    },
  });
  return { rows: rowsOf(times, 'difference'), times: samplesOf(times) };
}

async function picture() {
  const model = join(shared('models', options.models), 'squeezenet1_0.onnx');
  const folder = shared('images/imagenet100', options.images);
  const paths = readdirSync(folder).map((name) => join(folder, name));
  const explain = (images) => async () => {
    const { first, text } = await timeOf([main, 'explain', ...images, '--model', model, '--out', join(root, 'out'), '--overwrite']);
    assert.match(text, /→ .*\.overlay\.jpg/);
    return first;
  };
  const times = await byTurns({ 'explain one picture': explain(paths.slice(0, 1)), 'explain ten pictures, a worker a core': explain(paths.slice(0, 10)) });
  const rows = Object.entries(times).map(([name, list]) => {
    const { median, least } = statistics(list);
    return { command: name, 'first result, median ms': median, 'least ms': least };
  });
  return { rows, times };
}

const report = new Report('startup', 'what starting costs', options);
try {
  await report.section('import over an empty module', imports);
  await report.section('help over node alone', help);
  await report.section('picture: from the start of the command to its first result, SqueezeNet', picture);
} finally {
  rmSync(root, { recursive: true });
}
