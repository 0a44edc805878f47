// Many machines: what planning a million names takes, merging 2,000 shards, and the way through the queue beside `explain`.
//
//   npm run build && node bench/fleet.mjs [--only planning,merging,overhead] [--names 1000000] [--shards 2000] [--pictures 100]
//     [--rounds 3] [--archives 6] [--model model.onnx]
//
// Every contender is a process of its own, measured by the system: processor time and the largest resident set of it and its
// children. Names below a prefix come from a server here that lists as S3 does, 1,000 a page. Results that are merged are made of
// those of one shard, under other names. The queue is a redis-server of its own; the same archives are explained by `explain` and
// by `shard submit` and `shard work`, in turn, and what both make is compared.
import { execFile, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { archiveEnd, encodeMember } from '../dist/batch/inputs/tar.js';
import { flags, median, pairedRatio, Report, round } from './measure.mjs';

const options = flags({
  names: '1000000',
  shards: '2000',
  pictures: '100',
  rounds: '3',
  archives: '6',
  model: fileURLToPath(new URL('../assets/shapes.onnx', import.meta.url)),
});
const [names, shards, pictures, rounds, archives] = ['names', 'shards', 'pictures', 'rounds', 'archives'].map((name) =>
  Number(options[name]),
);
const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const assets = fileURLToPath(new URL('../assets/pictures/', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'gradcampp-fleet-'));
const report = new Report('fleet', 'many machines: planning, merging and the way through a queue', options, { model: options.model.split('/').at(-1) });

/** Runs the command; seconds by the clock, processor seconds, and the largest resident set in MB. */
async function measured(args, env = {}) {
  const program = `
    import { spawnSync } from 'node:child_process';
    const start = performance.now();
    const { status, stdout, stderr } = spawnSync(process.execPath, ${JSON.stringify([main, ...args])}, { encoding: 'utf8' });
    console.log(JSON.stringify({ status, said: stdout + stderr, seconds: (performance.now() - start) / 1000 }));`;
  const time = ['-f', '%U %S %M', process.execPath, '--input-type=module', '-e', program];
  const { stdout, stderr } = await promisify(execFile)('/usr/bin/time', time, { env: { ...process.env, ...env }, maxBuffer: 2 ** 28 });
  const { status, said, seconds } = JSON.parse(stdout);
  if (status !== 0) throw new Error(said);
  const [user, system, kilobytes] = stderr.trim().split('\n').at(-1).split(' ').map(Number);
  return { seconds, processor: user + system, megabytes: (kilobytes * 1024) / 1e6, said };
}

const rowOf = (what, { seconds, processor, megabytes }) => ({
  what,
  'processor s': round(processor, 3),
  'wall s': round(seconds, 3),
  'peak MB': Math.round(megabytes),
});

/** Lists `count` names as S3 does, and takes what is put. */
async function listingServer(count) {
  let requests = 0;
  const server = createServer((asked, answer) => {
    requests++;
    const url = new URL(asked.url, 'http://localhost');
    asked.resume();
    if (!url.searchParams.has('list-type')) return answer.writeHead(asked.method === 'HEAD' || asked.method === 'GET' ? 404 : 200).end();
    const start = Number(url.searchParams.get('continuation-token') ?? 0);
    const end = Math.min(count, start + 1000);
    const keys = Array.from(
      { length: end - start },
      (_, i) =>
        `<Contents><Key>pictures/n${1000000 + ((start + i) >> 10)}/picture_${String(start + i).padStart(8, '0')}.jpg</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>"0"</ETag><Size>100000</Size><StorageClass>STANDARD</StorageClass></Contents>`,
    );
    const next = end < count ? `<NextContinuationToken>${end}</NextContinuationToken>` : '';
    answer.writeHead(200, { 'content-type': 'application/xml' });
    answer.end(
      `<?xml version="1.0"?><ListBucketResult><Name>bucket</Name><IsTruncated>${end < count}</IsTruncated>${next}${keys.join('')}</ListBucketResult>`,
    );
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const env = {
    AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${server.address().port}`,
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'x',
    AWS_SECRET_ACCESS_KEY: 'x',
  };
  return { env, requests: () => requests, close: () => server.close() };
}

await report.section('planning', async () => {
  const rows = [];
  for (const count of [names / 10, names]) {
    const list = join(root, 'list.txt');
    const file = createWriteStream(list);
    for (let i = 0; i < count; i++)
      if (!file.write(`pictures/n${1000000 + (i >> 10)}/picture_${String(i).padStart(8, '0')}.jpg\n`)) await once(file, 'drain');
    await new Promise((resolve) => file.end(resolve));
    const out = () => mkdtempSync(join(root, 'plan-'));
    const planned = await measured(['shard', 'plan', '--list', list, '--model', options.model, '--out', out()]);
    rows.push(rowOf(`a list of ${count}, to a folder`, planned));
    const server = await listingServer(count);
    const bucket = await measured(['shard', 'plan', 's3://bucket/pictures', '--model', options.model, '--out', out()], server.env);
    rows.push({ ...rowOf(`a prefix of ${count}, to a folder`, bucket), requests: server.requests() });
    server.close();
    if (!planned.said.includes(`${count} pictures`) || !bucket.said.includes(`${count} pictures`)) throw new Error(planned.said + bucket.said);
  }
  return { rows };
});

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** A plan of which all shards are done, made of the results of one. */
async function doneShards(count) {
  const [out, list] = [mkdtempSync(join(root, 'done-')), join(root, 'some.txt')];
  const file = createWriteStream(list);
  for (let i = 0; i < count * pictures; i++) if (!file.write(`${join(assets, 'apples-and-cups.png')}\n`)) await once(file, 'drain');
  await new Promise((resolve) => file.end(resolve));
  const plan = ['shard', 'plan', '--list', list, '--model', options.model, '--size', String(pictures), '--save', 'overlay', '--out', out];
  await measured(plan);
  await measured(['shard', 'run', out, '--index', '0']);
  const { checksum } = JSON.parse(readFileSync(join(out, 'plan.json'), 'utf8'));
  const first = JSON.parse(readFileSync(join(out, 'shards/000000.json'), 'utf8'));
  const [line] = readFileSync(join(out, first.outputs.results.name), 'utf8').split('\n', 1);
  const inputs = readFileSync(join(out, first.outputs.inputs.name));
  const { path: picture } = JSON.parse(line).image;
  const tar = readFileSync(join(out, first.outputs.files.name));
  const overlay = tar.subarray(512, 512 + Number.parseInt(tar.toString('latin1', 124, 135), 8));
  for (const listName of readdirSync(join(out, 'lists')).sort()) {
    const index = Number(listName.slice(0, 6));
    if (index === 0) continue;
    const own = readFileSync(join(out, 'lists', listName), 'utf8').trimEnd().split('\n').map((text) => JSON.parse(text)[1]);
    const results = own.map((name, i) => `${line.replace('"index":0', `"index":${i}`).replace(/"overlay":"[^"]*"/, `"overlay":"${name}.overlay.jpg"`)}\n`);
    const files = Buffer.concat([...own.map((name) => encodeMember(`${name}.overlay.jpg`, overlay)), archiveEnd]);
    const folder = `shards/${listName.slice(0, 6)}`;
    mkdirSync(join(out, folder), { recursive: true });
    const put = (name, bytes) => {
      const hash = sha256(bytes);
      const path = `${folder}/${hash.slice(0, 16)}-${name}`;
      writeFileSync(join(out, path), bytes);
      return { name: path, size: bytes.length, sha256: hash };
    };
    const outputs = { results: put('results.jsonl', Buffer.from(results.join(''))), inputs: put('inputs.jsonl', inputs), files: put('files.tar', files) };
    const manifest = { plan: checksum, shard: index, images: own.length, failed: 0, outputs };
    writeFileSync(join(out, `${folder}.json`), `${JSON.stringify(manifest)}\n`);
  }
  if (!picture) throw new Error('no picture');
  return out;
}

await report.section('merging', async () => {
  const rows = [];
  for (const count of [shards / 10, shards]) {
    const out = await doneShards(count);
    const merged = join(out, 'merged');
    for (const again of [[], ['--overwrite']]) {
      const found = await measured(['shard', 'merge', out, '--out', merged, '--table', join(merged, 'results.parquet'), ...again]);
      if (!found.said.includes(`${count * pictures} of ${count * pictures} pictures`)) throw new Error(found.said);
      rows.push(rowOf(`${count} shards of ${pictures} pictures${again.length > 0 ? ', over earlier results' : ''}`, found));
    }
    rmSync(out, { recursive: true });
  }
  return { rows };
});

/** What a folder holds, as one number. */
function contentOf(folder) {
  const hash = createHash('sha256');
  for (const name of readdirSync(folder, { recursive: true }).map(String).sort())
    if (statSync(join(folder, name)).isFile()) hash.update(name).update(readFileSync(join(folder, name)));
  return hash.digest('hex');
}

await report.section('overhead', async () => {
  const port = 20_000 + (process.pid % 20_000);
  const redis = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', root], { stdio: 'ignore' });
  try {
    while (spawnSync('redis-cli', ['-p', String(port), 'ping']).stdout.toString().trim() !== 'PONG') await wait(50);
    const images = readdirSync(assets).filter((name) => name.endsWith('.png'));
    const flagsOf = [];
    for (let archive = 0; archive < archives; archive++) {
      const members = Array.from({ length: pictures }, (_, i) => encodeMember(`${i}.png`, readFileSync(join(assets, images[(archive + i) % images.length]))));
      const path = join(root, `archive-${archive}.tar`);
      writeFileSync(path, Buffer.concat([...members, archiveEnd]));
      flagsOf.push('--input', path);
    }
    const settings = [...flagsOf, '--model', options.model];
    const found = { explain: [], queue: [] };
    for (let round = 0; round < rounds; round++)
      for (const contender of round % 2 === 0 ? ['explain', 'queue'] : ['queue', 'explain']) {
        const [out, work] = [join(root, 'merged'), mkdtempSync(join(root, 'work-'))];
        rmSync(out, { recursive: true, force: true });
        if (contender === 'explain') found.explain.push(await measured(['explain', ...settings, '--workers', '2', '--out', out]));
        else {
          const own = ['--redis', `redis://127.0.0.1:${port}`, '--queue', `round-${round}`];
          await measured(['shard', 'plan', ...settings, '--out', work]);
          await measured(['shard', 'submit', work, ...own]);
          found.queue.push(await measured(['shard', 'work', ...own, '--workers', '2', '--until-empty']));
          await measured(['shard', 'merge', work, '--out', out]);
        }
        found[contender].at(-1).content = contentOf(out);
        rmSync(work, { recursive: true });
      }
    const contents = new Set([...found.explain, ...found.queue].map(({ content }) => content));
    if (contents.size !== 1) throw new Error('The queue made something else than explain.');
    const count = archives * pictures;
    const row = (what, list) => ({
      what,
      'pictures/s': round(count / median(list.map(({ seconds }) => seconds)), 3),
      'processor ms a picture': round((1000 * median(list.map(({ processor }) => processor))) / count, 3),
    });
    const ratio = (key) => pairedRatio(found.explain.map((one) => one[key]), found.queue.map((one) => one[key]));
    return {
      rows: [row('`explain`', found.explain), row('`shard work`', found.queue)],
      pictures: count,
      ratios: [{ 'queue over explain, pictures/s': ratio('seconds'), 'the same by processor time': ratio('processor') }],
    };
  } finally {
    redis.kill('SIGKILL');
  }
});

rmSync(root, { recursive: true });
