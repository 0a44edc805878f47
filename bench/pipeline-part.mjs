// One contender of bench/pipeline.mjs, in a process of its own: reads its job from the file that is named, and prints
// what it measured as JSON. Started by pipeline.mjs.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { processorTime as cpu } from './measure.mjs';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

const job = isMainThread ? JSON.parse(readFileSync(process.argv[2], 'utf8')) : workerData;
const known = job.expected ? JSON.parse(readFileSync(job.expected, 'utf8')) : {};
const pathsIn = (folder) => readdirSync(folder).filter((name) => /\.jpe?g$/i.test(name)).map((name) => join(folder, name));

const kinds = { expect, bare, explain, gradient, classes, loop };
const threads = { bare: bareThread, gradient: gradientThread };
if (isMainThread) {
  const result = await kinds[job.kind]();
  console.log(`\n${JSON.stringify(result)}`);
} else await threads[job.kind]();

/** Fails where a picture's best class or its score is not what a plain session gives. */
function verify(path, best, score) {
  const { class: index, score: right } = known[basename(path).replace(/^\d{6}-/, '')];
  assert.equal(best, index, path);
  assert(Math.abs(score - right) <= 1e-3 * Math.abs(right), `${path}: score ${score}, wanted ${right}`);
}

async function plainSession() {
  process.env.ORT_DISABLE_TELEMETRY ??= '1';
  const ort = await import('onnxruntime-node');
  const session = await ort.InferenceSession.create(job.model, {
    intraOpNumThreads: 1,
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  });
  const tensorOf = ({ tensor, dims }) => new ort.Tensor('float32', tensor, [1, ...dims]);
  return { session, feed: (prepared) => ({ [session.inputNames[0]]: tensorOf(prepared) }) };
}

async function open(options) {
  const { Explainer } = await import('../dist/index.js');
  return Explainer.open(job.model, { threads: 1, ...options });
}

/** The output before softmax, where the model has several. */
function scoresIn(results) {
  return results.logits?.data ?? Object.values(results)[0].data;
}

function bestOf(scores) {
  let best = 0;
  for (let i = 1; i < scores.length; i++) if (scores[i] > scores[best]) best = i;
  return best;
}

async function expect() {
  const explainer = await open();
  const { session, feed } = await plainSession();
  const found = {};
  for (const path of pathsIn(job.folder)) {
    const [prepared] = await explainer.prepare(path);
    const scores = scoresIn(await session.run(feed(prepared)));
    const best = bestOf(scores);
    found[basename(path)] = { class: best, score: scores[best] };
  }
  return found;
}

// --- bare sessions on tensors that are ready -------------------------------------------------------------------------

async function bare() {
  const workers = await startThreads();
  const start = performance.now();
  const before = cpu();
  await told(workers, job.count / job.workers);
  const seconds = (performance.now() - start) / 1000;
  const used = cpu() - before;
  return { pictures: job.count, seconds, cpu: used };
}

async function startThreads() {
  const workers = Array.from({ length: job.workers }, (_, id) => new Worker(new URL(import.meta.url), { workerData: { ...job, id } }));
  await Promise.all(workers.map(answer));
  return workers;
}

/** What threads answer to a message. */
function told(workers, message) {
  const answers = Promise.all(workers.map(answer));
  for (const worker of workers) worker.postMessage(message, []);
  return answers;
}

function answer(worker) {
  return new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}

async function bareThread() {
  const explainer = await open({ backend: 'reference' });
  const paths = pathsIn(job.folder);
  const { session, feed } = await plainSession();
  const ready = [];
  for (const path of paths) ready.push([path, feed((await explainer.prepare(path))[0])]);
  await explainer.close();
  for (let i = 0; i < 5; i++) await session.run(ready[i][1]);
  parentPort.once('message', async (count) => {
    for (let i = 0; i < count; i++) {
      const [path, feeds] = ready[(i + job.id * 50) % ready.length];
      const scores = scoresIn(await session.run(feeds));
      const best = bestOf(scores);
      verify(path, best, scores[best]);
    }
    parentPort.postMessage('done', []);
    await session.release();
    parentPort.close();
  });
  parentPort.postMessage('ready', []);
}

// --- the pipeline ------------------------------------------------------------------------------------------------------

