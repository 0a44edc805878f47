import { readFile } from 'node:fs/promises';
import { Validator } from '@seriousme/openapi-schema-validator';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Explainer, GradcamppError } from '../../src/index.js';
import { encodeOutput } from '../../src/batch/output-files.js';
import { outputOptions } from '../../src/batch/output-options.js';
import { readOptions } from '../../src/options.js';
import { ExplainService, Busy } from '../../src/serve/explain-service.js';
import { serviceApp } from '../../src/serve/http.js';

const model = 'assets/shapes.onnx';
const picture = 'assets/pictures/apples-and-cups.png';
const bytes = await readFile(picture);
let service: ExplainService;

beforeAll(async () => {
  service = await ExplainService.open({
    model,
    workforce: { workers: 0 },
    queue: 4,
    open: { maxPixels: 200_000 },
  });
});
afterAll(() => service.close());

const post = (body: BodyInit | null, query = '', headers: Record<string, string> = {}) =>
  new Request(`http://localhost/explain${query}`, { method: 'POST', body, headers });
const ask = async (request: Request, app = serviceApp(service)) => {
  const response = await app.fetch(request);
  return { status: response.status, headers: response.headers, body: await response.json() };
};

test('a picture is explained as the library explains it, and drawn as it draws', async () => {
  const explainer = await Explainer.open(model);
  const [explanation] = await explainer.explain([picture], { targets: { top: 2 } });
  const settings = readOptions('the outputs', outputOptions, {});
  const results = await service.explain(bytes, { targets: { top: 2 }, save: ['npy', 'overlay'] });
  expect(results.map(({ target }) => target.name)).toEqual(
    explanation.targets.map(({ target }) => target.name),
  );
  for (const [i, { files }] of results.entries()) {
    const drawing = {
      explanation,
      target: explanation.targets[i],
      settings,
      preprocessing: explainer.preprocessing,
    };
    expect(Buffer.compare(files.overlay!.bytes, Buffer.concat(await encodeOutput('overlay', drawing)))).toBe(
      0,
    );
    expect(Buffer.compare(files.npy!.bytes, Buffer.concat(await encodeOutput('npy', drawing)))).toBe(0);
  }
  await explainer.close();
});

test('POST /explain gives lines of results, and what is included as data URLs', async () => {
  const { status, body } = await ask(post(bytes, '?top=1&class=cup&include=map,npy'));
  expect(status).toBe(200);
  expect(body.results).toHaveLength(2);
  expect(body.results[0]).toMatchObject({
    target: { name: 'cup' },
    method: 'grad-cam++',
    map: { empty: false },
  });
  expect(body.results[0]).not.toHaveProperty('index');
  expect(body.results[0].files.map).toMatch(/^data:image\/png;base64,iVBOR/);
  expect(body.results[0].files.npy).toMatch(/^data:application\/octet-stream;base64,/);
});

test('a client that takes pictures alone gets the overlay; a form is read too', async () => {
  const form = new FormData();
  form.append('image', new Blob([bytes]), 'cup.png');
  const response = await serviceApp(service).fetch(post(form, '?class=cup', { Accept: 'image/*' }));
  expect(response.headers.get('content-type')).toBe('image/jpeg');
  const [result] = await service.explain(bytes, { targets: 'cup', save: ['overlay'] });
  expect(Buffer.compare(Buffer.from(await response.arrayBuffer()), result.files.overlay!.bytes)).toBe(0);
});

test.each([
  ['?classes=cup', 400, /"classes" is not an option of the query. Closest: "class"/],
  ['?top=0', 400, /"top".*received 0/],
  ['?top=many', 400, /"top".*"many"/],
  ['?top=1000', 400, /may ask for 20 classes; this one asks for 1000/],
  [`?top=19${'&class=cup'.repeat(2)}`, 400, /asks for 21/],
  ['?class=zebra', 400, /zebra/],
  ['?include=everything', 400, /include.*overlay, map.*everything/],
])('%s is answered %i with a sentence', async (query, wanted, message) => {
  const { status, body } = await ask(post(bytes, query));
  expect(status).toBe(wanted);
  expect(body.error.message).toMatch(message);
});

test('what is no picture, too large, cut off or empty is a sentence, and the next picture is explained', async () => {
  const cases: [Uint8Array<ArrayBuffer>, number, RegExp][] = [
    [new Uint8Array(), 422, /The picture cannot be read as a picture: it is empty/],
    [new TextEncoder().encode('<svg/>'), 422, /The picture cannot be read as a picture/],
    [new Uint8Array(bytes.subarray(0, 2000)), 422, /The picture cannot be read/],
    [new Uint8Array(50_000), 413, /40000 bytes/],
  ];
  const app = serviceApp(service, { maxBody: 40_000 });
  for (const [body, wanted, message] of cases) {
    const answer = await ask(post(body), app);
    expect([answer.status, answer.body.error.message]).toEqual([wanted, expect.stringMatching(message)]);
  }
  const small = await ExplainService.open({ model, workforce: { workers: 0 }, open: { maxPixels: 100 } });
  await expect(small.explain(bytes)).rejects.toThrow(/maxPixels is 100/);
  await small.close();
  expect((await ask(post(bytes))).status).toBe(200);
});

