import { createReadStream, existsSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';

const root = fileURLToPath(new URL('../../', import.meta.url));
const shared = fileURLToPath(new URL('../../../shared/', import.meta.url));

/** What a page is served from: the built bundle, onnxruntime-web, and what tests are about. */
const folders: Readonly<Record<string, string>> = {
  gradcampp: join(root, 'dist/bundled/web'),
  ort: join(root, 'node_modules/onnxruntime-web/dist'),
  assets: join(root, 'assets'),
  shared,
};
const types: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
  '.json': 'application/json',
  '.png': 'image/png',
};

/** What it looks like to use the package without a bundler. */
const html = `<!doctype html>
<meta charset="utf-8">
<title>gradcampp</title>
<link rel="icon" href="data:,">
<body>
<script type="module">
  import * as gradcampp from '/gradcampp/index.js';
  Object.assign(globalThis, { gradcampp });
</script>`;

/** A page at http://localhost, what it asked for, and what went wrong in it. */
export interface ServedPage {
  readonly page: Page;
  readonly origin: string;
  /** Paths that were asked for. */
  readonly requests: string[];
  readonly errors: string[];
  /** Files in memory, by path. */
  readonly files: Map<string, Uint8Array>;
  close(): Promise<void>;
}

/** Opens an empty page whose server knows the folders above. */
export async function servePage(
  browser: Browser,
  more: Readonly<Record<string, string>> = {},
): Promise<ServedPage> {
  const files = new Map<string, Uint8Array>([['/', Buffer.from(html)]]);
  const requests: string[] = [];
  const all = { ...folders, ...more };
  const server: Server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').pathname);
    requests.push(path);
    const [, folder, ...rest] = path.split('/');
    const file = all[folder] && join(all[folder], normalize(rest.join('/')));
    const type = types[extname(path) || '.html'] ?? 'application/octet-stream';
    const own = files.get(path);
    if (own) {
      response.writeHead(200, { 'content-type': type, 'content-length': own.byteLength });
      response.end(own);
    } else if (file && existsSync(file)) {
      response.writeHead(200, { 'content-type': type });
      createReadStream(file).pipe(response);
    } else {
      response.writeHead(404);
      response.end();
    }
  });
  await new Promise<void>((resolve) => {
    server.listen(0, 'localhost', resolve);
  });
  const origin = `http://localhost:${(server.address() as AddressInfo).port}`;
  const context = await browser.newContext();
  const page = await context.newPage();
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text());
  });
  page.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith(origin) && !/^(data|blob):/.test(url)) errors.push(`a request to ${url}`);
  });
  await page.goto(origin);
  await page.waitForFunction('globalThis.gradcampp');
  return {
    page,
    origin,
    requests,
    errors,
    files,
    close: async () => {
      await context.close();
      server.closeAllConnections();
      server.close();
    },
  };
}
