// Large batches, end to end: what `explain` makes of a folder of JPEG files against as many bare ONNX Runtime sessions
// on tensors that are ready; what the gradient adds within the pipeline; growth with workers, pictures and classes;
// memory; and how long an embedding program's event loop waits.
//
//   npm run build && node bench/pipeline.mjs [--only end-to-end,workers] [--pictures 2000] [--rounds 3] [--most 10000]
//     [--images DIR] [--models DIR] [--model squeezenet1_0] [--out FILE]
//
// Every contender is a process of its own, in interleaved rounds; ratios are of neighbours, and the median of the
// rounds. Every result that is timed is compared with what a plain session says of the same picture. Beside the
// wall clock stands processor time (all threads), which says the same on a machine that others use too.
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { flags, median, pairedRatio, Report, round, shared, statistics } from './measure.mjs';

const options = flags({
  pictures: '2000',
  most: '10000',
  rounds: '3',
  images: undefined,
  models: undefined,
  model: 'squeezenet1_0',
});
const [pictures, most, rounds] = [options.pictures, options.most, options.rounds].map(Number);
const model = join(shared('models', options.models), `${options.model}.onnx`);
const originals = shared('images/imagenet100', options.images);
const cores = availableParallelism();
const root = mkdtempSync(join(tmpdir(), 'gradcampp-bench-'));

/** A folder of `count` pictures: the originals, over and over. */
const folderOf = remember((count) => {
  const folder = join(root, `pictures-${count}`);
  mkdirSync(folder);
  const names = readdirSync(originals).filter((name) => /\.jpe?g$/i.test(name));
  for (let i = 0; i < count; i++)
    symlinkSync(join(originals, names[i % names.length]), join(folder, `${String(i).padStart(6, '0')}-${names[i % names.length]}`));
  return folder;
});

/** One contender in a process of its own: what bench/pipeline-part.mjs says of it. */
async function part(kind, job) {
  const script = fileURLToPath(new URL('pipeline-part.mjs', import.meta.url));
  const file = join(root, 'job.json');
  writeFileSync(file, JSON.stringify({ kind, model, expected: await expected(), ...job }));
  const { stdout } = await promisify(execFile)(process.execPath, [script, file], { maxBuffer: 1 << 28 });
  return JSON.parse(stdout.slice(stdout.lastIndexOf('\n{') + 1));
}

