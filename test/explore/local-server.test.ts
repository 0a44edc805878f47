import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { installedRuntime } from '../../src/explore/runtime-files.js';

const command = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const assets = fileURLToPath(new URL('../../assets/', import.meta.url));
const model = `${assets}shapes.onnx`;
const picture = `${assets}pictures/apples-and-cups.png`;

interface Running {
  readonly child: ChildProcess;
  /** Of the page, with the token. */
  readonly address: string;
  readonly log: string[];
}

async function start(...args: string[]): Promise<Running> {
  const child = spawn(process.execPath, [command, 'explore', ...args, '--no-open'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const log: string[] = [];
  createInterface({ input: child.stderr! }).on('line', (line) => log.push(line));
  const [address] = (await Promise.race([
    once(createInterface({ input: child.stdout! }), 'line'),
    once(child, 'close').then(() => Promise.reject(new Error(log.join('\n')))),
  ])) as [string];
  return { child, address, log };
}

let folder: string;
let running: Running;
let port: number;
let base: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'explore-'));
  await writeFile(join(folder, 'secret.txt'), 'SECRET');
  await symlink(picture, join(folder, 'a picture & more.png'));
  running = await start(model, picture, join(folder, 'a picture & more.png'), '--port', '0');
  port = Number(new URL(running.address).port);
  base = new URL(running.address).pathname;
});
afterAll(async () => {
  running.child.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
});

/** What comes back for these bytes; an empty string where the connection is dropped. */
async function raw(text: string | Uint8Array, at = running.address): Promise<string> {
  const socket = connect(Number(new URL(at).port), '127.0.0.1');
  const answer: Buffer[] = [];
  socket.on('data', (part) => answer.push(part));
  socket.on('error', () => undefined);
  socket.write(text);
  await new Promise((resolve) => socket.on('close', resolve));
  return Buffer.concat(answer).toString('latin1');
}

/** An answer to one GET that closes, its path as it is written here. */
const get = (path: string, ...headers: string[]) =>
  raw(
    [
      `GET ${path} HTTP/1.1`,
      ...(headers.some((own) => /^host/i.test(own)) ? [] : [`Host: 127.0.0.1:${port}`]),
      ...headers,
      'Connection: close',
      '',
      '',
    ].join('\r\n'),
  );
const statusOf = (answer: string) => Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? 0);

interface Told {
  readonly model: { url: string; path: string; preprocess: object };
  readonly pictures: readonly { url: string; path: string }[];
}

test('gives out the page and what was named, byte for byte, with a policy that keeps to its own address', async () => {
  const page = await fetch(running.address);
  expect(page.status).toBe(200);
  expect(await page.text()).toContain('<script type="module" src="explore.js">');
  const policy = page.headers.get('content-security-policy') as string;
  expect(policy).toMatch(/^default-src 'none';.*connect-src 'self' blob:/);
  expect(policy).not.toMatch(/https?:|\*|unsafe-inline|'unsafe-eval'/);
  expect(page.headers.get('cross-origin-opener-policy')).toBe('same-origin');
  expect(page.headers.get('referrer-policy')).toBe('no-referrer');
  const session = (await (await fetch(new URL('session.json', running.address))).json()) as Told;
  expect(session.model).toMatchObject({ path: model, preprocess: { input: { size: [96, 96] } } });
  expect(session.pictures.map(({ path }) => path)).toEqual([picture, join(folder, 'a picture & more.png')]);
  for (const { url, path } of [session.model, ...session.pictures]) {
    const answer = await fetch(new URL(url, running.address));
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    expect(Buffer.compare(Buffer.from(await answer.arrayBuffer()), readFileSync(path))).toBe(0);
  }
  const wasm = await fetch(new URL('ort/ort-wasm-simd-threaded.wasm', running.address), { method: 'HEAD' });
  expect([wasm.status, wasm.headers.get('content-type')]).toEqual([200, 'application/wasm']);
});

