import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { randomBytes } from 'node:crypto';
import http from 'node:http';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodePng } from '../../src/image/encode.js';

const command = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const model = fileURLToPath(new URL('../../assets/shapes.onnx', import.meta.url));
const bytes = await readFile(new URL('../../assets/pictures/apples-and-cups.png', import.meta.url));

interface Running {
  readonly child: ChildProcess;
  readonly address: string;
  readonly log: string[];
}

/** A server that has told its address in its first line. */
async function start(args: readonly string[], env: Record<string, string> = {}): Promise<Running> {
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const log: string[] = [];
  createInterface({ input: child.stderr! }).on('line', (line) => log.push(line));
  const lines = createInterface({ input: child.stdout! });
  const [first] = (await Promise.race([
    once(lines, 'line'),
    once(child, 'exit').then(() => Promise.reject(new Error(log.join('\n')))),
  ])) as [string];
  return { child, address: first.replace(/\/explain$/, ''), log };
}

const serve = (...args: string[]) =>
  start([command, 'serve', '--model', model, '--port', '0', '--workers', '1', ...args]);

let running: Running;
beforeAll(async () => {
  running = await serve('--log', 'json');
});
afterAll(() => void running.child.kill('SIGKILL'));

const explained = async (address: string) => {
  const response = await fetch(`${address}/explain?top=1`, { method: 'POST', body: bytes });
  return { status: response.status, body: await response.json() };
};

/** What comes back for these bytes; `end` closes our side behind them. */
async function raw(address: string, text: string | Uint8Array, end = false): Promise<string> {
  const { hostname, port } = new URL(address);
  const socket = connect(Number(port), hostname);
  const answer: Buffer[] = [];
  socket.on('data', (part) => answer.push(part));
  socket.on('error', () => undefined);
  if (end) socket.end(text);
  else socket.write(text);
  await new Promise((resolve) => socket.on('close', resolve)); // `once` would reject where the server resets it
  return Buffer.concat(answer).toString('latin1');
}

test('the command prints its address, explains, and logs every answer as JSON', async () => {
  const { status, body } = await explained(running.address);
  expect([status, body.results[0].target.name]).toEqual([200, 'apple']);
  expect(JSON.parse(running.log.at(-1)!)).toMatchObject({ level: 'info', event: 'answer', status: 200 });
});

const head = 'POST /explain HTTP/1.1\r\nHost: x\r\n';

test('clients that are too slow are dropped, and their places are free again', async () => {
  const own = await serve('--patience', '1', '--queue', '0');
  expect(await raw(own.address, 'POST /exp')).toMatch(/^HTTP\/1.1 408/); // never ends its line
  expect(await raw(own.address, `${head}Content-Length: 1000\r\n\r\nabc`)).toMatch(/^HTTP\/1.1 408|^$/); // never ends its body
  const ready = await (await fetch(`${own.address}/readyz`)).json();
  expect(ready).toEqual({ status: 'ok', waiting: 0, running: 0 });
  own.child.kill('SIGKILL');
});

test('clients that are half-closed, gone or hostile are answered or dropped, and the next is served', async () => {
  const { address } = running;
  expect(await raw(address, `${head}Content-Length: 1000\r\n\r\nabc`, true)).toMatch(/^(HTTP\/1.1 4\d\d|$)/);
  expect(await raw(address, `${head}Content-Length: -1\r\n\r\n`)).toMatch(/^HTTP\/1.1 400/);
  expect(
    await raw(address, `${head}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`),
  ).toMatch(/^HTTP\/1.1 400/);
  expect(await raw(address, `${head}Content-Length: 99999999999\r\n\r\n`)).toMatch(/^HTTP\/1.1 413/);
  expect(await raw(address, `GET /${'a'.repeat(100_000)} HTTP/1.1\r\nHost: x\r\n\r\n`)).toMatch(
    /^HTTP\/1.1 (431|414)|^$/,
  );
  expect(
    await raw(address, `POST /../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`),
  ).toMatch(/^HTTP\/1.1 404/);
  expect(await raw(address, new Uint8Array(5000).fill(255))).toMatch(/^HTTP\/1.1 400|^$/);
  // Chunks have no length that could be looked at first; a form may hide one in a file.
  const chunks = `${head}Transfer-Encoding: chunked\r\n\r\n`;
  const chunk = `100000\r\n${'x'.repeat(2 ** 20)}\r\n`;
  expect(await raw(address, chunks + chunk.repeat(40))).toMatch(/^HTTP\/1.1 413|^$/);
  expect(await raw(address, `${chunks}zz\r\n`)).toMatch(/^HTTP\/1.1 400/);
  const tricks = [
    'Content-Length: 5\r\nContent-Length: 6',
    'Content-Length: 5x',
    'A: b\r\n c: d',
    'A\x00: b',
    'A b: c',
  ];
  for (const trick of tricks)
    expect([trick, await raw(address, `${head}${trick}\r\n\r\nabcde`, true)]).toEqual([
      trick,
      expect.stringMatching(/^HTTP\/1.1 4\d\d|^$/),
    ]);
  for (const path of ['//explain', '/explain%00', '/explain;x', 'http://other/explain/', '*'])
    expect([
      path,
      await raw(
        address,
        `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
      ),
    ]).toEqual([path, expect.stringMatching(/^HTTP\/1.1 40[04]/)]);
  const many = `${head}Connection: close\r\nContent-Type: multipart/form-data; boundary=x\r\n`;
  const field = `--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n`;
  for (const [count, message] of [
    [2, 'holds no file'],
    [101, 'has more than 100 fields'],
    [500_000, 'has more than 100 fields'],
  ] as const) {
    const form = `${field.repeat(count)}--x--\r\n`;
    const answer = await raw(address, `${many}Content-Length: ${form.length}\r\n\r\n${form}`);
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 422[^]*The form ${message}`));
  }
  const body = Buffer.concat([
    Buffer.from(`${head}Connection: close\r\nContent-Length: ${bytes.length}\r\n\r\n`),
    bytes,
  ]);
  expect(await raw(address, body, true)).toBe(''); // Node's server takes a client that closes its side for gone
  const gone = connect(Number(new URL(address).port), '127.0.0.1');
  gone.write(body.subarray(0, 500));
  await once(gone, 'connect');
  gone.destroy();
  expect((await explained(address)).status).toBe(200);
  const ready = await (await fetch(`${address}/readyz`)).json();
  expect(ready).toEqual({ status: 'ok', waiting: 0, running: 0 }); // no place is lost
});

