import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ExplainAllOptions, PictureResult } from '../../src/batch/explain-all.js';
import type * as ExplainerModule from '../../src/batch/explainer.js';
import type { PictureInput } from '../../src/batch/inputs/stream-items.js';
import { encodePng } from '../../src/image/encode.js';
import { built } from '../support/built.js';
import { bytesFrom, classifier, values } from '../support/network.js';

const { Explainer } = await built<typeof ExplainerModule>('batch/explainer.js');
const folder = mkdtempSync(join(tmpdir(), 'gradcampp-all-'));
const model = join(folder, 'model.onnx');
let explainer: ExplainerModule.Explainer;

const pixels = (seed: number, width = 8, height = 8) => {
  const data = Uint8Array.from(values(seed, [height, width, 3]), (value) => 127.5 * (value + 1));
  return { data, width, height, channels: 3 as const };
};
const paths = Array.from({ length: 9 }, (_, i) => join(folder, `${i}.png`));

beforeAll(async () => {
  writeFileSync(model, bytesFrom(classifier()));
  paths.forEach((path, i) =>
    writeFileSync(path, i === 4 ? 'no picture' : encodePng(pixels(i + 1, 8 + i, 9))),
  );
  explainer = await Explainer.open(model, { threads: 1, backend: 'reference' });
});
afterAll(async () => {
  await explainer.close();
  rmSync(folder, { recursive: true });
});

async function collect(results: AsyncIterable<PictureResult>): Promise<PictureResult[]> {
  const found: PictureResult[] = [];
  for await (const result of results) found.push(result);
  return found;
}

const all = (images: Iterable<PictureInput> | AsyncIterable<PictureInput>, options: ExplainAllOptions = {}) =>
  collect(explainer.explainAll(images, options));

