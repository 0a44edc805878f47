// node bench/serve.mjs [--model FILE] [--picture FILE] [--clients 64] [--seconds 300] [--workers 2]
// The service under clients that never stop, beside `explainAll` on the same pictures: answers by status, latency, memory over time,
// and the processor time of a picture, server against library (clients are a process of their own, which is not counted).
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const { values: flags } = parseArgs({
  options: {
    model: { type: 'string', default: root('assets/shapes.onnx') },
    picture: { type: 'string', default: root('assets/pictures/apples-and-cups.png') },
    clients: { type: 'string', default: '64' },
    seconds: { type: 'string', default: '300' },
    workers: { type: 'string', default: '2' },
    url: { type: 'string' },
  },
});
const body = readFileSync(flags.picture);
const [clients, seconds] = [Number(flags.clients), Number(flags.seconds)];
const percentile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];

/** Clients, each with one request after the other; one that is told to come again later waits for a moment. */
async function load(url) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: clients });
  const statuses = {};
  const latencies = [];
  const until = performance.now() + 1000 * seconds;
  const ask = () =>
    new Promise((resolve) => {
      const since = performance.now();
      const answered = (status) => {
        statuses[status] = (statuses[status] ?? 0) + 1;
        if (status === 200) latencies.push(performance.now() - since);
        resolve(status);
      };
      const request = http.request(url, { method: 'POST', agent, headers: { 'Content-Length': body.length } }, (response) => {
        response.resume();
        response.on('end', () => answered(response.statusCode));
      });
      request.on('error', ({ code }) => answered(code));
      request.end(body);
    });
  const client = async () => {
    while (performance.now() < until) if ((await ask()) === 503) await wait(50);
  };
  await Promise.all(Array.from({ length: clients }, client));
  latencies.sort((a, b) => a - b);
  process.send({ statuses, milliseconds: [0.5, 0.9, 0.99, 1].map((share) => Math.round(percentile(latencies, share))) });
  agent.destroy();
  process.disconnect();
}

/** Processor seconds, user and system, and resident MB of a process. */
function reading(pid) {
  const [user, system] = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ').slice(11, 13);
  const resident = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1];
  return { processor: (Number(user) + Number(system)) / 100, memory: Math.round(Number(resident) / 1024) };
}

async function measureService() {
  const args = [root('dist/cli/main.js'), 'serve', '--model', flags.model, '--port', '0', '--workers', flags.workers, '--log', 'none'];
  const server = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [url] = await once(createInterface({ input: server.stdout }), 'line');
  const before = reading(server.pid);
  const since = performance.now();
  const driver = fork(fileURLToPath(import.meta.url), [...process.argv.slice(2), '--url', url]);
  const memory = [];
  const clock = setInterval(() => memory.push(reading(server.pid).memory), (1000 * seconds) / 10);
  const [told] = await once(driver, 'message');
  clearInterval(clock);
  const wall = (performance.now() - since) / 1000;
  const processor = reading(server.pid).processor - before.processor;
  server.kill('SIGTERM');
  const [code] = await once(server, 'exit');
  const pictures = told.statuses[200];
  return { ...told, pictures, code, memory, perSecond: pictures / wall, processor: (1000 * processor) / pictures };
}

async function measureLibrary(count) {
  const { Explainer } = await import('../dist/index.js');
  const explainer = await Explainer.open(flags.model);
  const stream = function* () {
    for (let i = 0; i < count; i++) yield body;
  };
  const workers = Number(flags.workers);
  for await (const { error } of explainer.explainAll([body, body], { workers })) if (error) throw error; // files are read
  const [since, before] = [performance.now(), process.cpuUsage()];
  for await (const { error } of explainer.explainAll(stream(), { workers })) if (error) throw error;
  const { user, system } = process.cpuUsage(before);
  const wall = (performance.now() - since) / 1000;
  await explainer.close();
  return { perSecond: count / wall, processor: (user + system) / 1000 / count };
}

if (flags.url) await load(flags.url);
else {
  const service = await measureService();
  const library = await measureLibrary(Math.min(service.pictures, 5000));
  const ratio = (service.perSecond / library.perSecond).toFixed(2);
  console.log(`answers by status: ${JSON.stringify(service.statuses)}; ended with ${service.code}`);
  console.log(`milliseconds of an answer: median, 90 %, 99 %, most: ${service.milliseconds.join(', ')}`);
  console.log(`MB of the server over time: ${service.memory.join(', ')}`);
  console.log(`pictures/s, service against explainAll (clients share the cores): ${ratio}`);
  console.log(`processor time of a picture, explainAll / service: ${(library.processor / service.processor).toFixed(2)}`);
}