test('a client that never reads its answer does not hold up the end', async () => {
  const own = await serve('--patience', '2', '--log', 'json');
  const noise = encodePng({ data: randomBytes(3 * 2000 ** 2), width: 2000, height: 2000, channels: 3 });
  const deaf = connect(Number(new URL(own.address).port), '127.0.0.1').pause();
  deaf.on('error', () => undefined);
  // An answer that is larger than what the system holds for a connection.
  deaf.write(
    `POST /explain?top=4&include=cutout HTTP/1.1\r\nHost: x\r\nContent-Length: ${noise.length}\r\n\r\n`,
  );
  deaf.write(noise);
  while (!own.log.some((line) => line.includes('"answer"')))
    await new Promise((resolve) => setTimeout(resolve, 20));
  own.child.kill('SIGTERM');
  expect(await once(own.child, 'exit')).toEqual([0, null]);
  const parts: Buffer[] = [];
  deaf.on('data', (part) => parts.push(part)).resume();
  await new Promise((resolve) => deaf.once('close', resolve));
  const answer = Buffer.concat(parts).toString('latin1');
  expect(answer).toMatch(/^HTTP\/1.1 200/);
  expect(answer.length).toBeLessThan(Number(/Content-Length: (\d+)/i.exec(answer)?.[1]));
});

test('a port that is taken, a form of the log that is none, and a network that all can reach, are said', async () => {
  const { port } = new URL(running.address);
  await expect(start([command, 'serve', '--model', model, '--port', port, '--workers', '0'])).rejects.toThrow(
    /another program listens there; take another --port/,
  );
  await expect(start([command, 'serve', '--model', model, '--log', 'yaml'])).rejects.toThrow(
    /"log" must be one of text, json, none; received "yaml"/,
  );
  await expect(start([command, 'serve', '--model', model, '--save', 'map'])).rejects.toThrow(
    /unknown option '--save'/,
  );
  const open = await start([
    command,
    'serve',
    '--model',
    model,
    '--port',
    '0',
    '--host',
    '0.0.0.0',
    '--workers',
    '0',
  ]);
  expect(open.log.join()).toMatch(/set GRADCAMPP_TOKEN/);
  open.child.kill('SIGKILL');
});

test('SIGTERM at any moment: every request that was taken is answered, then the command ends with 0', async () => {
  for (const [i, clients] of [1, 6, 12].entries()) {
    const own = await serve('--queue', '20', '--log', i === 0 ? 'none' : 'json');
    let taken = 0;
    let told = () => {};
    const isTaken = new Promise<void>((resolve) => (told = resolve));
    // The server says 100 when it takes a request: from then on an answer is owed.
    const answers = Array.from({ length: clients }, async () => {
      const headers = { Expect: '100-continue', 'Content-Length': bytes.length };
      const request = http.request(`${own.address}/explain`, { method: 'POST', headers, agent: false });
      let isOwed = false;
      request.on('continue', () => {
        isOwed = true;
        request.end(bytes);
        if (++taken === Math.ceil(clients / 2)) told();
      });
      request.flushHeaders();
      const status = await new Promise<number>((resolve) => {
        request.on('response', (response) =>
          response.resume().on('end', () => resolve(response.statusCode!)),
        );
        request.on('error', () => resolve(0));
      });
      return { isOwed, status };
    });
    await isTaken;
    own.child.kill('SIGTERM');
    const ended = once(own.child, 'exit');
    const all = await Promise.all(answers);
    expect(await ended).toEqual([0, null]);
    expect(all.filter(({ status }) => status === 200).length).toBeGreaterThan(0);
    for (const { isOwed, status } of all) expect(isOwed ? [200, 503] : [0, 200, 503]).toContain(status);
  }
});

test('somebody’s own fastify server explains', async () => {
  const example = fileURLToPath(new URL('../../examples/fastify/server.mjs', import.meta.url));
  const own = await start([example, model, '0']);
  const headers = { 'Content-Type': 'image/png' };
  const response = await fetch(`${own.address}/why`, { method: 'POST', body: bytes, headers });
  expect([response.status, response.headers.get('x-class')]).toEqual([200, 'apple']);
  expect(Buffer.from(await response.arrayBuffer()).subarray(0, 2)).toEqual(Buffer.from([255, 216]));
  const wrong = await fetch(`${own.address}/why`, { method: 'POST', body: 'no picture', headers });
  expect([wrong.status, await wrong.json()]).toEqual([
    422,
    { error: expect.stringMatching(/The picture cannot be read/) },
  ]);
  own.child.kill('SIGTERM');
  expect(await once(own.child, 'exit')).toEqual([0, null]);
});