/** Class and score of every original, by a plain session; the file that holds them. */
const expected = remember(async () => {
  const file = join(root, 'expected.json');
  writeFileSync(join(root, 'expect.json'), JSON.stringify({ kind: 'expect', model, folder: originals }));
  const script = fileURLToPath(new URL('pipeline-part.mjs', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [script, join(root, 'expect.json')]);
  writeFileSync(file, stdout);
  return file;
});

let runs = 0;

/** Output folders stay until the end, as users' do: ext4 makes files slowly for minutes after thousands were deleted. */
async function explain(count, save, workers = cores) {
  return part('explain', { folder: folderOf(count), out: join(root, `out-${runs++}`), save, workers });
}

const bare = (count, workers = cores) => part('bare', { folder: originals, count, workers });

function remember(make) {
  const known = new Map();
  return (key) => {
    if (!known.has(key)) known.set(key, make(key));
    return known.get(key);
  };
}

/** Results of contenders in interleaved rounds: one list each. */
async function interleaved(contenders, times = rounds) {
  const results = Object.fromEntries(Object.keys(contenders).map((name) => [name, []]));
  for (let i = 0; i < times; i++)
    for (const [name, run] of Object.entries(contenders)) {
      const result = await run();
      results[name].push(result);
      console.log(`  ${name}: ${(result.pictures / result.seconds).toFixed(1)}/s, ${(result.cpu / result.pictures).toFixed(2)} ms of processor time a picture`);
    }
  return results;
}

const rate = (result) => result.pictures / result.seconds;
const cpuOf = (result) => result.cpu / result.pictures;

async function endToEnd() {
  const results = await interleaved({
    'bare sessions': () => bare(pictures),
    'explain, overlay JPEGs': () => explain(pictures, ['overlay']),
    'explain, --save npy': () => explain(pictures, ['npy']),
  });
  const base = results['bare sessions'];
  const rows = Object.entries(results).map(([name, list]) => ({
    contender: name,
    'pictures/s': round(median(list.map(rate)), 3),
    'of bare': pairedRatio(list.map(rate), base.map(rate)),
    'after the start': list[0].steady && pairedRatio(list.map(({ pictures: n, steady }) => n / steady), base.map(rate)),
    'processor ms a picture': round(median(list.map(cpuOf)), 3),
    // A picture alone in its worker: where the time goes.
    ...(list[0].stages && inWords(mean(list.map(({ stages }) => stages)))),
  }));
  return { pictures, workers: cores, rows, results };
}

function inWords(stages) {
  return Object.fromEntries(Object.entries(stages).map(([stage, time]) => [`${stage} ms`, time]));
}

function mean(list) {
  return Object.fromEntries(
    Object.keys(list[0]).map((key) => [key, round(list.reduce((sum, item) => sum + item[key], 0) / list.length, 3)]),
  );
}

/** Forward and explain of the same picture by turns, in as many workers as the pipeline has, decoding between them. */
async function gradient() {
  const layers = ['auto', 'fire9/concat', 'fire5/concat'];
  const rows = [];
  const results = {};
  for (const layer of layers) {
    const { forward, explained } = await part('gradient', { folder: originals, layer, workers: cores, count: Math.max(60, pictures / 10) });
    results[layer] = { forward: statistics(forward), explain: statistics(explained) };
    rows.push({
      layer,
      'forward ms': results[layer].forward.median,
      'explain ms': results[layer].explain.median,
      'explain / forward': round(median(explained) / median(forward), 3),
      'of the least': round(Math.min(...explained) / Math.min(...forward), 3),
      'of the sums': round(sum(explained) / sum(forward), 3),
    });
  }
  return { rows, results };
}

const sum = (values) => values.reduce((a, b) => a + b, 0);

async function workers() {
  const counts = [...new Set([1, 2, cores])].filter((count) => count <= cores);
  const results = await interleaved(Object.fromEntries(counts.map((count) => [count, () => explain(pictures, ['overlay'], count)])));
  const rows = counts.map((count) => ({
    workers: count,
    'pictures/s': round(median(results[count].map(rate)), 3),
    'of one worker': pairedRatio(results[count].map(rate), results[1].map(rate)),
    'processor ms a picture': round(median(results[count].map(cpuOf)), 3),
    'cores used': round(median(results[count].map((result) => result.cpu / 1000 / result.seconds)), 3),
  }));
  return { pictures, rows, results };
}

/**
 * Time and memory by the number of pictures, three times: short runs before the longest and as many after it, since the
 * machine's speed drifts meanwhile. Times and peaks are the medians of all runs, a ratio is that of one round's medians.
 */
async function growth() {
  const counts = [200, 1000, most].filter((count, i, all) => all.indexOf(count) === i && count <= most);
  const upwards = counts.flatMap((count) => Array(Math.ceil(1000 / count)).fill(count));
  const all = [];
  for (let i = 0; i < 3; i++) {
    const results = Object.fromEntries(counts.map((count) => [count, []]));
    for (const count of [...upwards, ...upwards.slice(0, -1).reverse()]) {
      const result = await explain(count, ['npy']);
      results[count].push(result);
      console.log(`  ${count}: ${perPicture(count, result).toFixed(2)} ms, ${(result.steadyCpu / count).toFixed(2)} ms of processor time, ${(result.peak / 1e6).toFixed(0)} MB`);
    }
    all.push(results);
  }
  const runsOf = (count) => all.flatMap((results) => results[count]);
  const medianOf = (count, value) => median(runsOf(count).map(value));
  const ofMost = (count) => {
    const ratios = all.map((results) => {
      const [own, longest] = [count, counts.at(-1)].map((n) => median(results[n].map((result) => perPicture(n, result))));
      return own / longest;
    });
    return round(median(ratios), 3);
  };
  // What every further picture takes: compilers that warm up, and the closing, are paid once.
  const further = (i, value) =>
    i === 0 ? undefined : round((medianOf(counts[i], value) - medianOf(counts[i - 1], value)) / (counts[i] - counts[i - 1]), 4);
  const rows = counts.map((count, i) => ({
    pictures: count,
    runs: runsOf(count).length,
    'ms a picture': round(medianOf(count, (result) => perPicture(count, result)), 4),
    [`of those of ${counts.at(-1)}`]: ofMost(count),
    'ms each further': further(i, ({ steady }) => 1000 * steady),
    'processor ms a picture': round(medianOf(count, ({ steadyCpu }) => steadyCpu) / count, 4),
    'processor ms each further': further(i, ({ steadyCpu }) => steadyCpu),
    'peak MB': round(medianOf(count, ({ peak }) => peak) / 1e6, 4),
  }));
  return { rows, results: all };
}

/** Milliseconds after the start, which is paid once. */
const perPicture = (count, { steady }) => (1000 * steady) / count;

async function classes() {
  const rows = [];
  for (const layer of ['auto', 'fire9/concat']) {
    const times = await part('classes', { folder: originals, layer, tops: [1, 2, 5, 10, 20], count: 25 });
    for (const [top, list] of Object.entries(times))
      rows.push({ layer, classes: Number(top), 'ms a picture': statistics(list).median, 'of one class': round(median(list) / median(times[1]), 3) });
  }
  return { rows };
}

async function eventLoop() {
  const number = Math.max(1, cores - 1);
  const list = [];
  for (let i = 0; i < rounds; i++) list.push(await part('loop', { folder: folderOf(pictures), workers: number }));
  const rows = list.map(({ delay, seconds }) => ({
    workers: number,
    'pictures/s': round(pictures / seconds, 3),
    'delay ms: median': delay.p50,
    '99 %': delay.p99,
    '99.9 %': delay.p999,
    most: delay.most,
  }));
  return { pictures, rows };
}

const report = new Report('pipeline', 'large batches from JPEG files to results, SqueezeNet', options);
try {
  await report.section('end-to-end: explain against bare sessions on ready tensors', endToEnd);
  await report.section('gradient: explain against forward, within the pipeline', gradient);
  await report.section('workers: one against several', workers);
  await report.section('growth: time and memory by the number of pictures', growth);
  await report.section('classes: time by the number of classes of a picture', classes);
  await report.section('event-loop: delay of an embedding program at full speed', eventLoop);
} finally {
  rmSync(root, { recursive: true, force: true });
}