test('other hosts, pages of other sites, and who does not know the token are refused', async () => {
  expect(statusOf(await get(base))).toBe(200);
  expect(statusOf(await get(base, `Host: localhost:${port}`))).toBe(200);
  for (const host of [
    'evil.example',
    `evil.example:${port}`,
    `127.0.0.1.evil.example:${port}`,
    '127.0.0.1:1',
    '169.254.1.1',
    `127.0.0.1:${port}@evil.example`,
  ])
    expect([host, statusOf(await get(base, `Host: ${host}`))]).toEqual([
      host,
      expect.toSatisfy((status: number) => status === 403 || status === 400),
    ]);
  expect(statusOf(await raw(`GET ${base} HTTP/1.1\r\nConnection: close\r\n\r\n`))).toBe(400);
  for (const origin of [
    'https://evil.example',
    'null',
    `http://127.0.0.1:${port + 1}`,
    `https://127.0.0.1:${port}`,
  ])
    expect([origin, statusOf(await get(`${base}session.json`, `Origin: ${origin}`))]).toEqual([origin, 403]);
  expect(statusOf(await get(`${base}session.json`, `Origin: http://127.0.0.1:${port}`))).toBe(200);
  expect(statusOf(await get(base, 'Sec-Fetch-Site: cross-site'))).toBe(403);
  expect(statusOf(await get(base, 'Sec-Fetch-Site: none'))).toBe(200);
  for (const path of [
    '/',
    '/session.json',
    '/files/0/shapes.onnx',
    `${base.slice(0, -2)}/`,
    `/x${base}`,
    base.toUpperCase(),
  ])
    expect([path, statusOf(await get(path))]).toEqual([path, 403]);
});

test('no spelling of an address leads to a file that was not named', async () => {
  const spellings = [
    '../package.json',
    '..%2f..%2fetc%2fpasswd',
    '%2e%2e/%2e%2e/etc/passwd',
    '....//....//etc/passwd',
    '..\\..\\etc\\passwd',
    '/etc/passwd',
    '//etc/passwd',
    '%2fetc%2fpasswd',
    'file:///etc/passwd',
    'files/0',
    'files/0/',
    'files/0/../../secret.txt',
    'files/0/..%2f..%2f..%2fpackage.json',
    'files/99/shapes.onnx',
    'files/1/shapes.onnx',
    'files/0/shapes.onnx%00.png',
    `files/0/${encodeURIComponent(join(folder, 'secret.txt'))}`,
    `files/2/../${encodeURIComponent('secret.txt')}`,
    'ort/../../package.json',
    'ort/ort.all.js',
    'worker.js/..%5c..%5cpackage.json',
    '%c0%ae%c0%ae/etc/passwd',
    'constructor',
    '__proto__',
    '%',
  ]; // prettier-ignore
  for (const spelling of spellings)
    for (const path of [base + spelling, `/${spelling}`]) {
      const answer = await get(path);
      expect([path, statusOf(answer)]).toEqual([
        path,
        expect.toSatisfy((status: number) => [0, 400, 403, 404].includes(status)),
      ]);
      expect(answer).not.toMatch(/SECRET|root:|"name": "gradcampp"/);
    }
  expect(
    statusOf(
      await raw(
        `GET http://evil.example/${base} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n\r\n`,
      ),
    ),
  ).not.toBe(200);
});

test('nothing is written, and bodies are refused before they are read', async () => {
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])
    expect([method, (await fetch(running.address, { method })).status]).toEqual([method, 405]);
  const head = `POST ${base} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n`;
  expect(statusOf(await raw(`${head}Content-Length: 99999999999\r\n\r\n`))).toBe(413);
  expect([0, 413]).toContain(
    statusOf(
      await raw(
        Buffer.concat([Buffer.from(`${head}Content-Length: 8388608\r\n\r\n`), Buffer.alloc(8_388_608)]),
      ),
    ),
  );
  expect([0, 413]).toContain(statusOf(await raw(`${head}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`)));
  expect(statusOf(await get(`${base}${'a'.repeat(100_000)}`))).toSatisfy((status: number) =>
    [0, 404, 414, 431].includes(status),
  );
  expect(statusOf(await raw(new Uint8Array(5000).fill(255)))).toSatisfy((status: number) =>
    [0, 400].includes(status),
  );
});