/** The command itself, in this process; what it wrote is verified, once time and memory are taken. */
async function explain() {
  const args = { model: job.model, out: job.out, save: job.save.join(), workers: job.workers };
  process.argv.splice(2, 1, 'explain', job.folder, ...Object.entries(args).flatMap(([name, value]) => [`--${name}`, String(value)]));
  const start = performance.now();
  const before = cpu();
  let [started, startedCpu] = [];
  let said = '';
  process.stdout.write = () => true;
  process.stderr.write = (text) => {
    if (text.startsWith('Layer: ')) [started, startedCpu] = [performance.now(), cpu()];
    said = text;
    return true;
  };
  await import('../dist/cli/main.js');
  await once(process, 'beforeExit');
  const end = performance.now();
  const [used, peak] = [cpu() - before, process.resourceUsage().maxRSS * 1024];
  delete process.stdout.write;
  delete process.stderr.write;
  const lines = readFileSync(join(job.out, 'results.jsonl'), 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line));
  for (const line of lines) {
    assert(!line.error, line.error?.message);
    verify(line.image.path, line.target.class, line.target.score);
  }
  const paths = pathsIn(job.folder);
  const files = new Map(lines.map((line) => [basename(line.image.path).replace(/\.[^.]+$/, ''), line.files]));
  for (const file of [...files.values()].flatMap(Object.values)) assert(statSync(join(job.out, file)).size > 1000, file);
  assert.equal(lines.length, paths.length);
  for (const path of paths) {
    const name = basename(path).replace(/\.[^.]+$/, '');
    for (const kind of job.save) assert(files.get(name)?.[kind], name);
  }
  const stages = Object.fromEntries([...said.matchAll(/(decode|forward|backward|map|encode) (\d+(?:\.\d+)?)/g)].map(([, name, ms]) => [name, Number(ms)]));
  return { pictures: lines.length, seconds: (end - start) / 1000, cpu: used, steady: (end - started) / 1000, steadyCpu: used - (startedCpu - before), stages, peak };
}

async function gradient() {
  const workers = await startThreads();
  const lists = await told(workers, job.count / job.workers);
  return { forward: lists.flatMap(({ forward }) => forward), explained: lists.flatMap(({ explained }) => explained) };
}

/** By turns, the same picture, decoded anew each time as the pipeline does. */
async function gradientThread() {
  const { settingsOf } = await import('../dist/explain/explain-options.js');
  const { openForBatch } = await import('../dist/batch/workers/open-explainer.js');
  const { explainer } = await openForBatch({ model: job.model, open: { layer: job.layer } }, settingsOf({}));
  const settings = settingsOf({});
  const paths = pathsIn(job.folder);
  const { session, feed } = await plainSession();
  parentPort.once('message', async (count) => {
    const times = { forward: [], explained: [] };
    for (let i = -20; i < count; i++) {
      const path = paths[(i + 20 + job.id * 50) % paths.length];
      const [prepared] = await explainer.prepare(path);
      const run = {
        forward: async () => scoresIn(await session.run(feed(prepared))),
        explained: async () => (await explainer.explainPrepared([prepared], settings))[0].scores,
      };
      for (const name of i % 2 ? ['forward', 'explained'] : ['explained', 'forward']) {
        const start = performance.now();
        const scores = await run[name]();
        if (i >= 0) times[name].push(performance.now() - start);
        const best = bestOf(scores);
        verify(path, best, scores[best]);
      }
    }
    parentPort.postMessage(times, []);
    await session.release();
    await explainer.close();
    parentPort.close();
  });
  parentPort.postMessage('ready', []);
}

async function classes() {
  const { settingsOf } = await import('../dist/explain/explain-options.js');
  const explainer = await open({ layer: job.layer, backend: 'native' });
  const times = Object.fromEntries(job.tops.map((top) => [top, []]));
  const paths = pathsIn(job.folder);
  for (let i = -5; i < job.count; i++)
    for (const top of job.tops) {
      const prepared = await explainer.prepare(paths[i + 5]);
      const start = performance.now();
      const [{ scores, targets }] = await explainer.explainPrepared(prepared, settingsOf({ targets: { top } }));
      if (i >= 0) times[top].push(performance.now() - start);
      assert.equal(targets.length, top);
      verify(paths[i + 5], bestOf(scores), targets[0].target.score);
    }
  await explainer.close();
  return times;
}

async function loop() {
  const explainer = await open();
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const paths = pathsIn(job.folder);
  let start;
  let count = 0;
  for await (const { explanation, error } of explainer.explainAll(paths, { workers: job.workers })) {
    if (error) throw error;
    const [{ target }] = explanation.targets;
    verify(explanation.image.path, target.class, target.score);
    if (count++ === 20) {
      start = performance.now();
      delay.enable();
    }
  }
  delay.disable();
  const seconds = (performance.now() - start) / 1000;
  await explainer.close();
  assert.equal(count, paths.length);
  const ms = (nanoseconds) => Number((nanoseconds / 1e6).toPrecision(3));
  const [p50, p99, p999] = [50, 99, 99.9].map((percent) => ms(delay.percentile(percent)));
  return { seconds, delay: { p50, p99, p999, most: ms(delay.max) } };
}
