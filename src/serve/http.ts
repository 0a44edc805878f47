import { createHash, timingSafeEqual } from 'node:crypto';
import { type Context, Hono } from 'hono';
import { accepts } from 'hono/accepts';
import { bodyLimit } from 'hono/body-limit';
import type { SaveKind } from '../batch/output-options.js';
import { saveKinds } from '../batch/output-options.js';
import { oneOf, onlyKeys, wholeNumber } from '../check.js';
import { asOurs, type ErrorCode, GradcamppError } from '../errors.js';
import { observer } from '../observe.js';
import { readOptions } from '../options.js';
import type { Target } from '../targets/index.js';
import { Busy, type ExplainService, type ServiceResult } from './explain-service.js';
import { Metrics } from './metrics.js';
import { openApi } from './openapi.js';
import { httpOptions, type HttpOptions } from './serve-options.js';

/** A service behind HTTP. */
export interface ServiceApp {
  /** Answers a request, as servers of the Fetch interface call it. */
  readonly fetch: (request: Request, delivery?: Delivery) => Promise<Response>;
  /** Requests are answered 503 from now on, and GET /readyz says so; those that were taken are answered. */
  drain(): void;
  /** Every answer to POST /explain. */
  onAnswer?: (answer: Answered) => void;
}

/** What a server can tell of its answers. */
export interface Delivery {
  /** The answer has left, or its client has. Until then it holds its place, since it holds memory. Default: at once. */
  readonly delivered?: Promise<unknown>;
  /** The port that the request came to. */
  readonly port?: number;
}

export interface Answered {
  readonly status: number;
  readonly milliseconds: number;
  /** What is wrong, where the status says that something is. */
  readonly message?: string;
}

/** Statuses of errors; all others are 500. */
const statuses: Partial<Record<ErrorCode, 400 | 422 | 503>> = {
  INVALID_OPTION: 400,
  INVALID_TARGET: 400,
  INVALID_IMAGE: 422,
  CLOSED: 503,
};

/** What a client may prefer: numbers, or the overlay alone. */
const json = 'application/json';
const pictures = ['image/jpeg', 'image/png', 'image/webp', 'image/*'];

/**
 * The HTTP interface of a service: POST /explain, GET /healthz, /readyz, /metrics and /openapi.json, which describes them.
 *
 * @throws GradcamppError INVALID_OPTION
 */
export function serviceApp(service: ExplainService, options: HttpOptions = {}): ServiceApp {
  const { token, maxBody, maxTargets } = readOptions('the HTTP interface', httpOptions, options);
  const metrics = new Metrics(service);
  const app = new Hono<{ Variables: { message?: string }; Bindings: Delivery }>();
  let isDraining = false;
  let taken = 0;
  const looking = observer();

  const own: ServiceApp = {
    fetch: async (request, { delivered } = {}) => app.fetch(request, { delivered }),
    drain: () => {
      isDraining = true;
    },
  };

  app.get('/healthz', (c) => {
    if (!service.failure) return c.json({ status: 'ok' });
    // Anyone may ask this, so what went wrong stays in the log, beside the answers that it spoilt.
    return problem(c, 503, 'RUNTIME', 'Nothing can be explained any more; the log says why. Start it again.');
  });
  app.get('/readyz', (c) => {
    if (isDraining || service.failure) return problem(c, 503, 'CLOSED', 'No more pictures are taken.');
    return c.json({ status: 'ok', waiting: service.waiting, running: service.running });
  });

  if (token !== undefined) {
    const wanted = digest(`Bearer ${token}`);
    app.use(async (c, next) => {
      if (timingSafeEqual(digest(c.req.header('authorization') ?? ''), wanted)) return next();
      c.header('WWW-Authenticate', 'Bearer');
      return problem(
        c,
        401,
        'INVALID_OPTION',
        'Send the header "Authorization: Bearer TOKEN" with the token of this service.',
      );
    });
  }
  app.get('/metrics', async (c) =>
    c.text(await metrics.text(), 200, { 'Content-Type': metrics.contentType }),
  );
  app.get('/openapi.json', (c) => c.json(openApi({ maxBody, hasToken: token !== undefined })));

  /** Answers a request, or has it answered where there is a place for it. */
  const take = async (c: Context, next: () => Promise<void>) => {
    // A place is taken before the body is read, so that bodies, too, are bounded.
    if (isDraining || taken >= service.capacity) {
      const seconds = isDraining ? 1 : service.retryAfter;
      c.header('Retry-After', String(seconds));
      c.res = problem(
        c,
        503,
        'RUNTIME',
        isDraining ? 'The service is ending.' : `All ${taken} places are taken; try again in ${seconds} s.`,
      );
    } else {
      taken++;
      const leave = () => void taken--;
      await next().finally(() => void Promise.resolve(c.env.delivered).then(leave, leave));
    }
    if (isDraining) c.res.headers.set('Connection', 'close');
  };

  app.post(
    '/explain',
    async (c, next) => {
      const since = performance.now();
      const asked = { method: 'POST', route: '/explain', headers: c.req.raw.headers };
      await (await looking).request(asked, async (seen) => {
        await take(c, next);
        const { status } = c.res;
        const milliseconds = performance.now() - since;
        metrics.answered(status, status === 200 ? milliseconds : undefined);
        seen.answered(status);
        own.onAnswer?.({ status, milliseconds, message: c.get('message') });
      });
    },
    bodyLimit({
      maxSize: maxBody,
      onError: (c) =>
        problem(c, 413, 'INVALID_IMAGE', `A picture may have ${maxBody} bytes; this one has more.`),
    }),
    async (c) => {
      const asked = askedIn(c, maxTargets);
      const bytes = await bodyOf(c);
      const results = await service.explain(bytes, { ...asked, signal: c.req.raw.signal });
      if (asked.isPicture) {
        const overlay = results[0].files.overlay!;
        return c.body(overlay.bytes as Uint8Array<ArrayBuffer>, 200, {
          'Content-Type': typeOf(overlay.ending),
          Vary: 'Accept',
        });
      }
      c.header('Vary', 'Accept');
      return c.json({ results: results.map(shown) });
    },
  );
  app.all('/explain', (c) => {
    c.header('Allow', 'POST');
    return problem(c, 405, 'INVALID_OPTION', `/explain takes POST; received ${c.req.method}.`);
  });
  app.notFound((c) =>
    problem(
      c,
      404,
      'INVALID_OPTION',
      'There is POST /explain, and GET /healthz, /readyz, /metrics and /openapi.json.',
    ),
  );
  app.onError((cause, c) => {
    if (cause instanceof Busy) c.header('Retry-After', String(cause.retryAfter));
    if (c.req.raw.signal.aborted) return problem(c, 499, 'INVALID_OPTION', 'The client went away.');
    const { code, message } = asOurs(cause) as GradcamppError;
    const status = cause instanceof Busy ? 503 : (statuses[code] ?? 500);
    return problem(c, status, code, message);
  });
  return own;
}