test('only who has the token is answered, but for health', async () => {
  const app = serviceApp(service, { token: 'secret' });
  for (const authorization of [
    undefined,
    'Bearer',
    'Bearer wrong',
    'secret',
    'bearer secret',
    'Bearer secret, Bearer',
  ]) {
    const { status, headers } = await ask(post(bytes, '', authorization ? { authorization } : {}), app);
    expect([authorization, status, headers.get('www-authenticate')]).toEqual([authorization, 401, 'Bearer']);
  }
  expect((await ask(post(bytes, '', { authorization: 'Bearer secret' }), app)).status).toBe(200);
  for (const path of ['metrics', 'openapi.json'])
    expect((await app.fetch(new Request(`http://localhost/${path}`))).status).toBe(401);
  expect((await app.fetch(new Request('http://localhost/healthz'))).status).toBe(200);
  expect(() => serviceApp(service, { token: 'two words' })).toThrow(/"token"/);
});

test('other paths and methods are refused', async () => {
  const app = serviceApp(service);
  const status = async (path: string, method = 'GET') =>
    (await app.fetch(new Request(`http://localhost${path}`, { method }))).status;
  expect(await status('/explain')).toBe(405);
  expect(await status('/explain', 'DELETE')).toBe(405);
  for (const path of ['/', '/explain/', '/..%2f..%2fetc%2fpasswd', '/explain/../../etc/passwd', '//explain'])
    expect(await status(path)).toBe(404);
});

test('a full queue answers 503 with Retry-After, and loses nothing that it took', async () => {
  const app = serviceApp(service);
  expect(service.capacity).toBe(5);
  const answers = await Promise.all(Array.from({ length: 12 }, () => ask(post(bytes, '?top=1'), app)));
  const statuses = answers.map(({ status }) => status);
  expect(statuses.filter((status) => status === 200)).toHaveLength(5);
  expect(statuses.filter((status) => status === 503)).toHaveLength(7);
  for (const { status, headers } of answers)
    if (status === 503) expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
  const text = await (await app.fetch(new Request('http://localhost/metrics'))).text();
  expect(text).toContain('gradcampp_requests_total{status="503"} 7');
  expect(text).toContain('gradcampp_explain_seconds_count 5');
  expect(text).toContain('gradcampp_waiting 0');
});

test('an answer holds its place until it has left, or its client has', async () => {
  const app = serviceApp(service);
  const leave: (() => void)[] = [];
  const delivered = () => new Promise<void>((resolve) => void leave.push(resolve));
  for (let i = 0; i < 5; i++) {
    const response = await app.fetch(post(bytes), { delivered: delivered() });
    expect(response.status).toBe(200);
  }
  expect((await ask(post(bytes), app)).status).toBe(503);
  leave[0]();
  expect((await ask(post(bytes), app)).status).toBe(200);
});

test('who asks without a token is not told what went wrong', async () => {
  const failed = Object.create(service, {
    failure: { value: new GradcamppError('RUNTIME', 'No worker starts: /srv/secret.onnx …') },
  }) as ExplainService;
  const app = serviceApp(failed, { token: 'secret' });
  for (const path of ['healthz', 'readyz']) {
    const response = await app.fetch(new Request(`http://localhost/${path}`));
    expect([path, response.status, await response.text()]).toEqual([
      path,
      503,
      expect.not.stringContaining('srv'),
    ]);
  }
});

test('programs are told by an error that the queue is full; who leaves it takes no time', async () => {
  const leave = new AbortController();
  const first = Array.from({ length: 4 }, () => service.explain(bytes));
  const left = service.explain(bytes, { signal: leave.signal });
  await expect(service.explain(bytes)).rejects.toBeInstanceOf(Busy);
  leave.abort();
  await expect(left).rejects.toThrow(/abort/);
  expect(service.waiting).toBe(3);
  for (const results of await Promise.all(first)) expect(results[0].target.name).toBeTruthy();
});

test('a service that ends answers what it took, and nothing more', async () => {
  const ending = await ExplainService.open({ model, workforce: { workers: 0 } });
  const app = serviceApp(ending);
  const taken = ask(post(bytes), app);
  await new Promise((resolve) => setImmediate(resolve));
  app.drain();
  expect((await app.fetch(new Request('http://localhost/readyz'))).status).toBe(503);
  expect((await app.fetch(new Request('http://localhost/healthz'))).status).toBe(200);
  expect((await ask(post(bytes), app)).status).toBe(503);
  const closing = ending.close();
  expect((await taken).status).toBe(200);
  await closing;
  await expect(ending.explain(bytes)).rejects.toThrow(/closed/);
});

test('the OpenAPI document is one, and names every answer that the tests above saw', async () => {
  for (const options of [{}, { token: 'secret' }]) {
    const app = serviceApp(service, options);
    const headers: Record<string, string> = 'token' in options ? { authorization: 'Bearer secret' } : {};
    const document = await (
      await app.fetch(new Request('http://localhost/openapi.json', { headers }))
    ).json();
    expect(await new Validator().validate(document)).toMatchObject({ valid: true });
    expect(Object.keys(document.paths['/explain'].post.responses)).toEqual([
      '200',
      '400',
      '401',
      '413',
      '422',
      '500',
      '503',
    ]);
  }
});

test('options that make no sense are refused', async () => {
  await expect(ExplainService.open({} as never)).rejects.toThrow(/"model"|--model/);
  await expect(ExplainService.open({ model, queue: -1 })).rejects.toThrow(/"queue"/);
  await expect(ExplainService.open({ model, outputs: { save: ['map'] } as never })).rejects.toThrow(
    /every request says/,
  );
  await expect(ExplainService.open({ model, explain: { method: 'gradcam' as never } })).rejects.toThrow(
    /method/,
  );
});