describe.each([0, 1, 2])('explainAll, workers: %i', (workers) => {
  test('gives what explain gives, in order; what fails is a result', async () => {
    const results = await all(paths, { workers, targets: { top: 2 } });
    expect(results.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    for (const { index, explanation, error } of results) {
      if (index === 4) {
        expect(error).toMatchObject({ name: 'GradcamppError', code: 'INVALID_IMAGE' });
        continue;
      }
      const [expected] = await explainer.explain(paths[index], { targets: { top: 2 } });
      expect(explanation?.targets.map(({ target }) => target)).toEqual(
        expected.targets.map(({ target }) => target),
      );
      expect(explanation?.targets[1].map.data).toEqual(expected.targets[1].map.data);
      expect(explanation?.targets[1].map.bounds).toEqual(expected.targets[1].map.bounds);
      expect(explanation?.scores).toEqual(expected.scores);
      expect(explanation?.picture).toEqual(expected.picture);
    }
  });

  test('every kind of picture, each with its own targets where it has them', async () => {
    const tensor = { type: 'float32' as const, dims: [3, 8, 8], data: values(5, [3, 8, 8]) };
    const images: PictureInput[] = [
      paths[0],
      pathToFileURL(paths[1]),
      encodePng(pixels(3)),
      pixels(4),
      tensor,
      { image: pixels(4), targets: [1, 2] },
      { image: paths[0], targets: 99 },
    ];
    const results = await all(images, { workers, targets: 3 });
    const classes = results.map(({ explanation }) => explanation?.targets.map(({ target }) => target.class));
    expect(classes).toEqual([[3], [3], [3], [3], [3], [1, 2], undefined]);
    expect(results[6].error?.code).toBe('INVALID_TARGET');
    expect(tensor.data).toHaveLength(192); // still the caller's
  });

  test('in passes of several pictures, one bad picture spoils no other', async () => {
    const results = await all(paths, { workers, batchSize: 4 });
    expect(results.map(({ error }) => error?.code)).toEqual(
      paths.map((_, i) => (i === 4 ? 'INVALID_IMAGE' : undefined)),
    );
  });

  test('takes no more from the stream than is in flight; leaving early ends it', async () => {
    let taken = 0;
    const stream = (function* () {
      for (;;) {
        taken++;
        yield pixels(taken);
      }
    })();
    const results = explainer.explainAll(stream, { workers, inFlight: 3 });
    await results.next();
    await results.next();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(taken).toBeLessThanOrEqual(2 + 3);
    await results.return(undefined);
  });
});

/** A promise of a picture that does not come, once it is awaited. */
function failingLater(): PromiseLike<never> {
  const promise = new Promise<never>((_, reject) => {
    reject(new Error('no picture came'));
  });
  promise.catch(() => undefined);
  return promise;
}

/** What a stream may hold that is no picture, or no longer one. */
function badItems(): unknown[] {
  const detached = pixels(1);
  structuredClone(detached.data, { transfer: [detached.data.buffer] });
  const bytes = new Uint8Array(encodePng(pixels(2)));
  structuredClone(bytes, { transfer: [bytes.buffer] });
  const throwing = (name: string) =>
    Object.defineProperty({ ...pixels(1) }, name, {
      enumerable: true,
      get: () => {
        throw new Error('computed in vain');
      },
    });
  return [
    detached,
    bytes,
    { image: pixels(1), targets: [() => 1] },
    { ...pixels(1), data: () => 1 },
    throwing('data'),
    throwing('width'),
    throwing('targets'),
    new Proxy(
      {},
      {
        has: () => {
          throw new TypeError('a trap');
        },
      },
    ),
    new URL('https://example.org/cat.png'),
    new URL('file://elsewhere/cat.png'),
    failingLater(),
    () => 1,
    Symbol('x'),
    null,
    undefined,
    5,
    10n,
    {},
    [],
    '',
    'nothing\0.png',
  ];
}

test.each([0, 2])('goes on past anything that is no picture, workers: %i', async (workers) => {
  const images = [paths[0], ...badItems(), paths[1]] as PictureInput[];
  for (const batchSize of [1, 4]) {
    const results = await all(images, { workers, batchSize });
    expect(results.map(({ index }) => index)).toEqual(images.map((_, i) => i));
    for (const { index, explanation, error } of results) {
      if (index === 0 || index === images.length - 1) expect(explanation?.targets).toHaveLength(1);
      else {
        expect(error, String(index)).toMatchObject({ name: 'GradcamppError' });
        expect(['INVALID_IMAGE', 'INVALID_TARGET'], `${index}: ${error?.message}`).toContain(error?.code);
        expect(error?.message).not.toMatch(/Internal fault|report it/);
      }
    }
  }
});

test('a stream that fails ends with one of our errors, after what it gave', async () => {
  const seen: number[] = [];
  const failing = async (images: Iterable<PictureInput> | AsyncIterable<PictureInput>) => {
    for await (const { index } of explainer.explainAll(images, { workers: 1 })) seen.push(index);
  };
  const broken = (function* () {
    yield paths[0];
    throw new TypeError('out of pictures');
  })();
  await expect(failing(broken)).rejects.toMatchObject({
    name: 'GradcamppError',
    code: 'INVALID_OPTION',
    message: 'The stream of pictures failed after 1 pictures: out of pictures.',
  });
  expect(seen).toEqual([0]);
  const aborted = (async function* () {
    yield paths[0];
    throw new DOMException('enough', 'AbortError');
  })();
  await expect(failing(aborted)).rejects.toMatchObject({ name: 'AbortError' });
  await expect(
    failing({
      [Symbol.iterator]: () => {
        throw new Error('no iterator');
      },
    }),
  ).rejects.toMatchObject({
    code: 'INVALID_OPTION',
  });
});

test('the signal ends it with its reason', async () => {
  const reason = new Error('enough');
  const stop = AbortSignal.abort(reason);
  await expect(all(paths, { workers: 1, signal: stop })).rejects.toBe(reason);
  const controller = new AbortController();
  const results = explainer.explainAll(paths, { workers: 1, signal: controller.signal });
  await results.next();
  controller.abort();
  await expect(
    (async () => {
      while (!(await results.next()).done);
    })(),
  ).rejects.toMatchObject({ name: 'AbortError' });
});

test.each([0, 2])(
  'closing waits for the pictures in flight, and refuses what comes later, workers: %i',
  async (workers) => {
    const own = await Explainer.open(model, { threads: 1, backend: 'reference' });
    const results = own.explainAll(paths, { workers, inFlight: 2 });
    expect((await results.next()).value).toMatchObject({ index: 0 });
    const pending = results.next();
    const explaining = own.explain([paths[0], paths[1]]);
    const closing = own.close();
    const refused = { name: 'GradcamppError', code: 'CLOSED' };
    await expect(own.explain(paths[0])).rejects.toMatchObject(refused);
    await expect(own.predict(paths[0])).rejects.toMatchObject(refused);
    await expect(own.prepare(paths[0])).rejects.toMatchObject(refused);
    await expect(collect(own.explainAll(paths, { workers }))).rejects.toMatchObject(refused);
    expect(await explaining).toHaveLength(2);
    expect((await pending).value).toMatchObject({ index: 1, explanation: expect.anything() });
    await closing;
    await own.close(); // once more does no harm
    await expect(collect(results)).rejects.toMatchObject(refused);
  },
);

test('nothing but our errors comes out', async () => {
  const broken = {
    get data(): never {
      throw new TypeError('computed in vain');
    },
  };
  for (const call of [() => explainer.explain(broken as never), () => explainer.predict(broken as never)])
    await expect(call()).rejects.toMatchObject({ name: 'GradcamppError' });
  const options = {
    get targets(): never {
      throw new TypeError('computed in vain');
    },
  };
  await expect(explainer.explain(paths[0], options)).rejects.toMatchObject({ name: 'GradcamppError' });
  await expect(all(paths, options as never)).rejects.toMatchObject({ name: 'GradcamppError' });
  await expect(Explainer.open({} as never)).rejects.toMatchObject({ name: 'GradcamppError' });
});

test('as they come', async () => {
  const results = await all(paths, { workers: 2, order: 'completion' });
  expect(results.map(({ index }) => index).sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
});

test('buffers are handed over when asked to', async () => {
  const given = pixels(1);
  const [{ explanation }] = await all([given], { workers: 1, transfer: true });
  expect(explanation?.picture?.data).toHaveLength(192);
  expect(given.data).toHaveLength(0);
});

test('a model in memory', async () => {
  const inMemory = await Explainer.open(bytesFrom(classifier()), { backend: 'reference', threads: 1 });
  const classes: (number | undefined)[] = [];
  for await (const { explanation } of inMemory.explainAll(paths.slice(0, 3), { workers: 2 }))
    classes.push(explanation?.targets[0].target.class);
  await inMemory.close();
  const expected = await explainer.explain(paths.slice(0, 3));
  expect(classes).toEqual(expected.map(({ targets }) => targets[0].target.class));
});

test.each<[string, ExplainAllOptions, RegExp]>([
  ['a class that the model does not have', { targets: 5 }, /from 0 to 4/],
  ['an unknown option', { worker: 3 } as ExplainAllOptions, /"worker" is not an option/],
  ['an unknown order', { order: 'any' as never }, /"order" must be one of input, completion/],
  ['targets by number', { targetsPerImage: [1] } as ExplainAllOptions, /\{image, targets\}/],
  ['a time limit of this thread', { timeout: 1, workers: 0 }, /"timeout" needs workers/],
])('%s is refused before a picture is taken', async (_, options, message) => {
  const taken = (): string => {
    throw new Error('taken');
  };
  const images = (function* () {
    yield taken();
  })();
  await expect(all(images, options)).rejects.toThrow(message);
});

test('a program can exit while workers compute', async () => {
  const entry = new URL('../../dist/index.js', import.meta.url).href;
  const program = `
    import { Explainer } from ${JSON.stringify(entry)};
    const explainer = await Explainer.open(${JSON.stringify(model)}, { backend: 'reference', threads: 1 });
    const endless = (function* () { for (;;) yield ${JSON.stringify(paths[0])}; })();
    let count = 0;
    for await (const _ of explainer.explainAll(endless, { workers: 2 })) if (++count === 10) process.exit(3);`;
  const { code, signal, stderr } = await promisify(execFile)(process.execPath, [
    '--input-type=module',
    '-e',
    program,
  ]).catch((error) => error);
  expect({ code, signal, stderr }).toEqual({ code: 3, signal: null, stderr: '' });
});

test('a program ends by itself when its stream has ended', async () => {
  const entry = new URL('../../dist/index.js', import.meta.url).href;
  const program = `
    import { Explainer } from ${JSON.stringify(entry)};
    const explainer = await Explainer.open(${JSON.stringify(model)}, { backend: 'reference', threads: 1 });
    let count = 0;
    for await (const { explanation } of explainer.explainAll(${JSON.stringify(paths)}, { workers: 2 }))
      if (explanation) count++;
    await explainer.close();
    console.log(count);`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program]);
  expect(stdout).toBe('8\n');
});