function problem(c: Context, status: number, code: ErrorCode, message: string): Response {
  c.set('message', message);
  return c.json({ error: { code, message } }, status as 400);
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** What the query and the headers ask for. Targets that name files are not among it. */
function askedIn(c: Context, most: number): { targets?: Target[]; save: SaveKind[]; isPicture: boolean } {
  const query = c.req.queries();
  onlyKeys('the query', query, ['class', 'top', 'include']);
  const { class: classes = [], top: tops = [], include = [] } = query;
  const save = include.flatMap((list) => list.split(',')).map((kind) => oneOf('include', kind, saveKinds));
  const top = tops.map((text) => ({ top: wholeNumber('top', /^\d+$/.test(text) ? Number(text) : text, 1) }));
  const targets: Target[] = [...classes, ...top];
  const count = classes.length + top.reduce((sum, own) => sum + own.top, 0);
  if (count > most)
    throw new GradcamppError(
      'INVALID_OPTION',
      `A request may ask for ${most} classes; this one asks for ${count}. Ask for fewer, or in several requests.`,
    );
  const type = accepts(c, { header: 'Accept', supports: [json, ...pictures], default: json });
  const isPicture = type !== json;
  if (isPicture && save.length > 0)
    throw new GradcamppError(
      'INVALID_OPTION',
      '"include" adds files to JSON: ask for application/json, or for the overlay alone.',
    );
  return {
    targets: targets.length > 0 ? targets : undefined,
    save: isPicture ? ['overlay'] : save,
    isPicture,
  };
}

/** Fields of a form at most: parsing one of hundreds of thousands would hold up everyone for seconds. */
const mostFields = 100;

/** The picture: the body, or the first file of a form. */
async function bodyOf(c: Context): Promise<Uint8Array> {
  const type = c.req.header('content-type') ?? '';
  const body = Buffer.from(await c.req.arrayBuffer());
  if (!/^multipart\/form-data\b/i.test(type)) return body;
  const wrong = (what: string, cause?: unknown) =>
    new GradcamppError(
      'INVALID_IMAGE',
      `The form ${what}; send the picture as the body, or as a file of a form.`,
      { cause },
    );
  const [, quoted, plain] = /\bboundary=(?:"([^"]+)"|([^;\s]+))/i.exec(type) ?? [];
  if (!quoted && !plain) throw wrong('cannot be read: its type names no boundary');
  for (let at = 0, fields = -1; (at = body.indexOf(`--${quoted ?? plain}`, at)) >= 0; at++)
    if (++fields > mostFields) throw wrong(`has more than ${mostFields} fields`);
  const form = await new Response(body, { headers: { 'Content-Type': type } })
    .formData()
    .catch((cause: unknown) => {
      throw wrong('cannot be read', cause);
    });
  for (const [, value] of form.entries())
    if (typeof value !== 'string') return new Uint8Array(await value.arrayBuffer());
  throw wrong('holds no file');
}

/** Files as data URLs, which pages can show as they are. */
function shown({ files, ...line }: ServiceResult) {
  const urls = Object.entries(files).map(([kind, { ending, bytes }]) => [
    kind,
    `data:${typeOf(ending)};base64,${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')}`,
  ]);
  return { ...line, files: Object.fromEntries(urls) as Record<string, string> };
}

const types: Readonly<Record<string, string>> = {
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.png': 'image/png',
  '.webp': 'image/webp',
  '.gif': 'image/gif',
  '.mp4': 'video/mp4',
  '.webm': 'video/webm',
};

function typeOf(ending: string): string {
  return types[ending] ?? 'application/octet-stream';
}
