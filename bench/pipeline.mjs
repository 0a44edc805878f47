// Large batches, end to end: what `explain` makes of a folder of JPEG files against as many bare ONNX Runtime sessions
// on tensors that are ready; what the gradient adds within the pipeline; growth with workers, pictures and classes;
// memory; and how long an embedding program's event loop waits.
//
//   npm run build && node bench/pipeline.mjs [--only end-to-end,workers] [--pictures 400] [--rounds 3] [--most 10000]
//     [--networks resnet50-like,mobilenet-like,squeezenet] [--against ../another/checkout] [--images DIR] [--models DIR]
//
// Networks: two of the kinds that people explain most, with random weights (networks.mjs), and SqueezeNet 1.0 at fire9/concat,
// where there is something to choose between channels. `--against` runs another checkout, built there, beside this one.
// Every contender is a process of its own, in interleaved rounds; ratios are of neighbours, and the median of the rounds.
// Every result that is timed is compared with what a plain session says of the same picture. Beside the wall clock stands
// processor time (all threads), which says the same on a machine that others use too.
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { flags, median, pairedRatio, Report, round, shared, statistics } from './measure.mjs';
import { networks, saveNetwork } from './networks.mjs';

const options = flags({
  pictures: '400',
  most: '10000',
  rounds: '3',
  images: undefined,
  models: undefined,
  networks: 'resnet50-like,mobilenet-like,squeezenet',
  against: undefined,
});
const [pictures, most, rounds] = [options.pictures, options.most, options.rounds].map(Number);
const originals = shared('images/imagenet100', options.images);
const cores = availableParallelism();
const root = mkdtempSync(join(tmpdir(), 'gradcampp-bench-'));
const names = options.networks.split(',');

/** This checkout's contenders, and the other's. */
const checkouts = { '': fileURLToPath(new URL('.', import.meta.url)) };
if (options.against) checkouts[', before'] = join(resolve(options.against), 'bench');

/** A folder of `count` pictures: the originals, over and over. */
const folderOf = remember((count) => {
  const folder = join(root, `pictures-${count}`);
  mkdirSync(folder);
  const files = readdirSync(originals).filter((name) => /\.jpe?g$/i.test(name));
  for (let i = 0; i < count; i++)
    symlinkSync(join(originals, files[i % files.length]), join(folder, `${String(i).padStart(6, '0')}-${files[i % files.length]}`));
  return folder;
});

/** A network's file, its sidecar beside it. */
const modelOf = remember(async (name) => {
  const path = join(root, `${name}.onnx`);
  const sidecar = { input: { size: [224, 224], resize: 256, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } };
  if (networks[name]) await saveNetwork(name, path);
  else {
    const models = shared('models', options.models);
    symlinkSync(join(models, 'squeezenet1_0.onnx'), path);
    const { input, output } = JSON.parse(readFileSync(join(models, 'squeezenet1_0.json'), 'utf8'));
    Object.assign(sidecar, { input, output, targetLayer: 'fire9/concat' });
  }
  writeFileSync(join(root, `${name}.json`), JSON.stringify(sidecar));
  return path;
});

/** One contender in a process of its own: what a checkout's bench/pipeline-part.mjs says of it. */
async function part(kind, name, job, checkout = checkouts['']) {
  const file = join(root, 'job.json');
  writeFileSync(file, JSON.stringify({ kind, model: await modelOf(name), expected: await expected(name), ...job }));
  const { stdout } = await promisify(execFile)(process.execPath, [join(checkout, 'pipeline-part.mjs'), file], { maxBuffer: 1 << 28 });
  return JSON.parse(stdout.slice(stdout.lastIndexOf('\n{') + 1));
}