test('clients that are too slow are dropped, and the next is served', async () => {
  const own = await start('--port', '0', '--patience', '1');
  const { pathname, host } = new URL(own.address);
  const begun = [`GET ${pathname} HTT`, `GET ${pathname} HTTP/1.1\r\nHost: ${host}\r\nX-A: b\r\n`]; // never end line and head
  for (const text of begun) expect([0, 408]).toContain(statusOf(await raw(text, own.address)));
  expect((await fetch(own.address)).status).toBe(200);
  own.child.kill('SIGKILL');
});

test('a thousand requests at once are served or refused, whole or not at all', async () => {
  const { pictures } = (await (await fetch(new URL('session.json', running.address))).json()) as Told;
  const expected = readFileSync(picture);
  const counts = { served: 0, refused: 0 };
  const ask = async (i: number) => {
    const isOwn = i % 2 === 0;
    const url = new URL(isOwn ? pictures[0].url : `files/${i}/none.png`, running.address);
    const answer = await fetch(url).catch(() => undefined);
    if (isOwn && answer?.status === 200) {
      expect(Buffer.compare(Buffer.from(await answer.arrayBuffer()), expected)).toBe(0);
      counts.served++;
    } else {
      expect([undefined, 404, 408, 503]).toContain(answer?.status);
      await answer?.text();
      counts.refused++;
    }
  };
  await Promise.all(Array.from({ length: 1000 }, (_, i) => ask(i)));
  expect(counts.served + counts.refused).toBe(1000);
  expect(counts.served).toBeGreaterThan(250);
  expect((await fetch(running.address)).status).toBe(200);
});

test('a port that is taken gives way to another, and Ctrl-C ends the server', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const { port: own } = taken.address() as AddressInfo;
  const other = await start('--port', String(own));
  expect(Number(new URL(other.address).port)).not.toBe(own);
  expect(other.address).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/[\w-]{32}\/$/);
  await expect
    .poll(() => other.log.join(' '), { timeout: 60_000 })
    .toMatch(`Port ${own} is taken; this one is free. Ctrl-C ends it.`);
  const stalled = connect(Number(new URL(other.address).port), '127.0.0.1').pause();
  stalled.on('error', () => undefined);
  const path = `${new URL(other.address).pathname}ort/ort-wasm-simd-threaded.wasm`;
  stalled.write(`GET ${path} HTTP/1.1\r\nHost: ${new URL(other.address).host}\r\n\r\n`);
  await once(stalled, 'readable'); // in the middle of a download
  const gone = once(other.child, 'exit');
  other.child.kill('SIGINT');
  expect(await gone).toEqual([0, null]);
  taken.close();
});

test('what cannot be shown is said before anything is served', async () => {
  await expect(start('none.onnx')).rejects.toThrow(/Cannot read model "none.onnx": there is no such file/);
  await expect(start(model, 'none.png')).rejects.toThrow('There is no picture "none.png".');
  await expect(start(`${assets}action.onnx`)).rejects.toThrow(
    /shows pictures, and ".*action.onnx" takes clips: explain them with/,
  );
  expect(() => installedRuntime([`file://${folder}/package.json`])).toThrow(
    'The explorer runs networks in the browser by onnxruntime-web, which is not installed: npm install onnxruntime-web@~1.30.0, and call the command again.',
  );
});

test('--build writes the page as files, which name no folder of this machine', async () => {
  const site = join(folder, 'site');
  const child = spawn(process.execPath, [command, 'explore', model, picture, '--build', site], {
    stdio: 'ignore',
  });
  expect((await once(child, 'exit'))[0]).toBe(0);
  const session = await readFile(join(site, 'session.json'), 'utf8');
  expect(session).not.toContain(assets);
  const { model: own, pictures } = JSON.parse(session) as Told;
  expect([own.path, pictures[0].path]).toEqual(['shapes.onnx', 'apples-and-cups.png']);
  expect(Buffer.compare(await readFile(join(site, own.url)), readFileSync(model))).toBe(0);
  const again = spawn(process.execPath, [command, 'explore', '--build', site], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const said: string[] = [];
  again.stderr.on('data', (part) => said.push(String(part)));
  expect((await once(again, 'close'))[0]).toBe(1);
  expect(said.join('')).toMatch(
    /holds files: name another, or replace what has the same name with --overwrite/,
  );
});
