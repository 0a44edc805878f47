import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Explainer } from '../../src/batch/explainer.js';
import { graphOf } from '../../src/graph/from-model.js';
import { drawOverlay } from '../../src/image/overlay.js';
import { readNpy } from '../../src/image/npy.js';
import type { Pixels } from '../../src/image/pixels.js';
import { readModel } from '../../src/onnx/read.js';
import { serialize } from '../../src/runtime/session.js';
import type * as web from '../../src/web/index.js';
import { browserNote, hasBrowser, openBrowser } from '../evaluate/browser.js';
import { furthest, oracleBounds } from '../methods/oracle.js';
import { type ServedPage, servePage } from './page.js';

const shared = fileURLToPath(new URL('../../../shared/', import.meta.url));
const assets = fileURLToPath(new URL('../../assets/', import.meta.url));
const runtime = '/ort/ort.wasm.bundle.min.mjs';
/** What the page's script leaves there. */
declare const gradcampp: typeof web;

describe.skipIf(!hasBrowser)(`in Chromium, on WebAssembly${browserNote}`, () => {
  let browser: Browser;
  let served: ServedPage;
  beforeAll(async () => {
    browser = await openBrowser();
    served = await servePage(browser);
  });
  afterAll(async () => {
    await served?.close();
    await browser?.close();
  });

  test('a picture has the map that it has in Node, whatever holds it', async () => {
    const file = 'apples-and-cups.png';
    await using explainer = await Explainer.open(`${assets}shapes.onnx`, { backend: 'reference' });
    const [expected] = await explainer.explain(`${assets}pictures/${file}`, { targets: { top: 2 } });
    const { requests } = served;
    const before = requests.length;
    const found = await served.page.evaluate(
      async ([picture, module]) => {
        const progress: web.DownloadProgress[] = [];
        const explainer = await gradcampp.Explainer.open('assets/shapes.onnx', {
          runtime: module,
          preprocess: 'assets/shapes.json',
          onProgress: (own) => progress.push(own),
        });
        const image = new Image();
        image.src = picture;
        await image.decode();
        const blob = await (await fetch(picture)).blob();
        const bitmap = await createImageBitmap(blob);
        const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
        const context = canvas.getContext('2d') as OffscreenCanvasRenderingContext2D;
        context.drawImage(bitmap, 0, 0);
        const data = context.getImageData(0, 0, bitmap.width, bitmap.height);
        const bytes = new Uint8Array(await blob.arrayBuffer());
        const all = await explainer.explain([image, picture, blob, bitmap, canvas, data, bytes], {
          targets: { top: 2 },
        });
        await explainer.close();
        const closed = await explainer.explain(image).catch((error: web.GradcamppError) => error.code);
        const { layers, notes, provider } = explainer;
        const [first] = all;
        return {
          closed,
          layers,
          notes,
          provider,
          progress: progress.at(-1),
          scores: [...first.scores],
          targets: first.targets.map(({ target, map, backend }) => ({
            target,
            dims: map.dims,
            data: [...map.data],
            backend,
          })),
          others: all.map(({ targets }) => targets.map(({ map }) => [...map.data])),
        };
      },
      [`/assets/pictures/${file}`, runtime] as const,
    );
    expect(found).toMatchObject({ closed: 'CLOSED', layers: explainer.layers, notes: [], provider: 'wasm' });
    expect(found.progress).toMatchObject({ loaded: readFileSync(`${assets}shapes.onnx`).length });
    found.scores.forEach((score, m) => expect(score).toBeCloseTo(expected.scores[m], 4));
    expected.targets.forEach(({ target, map }, t) => {
      expect(found.targets[t].target).toEqual({
        ...target,
        score: expect.closeTo(target.score, 4),
        probability: expect.closeTo(target.probability as number, 5),
      });
      expect(found.targets[t].dims).toEqual(map.dims);
      const away = found.others.map((own) =>
        furthest(Float32Array.from(own[t]), Float64Array.from(map.data)),
      );
      expect(away.filter((distance) => distance > 1e-5)).toEqual([]);
    });
    expect(requests.slice(before).filter((path) => !/^\/(gradcampp|ort|assets)\//.test(path))).toEqual([]);
    expect(served.errors).toEqual([]);
  });

  test('in the page itself, without a worker; as much of a stream as can be explained', async () => {
    const found = await served.page.evaluate(async (module) => {
      const bytes = new Uint8Array(await (await fetch('assets/shapes.onnx')).arrayBuffer());
      const preprocess = await (await fetch('assets/shapes.json')).json();
      const explainer = await gradcampp.Explainer.open(bytes, { runtime: module, preprocess, worker: false });
      const codes: (string | undefined)[] = [];
      const stream = ['/assets/pictures/apples-and-cups.png', '/assets/none.png', new Blob(['no picture'])];
      for await (const { error, explanation } of explainer.explainAll(stream))
        codes.push(error?.message ?? explanation?.targets[0].target.name);
      const [{ top }] = await explainer.predict(stream[0]);
      await explainer.close();
      return { codes, best: top[0].name };
    }, runtime);
    expect(found).toEqual({
      codes: [
        'apple',
        expect.stringMatching(/none\.png" cannot be read as a picture: the server says 404/),
        'The picture cannot be read as a picture: the browser does not read it: it is damaged, or in a format that it does not know.',
      ],
      best: 'apple',
    });
    served.errors.length = 0; // the browser tells of the 404
  });

  test('docs/web.md: its programs run', async () => {
    const text = readFileSync(new URL('../../docs/web.md', import.meta.url), 'utf8');
    const block = (language: string) =>
      new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, 's').exec(text)?.[1] as string;
    const program = block('js')
      .replace('gradcampp/web', '/gradcampp/index.js')
      .replace('preprocess:', `runtime: '${runtime}', preprocess:`);
    const { files, page, origin } = served;
    files.set('/docs/model.onnx', readFileSync(`${assets}shapes.onnx`));
    files.set('/docs/model.json', readFileSync(`${assets}shapes.json`));
    const pictures = '<img src="/assets/pictures/apples-and-cups.png"><canvas></canvas>';
    const own = (script: string) => Buffer.from(`<link rel="icon" href="data:,">${pictures}${script}`);
    const done = 'globalThis.notes = explainer.notes;';
    files.set('/docs/page.html', own(`<script type="module">${program}${done}</script>`));
    files.set('/docs/plain.html', own(block('html').replace('</script>', `${done}</script>`)));
    for (const path of ['/docs/plain.html', '/docs/page.html']) {
      await page.goto(`${origin}${path}`);
      await page.waitForFunction('globalThis.notes');
    }
    const colours = await page.evaluate(() => {
      const context = document.querySelector('canvas')?.getContext('2d') as CanvasRenderingContext2D;
      return new Set(context.getImageData(0, 0, 64, 64).data).size;
    });
    expect(colours).toBeGreaterThan(20);
    expect(served.errors).toEqual([]);
    await page.goto(origin);
    await page.waitForFunction('globalThis.gradcampp');
  });

  test('external data are taken where they are named, and missed where they are not', async () => {
    const model = await readModel(`${assets}shapes.onnx`);
    const graph = graphOf(model);
    const { bytes, externalData } = serialize(graph);
    served.files.set('/big.onnx', bytes);
    for (const { path, data } of externalData) served.files.set(`/${path}`, Buffer.from(data));
    expect(externalData.length).toBeGreaterThan(2);
    const found = await served.page.evaluate(
      async ([module, names]) => {
        const open = async (externalData: Record<string, string>) => {
          const explainer = await gradcampp.Explainer.open('/big.onnx', {
            runtime: module,
            preprocess: '/assets/shapes.json',
            externalData,
          });
          const [{ top }] = await explainer.predict('/assets/pictures/apples-and-cups.png');
          await explainer.close();
          return top[0].name;
        };
        const own = Object.fromEntries(names.map((name) => [name, `/${name}`]));
        const missing = await open({}).catch((error: Error) => error.message);
        return { best: await open(own), missing };
      },
      [runtime, externalData.map(({ path }) => path)] as const,
    );
    expect(found.best).toBe('apple');
    expect(found.missing).toMatch(
      /^The model keeps tensor ".*" in a file "weight-0": give it as "externalData", \{ "weight-0": /,
    );
  });

  test('what is wrong is said as in Node, and an abort ends what it is told to end', async () => {
    const found = await served.page.evaluate(async (module) => {
      const { Explainer } = gradcampp;
      const messageOf = (work: Promise<unknown>) =>
        work.then(
          () => 'nothing',
          (error: Error) =>
            `${error.name === 'GradcamppError' ? (error as web.GradcamppError).code : error.name} ${error.message}`.replaceAll(
              location.origin,
              '',
            ),
        );
      const abort = AbortSignal.abort();
      const late = new AbortController();
      const model = '/assets/shapes.onnx';
      const explainer = await Explainer.open(model, { runtime: module, preprocess: '/assets/shapes.json' });
      const working = messageOf(
        explainer.explain('/assets/pictures/apples-and-cups.png', { signal: late.signal }),
      );
      late.abort();
      const messages = {
        unknown: await messageOf(Explainer.open(model, { runtim: module } as object)),
        provider: await messageOf(Explainer.open(model, { runtime: module, executionProviders: ['cuda'] })),
        none: await messageOf(Explainer.open('/none.onnx', { runtime: module })),
        text: await messageOf(Explainer.open(new Blob(['no model']), { runtime: module })),
        runtime: await messageOf(Explainer.open(model, { runtime: '/none.mjs' })),
        native: await messageOf(Explainer.open(model, { runtime: module, backend: 'native' })),
        aborted: await messageOf(Explainer.open(model, { runtime: module, signal: abort })),
        whileWorking: await working,
        target: await messageOf(
          explainer.explain('/assets/pictures/apples-and-cups.png', { targets: { class: 99 } as never }),
        ),
        picture: await messageOf(explainer.explain({} as never)),
      };
      await explainer.close();
      return messages;
    }, runtime);
    expect(found).toMatchInlineSnapshot(`
      {
        "aborted": "AbortError signal is aborted without reason",
        "native": "UNSUPPORTED_BACKEND The backend "native" is an addon of Node.js, and a page has none: choose "webgpu" or "reference".",
        "none": "INVALID_MODEL Cannot read model "/none.onnx": the server says 404 Not Found.",
        "picture": "INVALID_IMAGE A picture must be a URL, a Blob, an ImageBitmap, ImageData, an image element, bytes or {data, width, height, channels}; received an object {}.",
        "provider": "INVALID_OPTION "executionProviders" must be one of wasm, webgpu; received "cuda".",
        "runtime": "RUNTIME onnxruntime-web at "/none.mjs" does not load: Failed to fetch dynamically imported module: /none.mjs. Install it, or name its module as "runtime".",
        "target": "INVALID_TARGET "class" must be a whole number from 0 to 7, since the model has 8 classes; received 99.",
        "text": "INVALID_MODEL "model" is not an ONNX model, or only part of one (8 bytes); export or copy it again.",
        "unknown": "INVALID_OPTION "runtim" is not an option of Explainer.open. Closest: "runtime".",
        "whileWorking": "AbortError signal is aborted without reason",
      }
    `);
    served.errors.length = 0; // the browser tells of the 404s
  });

  /** What the browser's processes have in memory, in MiB, once garbage is collected. */
  async function memory(): Promise<number> {
    const ofPage = await served.page.context().newCDPSession(served.page);
    await ofPage.send('HeapProfiler.collectGarbage');
    await ofPage.detach();
    const session = await browser.newBrowserCDPSession();
    const { processInfo } = await session.send('SystemInfo.getProcessInfo');
    await session.detach();
    const sizes = processInfo.map(({ id }) => {
      const [, kilobytes] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${id}/status`, 'utf8')) ?? [];
      return Number(kilobytes ?? 0) / 1024;
    });
    return sizes.reduce((sum, size) => sum + size);
  }

  test.each([
    { worker: false, first: 10, more: 40 },
    { worker: true, first: 5, more: 15 },
  ])(
    'networks, explained and closed one after the other, leave nothing behind: %o',
    { timeout: 600_000 },
    async ({ worker, first, more }) => {
      const some = (count: number) =>
        served.page.evaluate(
          async ([module, own, times]) => {
            for (let i = 0; i < times; i++) {
              const explainer = await gradcampp.Explainer.open('/assets/shapes.onnx', {
                runtime: module,
                preprocess: '/assets/shapes.json',
                worker: own,
              });
              await explainer.explain('/assets/pictures/apples-and-cups.png');
              await explainer.close();
            }
          },
          [runtime, worker, count] as const,
        );
      const noWorkers = () => expect.poll(() => served.page.workers().length, { timeout: 60_000 }).toBe(0);
      await some(first);
      await noWorkers();
      const before = await memory();
      await some(more);
      await noWorkers();
      // One worker's WebAssembly alone is 16 MiB and more.
      expect((await memory()) - before).toBeLessThan(100);
    },
  );
});

interface OracleCase {
  readonly classes: readonly number[];
  readonly exports: Readonly<Record<string, { readonly layer: string }>>;
}
const methods = ['grad-cam++', 'grad-cam', 'xgrad-cam', 'hires-cam', 'layer-cam'] as const;
const oracle = existsSync(`${shared}oracle`)
  ? readdirSync(`${shared}oracle`).filter((name) => !name.includes('.'))
  : [];

describe.skipIf(!hasBrowser || oracle.length === 0)(
  `PyTorch's networks in Chromium, on WebAssembly (needs ../shared/oracle)${browserNote}`,
  () => {
    let browser: Browser;
    let served: ServedPage;
    beforeAll(async () => {
      browser = await openBrowser();
      served = await servePage(browser);
    });
    afterAll(async () => {
      await served?.close();
      await browser?.close();
    });

    test.each(oracle)('%s: maps within 1e-4 of the oracle', async (name) => {
      const folder = `${shared}oracle/${name}/`;
      const { classes, exports } = JSON.parse(readFileSync(`${folder}case.json`, 'utf8')) as OracleCase;
      const opened = Object.entries(exports).filter(([file]) => /-17|-20/.test(file));
      expect(opened.length).toBeGreaterThan(0);
      for (const [file, { layer }] of opened) {
        const found = await served.page.evaluate(
          async ([path, options, targets, method, module]) => {
            const explainer = await gradcampp.Explainer.open(`/shared/oracle/${path}`, {
              ...options,
              runtime: module,
            });
            const explanations = await explainer.explain(
              new URL('input.npy', `${location.origin}/shared/oracle/${path}`),
              {
                targets,
                method,
                batchSize: 2,
              },
            );
            await explainer.close();
            return explanations.map(({ targets: own }) =>
              own.map(({ map, raw }) => ({ map: [...map.data], raw: [...(raw?.data ?? [])] })),
            );
          },
          [
            `${name}/${file}.onnx`,
            { layer, backend: 'reference' as const },
            classes,
            methods,
            runtime,
          ] as const,
        );
        for (const [i, method] of methods.entries()) {
          const expected = Float64Array.from(
            (await readNpy(`${folder}${method}.map.npy`)).data as Float32Array,
          );
          const size = found[0][0].map.length;
          found.forEach((targets, n) =>
            classes.forEach((_, c) => {
              const { map, raw } = targets[c * methods.length + i];
              const bound = oracleBounds[`${name} ${method}`] ?? 1e-4;
              if (bound === Number.POSITIVE_INFINITY) expect(Math.max(...raw)).toBeLessThan(1e-5);
              const at = (n * classes.length + c) * size;
              expect(furthest(Float32Array.from(map), expected.subarray(at, at + size))).toBeLessThan(bound);
            }),
          );
        }
      }
    });

    test('SqueezeNet on ten pictures is drawn as in Node: the same maps, and two levels but for single pixels', async () => {
      const pictures = readdirSync(`${shared}images/imagenet100`)
        .filter((file) => /jpe?g$/i.test(file))
        .slice(0, 10);
      expect(pictures.length).toBe(10);
      await using explainer = await Explainer.open(`${shared}models/squeezenet1_0.onnx`);
      await served.page.evaluate(async (module) => {
        const explainer = await gradcampp.Explainer.open('/shared/models/squeezenet1_0.onnx', {
          runtime: module,
          preprocess: '/shared/models/squeezenet1_0.json',
        });
        Object.assign(globalThis, { explainer });
      }, runtime);
      for (const file of pictures) {
        const [
          {
            picture,
            geometry,
            targets: [expected],
          },
        ] = await explainer.explain(`${shared}images/imagenet100/${file}`);
        const drawn = drawOverlay(picture as Pixels, expected.map, { geometry });
        const found = await served.page.evaluate(async (path) => {
          const { explainer } = globalThis as unknown as { explainer: web.Explainer };
          const [explanation] = await explainer.explain(path);
          const {
            picture,
            geometry,
            targets: [{ map, target }],
          } = explanation;
          const { data, width, height } = gradcampp.drawOverlay(picture as web.Pixels, map, { geometry });
          const inText = (bytes: Uint8Array) => {
            let text = '';
            for (let i = 0; i < bytes.length; i += 8192)
              text += String.fromCharCode(...bytes.subarray(i, i + 8192));
            return btoa(text);
          };
          const floats = new Uint8Array(map.data.buffer, map.data.byteOffset, map.data.byteLength);
          return { width, height, name: target.name, data: inText(data), map: inText(floats) };
        }, `/shared/images/imagenet100/${file}`);
        const { width, height } = drawn;
        expect(found).toMatchObject({ width, height, name: expected.target.name });
        const bytes = Buffer.from(found.data, 'base64');
        expect(bytes.length).toBe(drawn.data.length);
        // Maps differ in their last digits (below), so that one next to the bound between two colours can fall to either: of turbo's
        // neighbours the first differ most, by 8 levels, of which an overlay of opacity 0.5 shows 4.
        const away = drawn.data.map((level, i) => Math.abs(level - bytes[i]));
        expect(away.reduce((most, levels) => Math.max(most, levels), 0)).toBeLessThanOrEqual(4);
        const far = away.reduce((sum, levels) => sum + Number(levels > 2), 0);
        expect(far / bytes.length).toBeLessThan(1e-4);
        const map = new Float32Array(Uint8Array.from(Buffer.from(found.map, 'base64')).buffer);
        expect(furthest(map, Float64Array.from(expected.map.data))).toBeLessThan(1e-5);
      }
    });
  },
);