/** Class and score of every original, by a plain session; the file that holds them. */
const expected = remember(async (name) => {
  const file = join(root, `expected-${name}.json`);
  writeFileSync(join(root, 'expect.json'), JSON.stringify({ kind: 'expect', model: await modelOf(name), folder: originals }));
  const script = fileURLToPath(new URL('pipeline-part.mjs', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [script, join(root, 'expect.json')]);
  writeFileSync(file, stdout);
  return file;
});

let runs = 0;

/** Output folders stay until the end, as users' do: ext4 makes files slowly for minutes after thousands were deleted. */
function explain(name, count, save, { workers = cores, checkout } = {}) {
  return part('explain', name, { folder: folderOf(count), out: join(root, `out-${runs++}`), save, workers }, checkout);
}

const bare = (name, count, workers = cores) => part('bare', name, { folder: originals, count, workers });

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

async function endToEnd(name) {
  const contenders = { 'bare sessions': () => bare(name, pictures) };
  for (const [when, checkout] of Object.entries(checkouts))
    for (const save of ['overlay', 'npy'])
      contenders[`explain, --save ${save}${when}`] = () => explain(name, pictures, [save], { checkout });
  const results = await interleaved(contenders);
  const base = results['bare sessions'];
  const rows = Object.entries(results).map(([contender, list]) => {
    const before = results[`${contender}, before`];
    return {
      contender,
      'pictures/s': round(median(list.map(rate)), 3),
      'of bare': pairedRatio(list.map(rate), base.map(rate)),
      ...(before ? { 'of before': pairedRatio(list.map(rate), before.map(rate)) } : {}),
      'processor ms a picture': round(median(list.map(cpuOf)), 3),
      'peak MB': list[0].peak && round(median(list.map(({ peak }) => peak)) / 1e6, 4),
    };
  });
  return { pictures, workers: cores, rows, results };
}

/** Forward and explain of the same picture by turns, in as many workers as the pipeline has, decoding between them. */
async function gradient() {
  const cases = names.flatMap((name) => (name === 'squeezenet' ? [[name, 'fire9/concat'], [name, 'fire5/concat']] : [[name, 'auto']]));
  const rows = [];
  const results = {};
  for (const [name, layer] of cases) {
    const job = { folder: originals, layer, workers: cores, count: Math.max(60, pictures / 4) };
    const { forward, explained } = await part('gradient', name, job);
    results[`${name} ${layer}`] = { forward: statistics(forward), explain: statistics(explained) };
    rows.push({
      network: name,
      layer,
      'forward ms': round(median(forward)),
      'explain ms': round(median(explained)),
      'explain / forward': round(median(explained) / median(forward), 3),
      'of the least': round(Math.min(...explained) / Math.min(...forward), 3),
      'of the sums': round(sum(explained) / sum(forward), 3),
    });
  }
  return { rows, results };
}

const sum = (values) => values.reduce((a, b) => a + b, 0);

async function workers(name = names.at(-1)) {
  const counts = [...new Set([1, 2, cores])].filter((count) => count <= cores);
  const results = await interleaved(Object.fromEntries(counts.map((count) => [count, () => explain(name, pictures, ['overlay'], { workers: count })])));
  const rows = counts.map((count) => ({
    workers: count,
    'pictures/s': round(median(results[count].map(rate)), 3),
    'of one worker': pairedRatio(results[count].map(rate), results[1].map(rate)),
    'processor ms a picture': round(median(results[count].map(cpuOf)), 3),
    'cores used': round(median(results[count].map((result) => result.cpu / 1000 / result.seconds)), 3),
  }));
  return { pictures, rows, results };
}

/** Time and memory by the number of pictures, of every checkout by turns. */
async function growth(name = names.at(-1)) {
  const counts = [200, 1000, most].filter((count, i, all) => all.indexOf(count) === i && count <= most);
  const rows = [];
  const all = {};
  for (const count of counts) {
    const contenders = Object.entries(checkouts).map(([when, checkout]) => [
      `${count}${when}`,
      () => explain(name, count, ['npy'], { checkout }),
    ]);
    const results = await interleaved(Object.fromEntries(contenders), count === most ? 1 : rounds);
    for (const [contender, list] of Object.entries(results)) {
      const before = results[`${contender}, before`];
      rows.push({
        pictures: contender,
        runs: list.length,
        'ms a picture': round(median(list.map((result) => perPicture(count, result))), 4),
        'processor ms a picture': round(median(list.map(({ steadyCpu }) => steadyCpu / count)), 4),
        'peak MB': round(median(list.map(({ peak }) => peak)) / 1e6, 4),
        ...(before ? { 'peak of before': pairedRatio(list.map(({ peak }) => peak), before.map(({ peak }) => peak)) } : {}),
      });
    }
    Object.assign(all, results);
  }
  return { network: name, rows, results: all };
}

/** Milliseconds after the start, which is paid once. */
const perPicture = (count, { steady }) => (1000 * steady) / count;

async function classes() {
  const rows = [];
  for (const [name, layer] of names.map((own) => [own, own === 'squeezenet' ? 'fire9/concat' : 'auto'])) {
    const times = await part('classes', name, { folder: originals, layer, tops: [1, 2, 5, 10, 20], count: 25 });
    for (const [top, list] of Object.entries(times))
      rows.push({ network: name, layer, classes: Number(top), 'ms a picture': statistics(list).median, 'of one class': round(median(list) / median(times[1]), 3) });
  }
  return { rows };
}

async function eventLoop() {
  const number = Math.max(1, cores - 1);
  const list = [];
  for (let i = 0; i < rounds; i++) list.push(await part('loop', names.at(-1), { folder: folderOf(pictures), workers: number }));
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

const report = new Report('pipeline', 'large batches from JPEG files to results', options);
try {
  await report.section('gradient: explain against forward, within the pipeline', gradient);
  for (const name of names)
    await report.section(`end-to-end, ${name}: explain against bare sessions on ready tensors`, () => endToEnd(name));
  await report.section('workers: one against several', () => workers());
  await report.section('growth: time and memory by the number of pictures', () => growth());
  await report.section('classes: time by the number of classes of a picture', classes);
  await report.section('event-loop: delay of an embedding program at full speed', eventLoop);
} finally {
  rmSync(root, { recursive: true, force: true });
}
