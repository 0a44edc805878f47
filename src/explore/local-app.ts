import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { Readable } from 'node:stream';
import { type Context, Hono } from 'hono';
import type { Delivery, ServiceApp } from '../serve/http.js';
import { typeOf } from './page-files.js';
import { type Session, sessionFile } from './session.js';

export interface LocalAppOptions {
  readonly session: Session;
  /** Paths by address, relative to the page. */
  readonly files: ReadonlyMap<string, string>;
  readonly policy: string;
}

/** An app for one person at this machine. */
export interface LocalApp extends ServiceApp {
  /** In the address of the page: who does not know it gets nothing. */
  readonly token: string;
}

/**
 * Gives out the page and the files that were named, to pages of its own address alone: requests for another host (a name that
 * an attacker made mean this machine), from another site's page, without the token, with a body, or for any other address are refused.
 * Addresses are looked up as they are written, so that none leads to a file that was not named.
 */
export function localApp({ session, files, policy }: LocalAppOptions): LocalApp {
  const token = randomBytes(24).toString('base64url');
  const app = new Hono<{ Bindings: Delivery }>();
  const root = `/${token}/`;
  const wanted = digest(token);

  app.use(async (c, next) => {
    const refusal = refusalOf(c);
    if (refusal) return refused(c, ...refusal);
    await next();
    for (const [name, value] of Object.entries({ ...headers, 'Content-Security-Policy': policy }))
      c.res.headers.set(name, value);
    return undefined;
  });
  app.on(['GET', 'HEAD'], '*', async (c) => {
    const path = new URL(c.req.url).pathname;
    const [, given = ''] = path.split('/', 2);
    if (!timingSafeEqual(digest(given), wanted))
      return refused(c, 403, 'Open the address that the command has printed: it holds a token.');
    if (path === `/${token}`) return c.redirect(root, 308);
    const address = path.slice(root.length) || 'index.html';
    if (address === sessionFile) return c.json(session);
    const file = files.get(address);
    if (file === undefined) return refused(c, 404, 'No such file was named.');
    return send(c, file, typeOf(address));
  });
  app.all('*', (c) => {
    c.header('Allow', 'GET, HEAD');
    return refused(c, 405, 'Files are read here, and nothing else.');
  });
  app.onError((_, c) => refused(c, 500, 'The file cannot be read.'));
  return { token, fetch: async (request, delivery) => app.fetch(request, delivery), drain: () => {} };
}

/** What every answer says; threads of WebAssembly want the two about origins. */
const headers = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Cache-Control': 'no-store',
};

/** Why a request is none of the page's own. */
function refusalOf(c: Context<{ Bindings: Delivery }>): [status: 403 | 413, message: string] | undefined {
  const port = c.env.port;
  const host = c.req.header('host') ?? '';
  const isOwn = (name: string) => host === `${name}:${port}` || (port === 80 && host === name);
  if (!['127.0.0.1', 'localhost', '[::1]'].some(isOwn))
    return [403, 'This server answers to 127.0.0.1 and localhost alone.'];
  const origin = c.req.header('origin');
  if (origin !== undefined && origin !== `http://${host}`) return [403, 'Pages of other sites get nothing.'];
  const site = c.req.header('sec-fetch-site');
  if (site !== undefined && site !== 'same-origin' && site !== 'none')
    return [403, 'Pages of other sites get nothing.'];
  const length = c.req.header('content-length');
  if ((length !== undefined && length !== '0') || c.req.header('transfer-encoding') !== undefined)
    return [413, 'Requests have no body here.'];
  return undefined;
}

/** The connection ends with it: what else the client sends is not read. */
function refused(c: Context, status: 403 | 404 | 405 | 413 | 500 | 503, message: string): Response {
  c.header('Connection', 'close');
  c.header('X-Content-Type-Options', 'nosniff');
  return c.text(`${message}\n`, status);
}

async function send(c: Context, path: string, type: string): Promise<Response> {
  const file = await open(path).catch((cause: NodeJS.ErrnoException) => cause);
  if (file instanceof Error) {
    const isBusy = file.code === 'EMFILE' || file.code === 'ENFILE';
    if (isBusy) c.header('Retry-After', '1');
    return isBusy
      ? refused(c, 503, 'Too many files are open; try again.')
      : refused(c, 404, 'The file is no longer there.');
  }
  const { size } = await file.stat();
  c.header('Content-Type', type);
  c.header('Content-Length', String(size));
  if (c.req.method === 'HEAD' || size === 0) {
    await file.close();
    return c.body(null);
  }
  const stream = createReadStream(path, { fd: file, end: size - 1, highWaterMark: 2 ** 18 });
  return c.body(Readable.toWeb(stream) as ReadableStream<Uint8Array>);
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
