import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join, normalize } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { PNG } from 'pngjs';
import type { Browser, BrowserContext, Download, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { inspect } from '../../src/explain/inspect.js';
import { NetworkExplainer } from '../../src/explain/network-explainer.js';
import { parseNpy } from '../../src/image/npy.js';
import { int64Constant } from '../../src/onnx/constant.js';
import type { Tensor } from '../../src/tensor.js';
import { browserNote, hasBrowser, openBrowser, overflow, seriousIssues } from '../evaluate/browser.js';
import { bytesFrom, weights } from '../support/network.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const assets = `${root}assets/`;
const command = join(root, 'dist/cli/main.js');
const model = `${assets}shapes.onnx`;
const pictures = [
  'apples-and-cups.png',
  ...readdirSync(`${assets}pictures`).filter((name) => name !== 'apples-and-cups.png'),
].slice(0, 3);
const run = promisify(execFile);
/** Until it is so, however fast the machine is. */
const until = <T>(what: () => Promise<T>) => expect.poll(what, { timeout: 100_000 });
type Numbers = Tensor<'float32'>;

test('the page is small: under 400 kB gzipped, without ONNX Runtime', () => {
  const folder = join(root, 'dist/bundled/explore');
  const sizes = readdirSync(folder).map((name) => gzipSync(readFileSync(join(folder, name))).length);
  const all = sizes.reduce((sum, size) => sum + size, 0);
  expect(all).toBeGreaterThan(50_000);
  expect(all).toBeLessThan(400_000);
});

describe.skipIf(!hasBrowser)(`in Chromium${browserNote}`, () => {
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  let server: ChildProcess;
  let address: string;
  let out: string;
  /** Requests to anyone but the page's own address, and what went wrong in pages. */
  const astray: string[] = [];
  const errors: string[] = [];
  const sites: Server[] = [];

  beforeAll(async () => {
    out = mkdtempSync(join(tmpdir(), 'explorer-'));
    server = spawn(
      process.execPath,
      [
        command,
        'explore',
        model,
        ...pictures.map((name) => `${assets}pictures/${name}`),
        '--no-open',
        '--port',
        '0',
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    [address] = (await once(createInterface({ input: server.stdout! }), 'line')) as [string];
    browser = await openBrowser();
    context = await browser.newContext({ viewport: { width: 1280, height: 900 }, acceptDownloads: true });
    await context.grantPermissions(['clipboard-read', 'clipboard-write']);
    page = await open(address);
    await calm();
  });
  afterAll(async () => {
    await browser?.close();
    server?.kill('SIGKILL');
    for (const site of sites) {
      site.closeAllConnections();
      site.close();
    }
    rmSync(out, { recursive: true, force: true });
  });

  async function open(url: string, within: BrowserContext = context): Promise<Page> {
    const own = await within.newPage();
    own.setDefaultTimeout(60_000);
    const { origin } = new URL(url);
    own.on('request', (request) => {
      if (!request.url().startsWith(`${origin}/`) && !/^(data|blob):/.test(request.url()))
        astray.push(request.url());
    });
    own.on('pageerror', (error) => errors.push(error.message));
    own.on('console', (message) => {
      if (message.type() === 'error') errors.push(message.text());
    });
    await own.goto(url);
    return own;
  }

  /** Serves a folder as any server of files does, at another address. */
  async function serveFolder(folder: string): Promise<string> {
    const types: Record<string, string> = {
      '.html': 'text/html',
      '.js': 'text/javascript',
      '.mjs': 'text/javascript',
      '.css': 'text/css',
      '.wasm': 'application/wasm',
    };
    const site = createServer((request, response) => {
      const path = decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').pathname);
      try {
        const bytes = readFileSync(join(folder, normalize(path === '/' ? 'index.html' : path)));
        response.writeHead(200, {
          'content-type': types[extname(path) || '.html'] ?? 'application/octet-stream',
        });
        response.end(bytes);
      } catch {
        response.writeHead(404).end();
      }
    }).listen(0, '127.0.0.1');
    await once(site, 'listening');
    sites.push(site);
    return `http://127.0.0.1:${(site.address() as AddressInfo).port}/`;
  }

  /** Until nothing more is computed. */
  async function calm(own = page): Promise<void> {
    await own.waitForFunction(
      () => document.querySelector('.explained strong') && document.querySelector('[data-busy="false"]'),
    );
    await own.waitForSelector('[data-busy="false"]', { state: 'attached' });
  }
  /** What the map over the picture looks like, once it is drawn. */
  const heat = (own = page) =>
    own.locator('.frame .heat').evaluate(async (canvas: HTMLCanvasElement) => {
      for (let i = 0; i < 3; i++) await new Promise(requestAnimationFrame);
      return canvas.toDataURL();
    });
  const explained = (own = page) =>
    own
      .getByTestId('explained')
      .innerText()
      .then((text) => text.replaceAll(/\s+/g, ' '));
  const commandOf = (own = page) => own.getByLabel('Command for the same map').inputValue();
  async function slide(name: string, key: string, times = 1): Promise<void> {
    const slider = page.getByRole('slider', { name, exact: true });
    await slider.focus();
    for (let i = 0; i < times; i++) await slider.press(key);
  }
  async function download(button: string): Promise<Buffer> {
    const [file] = await Promise.all([
      page.waitForEvent('download') as Promise<Download>,
      page.getByRole('button', { name: button, exact: true }).click(),
    ]);
    return readFileSync(await file.path());
  }
  const map = async () => parseNpy(await download('.npy')) as Numbers;
  const furthest = (a: Float32Array, b: Float32Array) =>
    a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);
  /** A point of the picture, as shares of its size. */
  async function at(x: number, y: number): Promise<[number, number]> {
    const box = (await page.locator('.frame').boundingBox())!;
    return [box.x + x * box.width, box.y + y * box.height];
  }
  /** Where the map is largest. */
  async function brightest(): Promise<[number, number]> {
    const { data, dims } = await map();
    const place = data.indexOf(1);
    return [((place % dims[1]) + 0.5) / dims[1], (Math.floor(place / dims[1]) + 0.5) / dims[0]];
  }
  const reset = async () => {
    await page.evaluate(() => {
      location.hash = 'model=shapes.onnx';
    });
    await page.getByText('Look', { exact: true }).click();
    await calm();
  };

  test('a picture has the map that it has in Node', async () => {
    await until(() => page.getByTestId('model').innerText()).toContain('shapes.onnx');
    await using explainer = await NetworkExplainer.open(model, { backend: 'reference' });
    const [{ targets }] = await explainer.explain(`${assets}pictures/${pictures[0]}`);
    const own = await map();
    expect(own.dims).toEqual(targets[0].map.dims);
    expect(furthest(own.data, targets[0].map.data)).toBeLessThan(1e-4);
    await until(() => explained()).toContain(targets[0].target.name);
  });

  test('classes: the best ones as the network says them, and a search', async () => {
    const values = await page.locator('ol[aria-label="Best classes"] .value').allInnerTexts();
    const numbers = values.map((text) => Number.parseFloat(text));
    expect(numbers).toHaveLength(8);
    expect(numbers).toEqual(numbers.toSorted((a, b) => b - a));
    const before = await heat();
    await page.getByLabel('Search classes').fill('mush');
    await until(() => page.locator('ol[aria-label="Classes found"] .name').allInnerTexts()).toEqual([
      'mushroom',
    ]);
    await page.getByLabel('Search classes').press('Enter');
    await calm();
    await until(() => explained()).toContain('mushroom');
    await until(() => heat()).not.toBe(before);
    await page.getByLabel('Search classes').fill('');
    await page.getByRole('button', { name: 'Back to what the network says' }).click();
    await calm();
    await until(() => heat()).toBe(before);
    await page.locator('.grid[data-testid="pictures"] button').nth(1).click(); // other pictures have other best classes
    await calm();
    await until(() => page.locator('ol[aria-label="Best classes"] .value').allInnerTexts()).not.toEqual(
      values,
    );
    await reset();
  });

  test('a slider goes over the layers as inspect ranks them, and their maps are there at once', async () => {
    const { layers } = await inspect(model);
    const names = layers.filter(({ isRead, dims }) => isRead && dims.length === 4).map(({ name }) => name);
    const slider = page.getByRole('slider', { name: 'Layer', exact: true });
    expect(Number(await slider.getAttribute('max'))).toBe(names.length - 1);
    const seen = new Set<string>();
    for (const [i, name] of names.slice(0, 5).entries()) {
      if (i > 0) await slide('Layer', 'ArrowRight');
      await until(() => page.locator('.layer-name code').innerText()).toBe(name);
      seen.add(await heat());
    }
    expect(seen.size).toBeGreaterThan(3);
    await using explainer = await NetworkExplainer.open(model, { backend: 'reference', layer: names[4] });
    const [{ targets }] = await explainer.explain(`${assets}pictures/${pictures[0]}`);
    expect(furthest((await map()).data, targets[0].map.data)).toBeLessThan(1e-4);
    await reset();
  });

  test('methods stand side by side, and each can be looked at', async () => {
    const before = await heat();
    for (const name of ['layer-cam', 'eigen-cam'])
      await page.getByRole('button', { name: `Add ${name}` }).click();
    await page.getByLabel('Add a method').selectOption('saliency');
    await calm();
    const tiles = page.getByTestId('methods').locator('canvas');
    await until(() => tiles.count()).toBe(4);
    const drawn = await tiles.evaluateAll((all) =>
      all.map((canvas) => (canvas as HTMLCanvasElement).toDataURL()),
    );
    expect(new Set(drawn).size).toBe(4);
    await page.getByRole('button', { name: 'layer-cam', exact: true }).click();
    await until(() => heat()).not.toBe(before);
    expect(JSON.parse((await download('JSON')).toString()).method).toBe('layer-cam');
    await page.getByRole('button', { name: 'Remove saliency' }).click();
    await until(() => tiles.count()).toBe(3);
    await reset();
  });

  test('two classes are contrasted', async () => {
    const before = await heat();
    await page.getByRole('button', { name: 'vs cup' }).click();
    await calm();
    await until(() => explained()).toContain('apple against cup');
    await until(() => heat()).not.toBe(before);
    await until(() => page.getByLabel('Command for the same map').inputValue()).toMatch(
      /--target contrast:0:rivals=2 /,
    );
    await page.getByRole('button', { name: 'vs cup' }).click();
    await calm();
    await until(() => heat()).toBe(before);
    await reset();
  });

  test('a place shows its strongest channels and its values; a click shows one channel alone', async () => {
    const before = await heat();
    const [x, y] = await brightest();
    await page.mouse.move(...(await at(x, y)));
    const channels = page.getByRole('list', { name: 'Strongest channels here' }).locator('button');
    await until(() => channels.count()).toBeGreaterThan(1);
    await until(() => page.getByTestId('values').locator('dd').first().innerText()).toBe('1.000');
    await page.mouse.click(...(await at(x, y)));
    const badge = await page.locator('.badge').innerText();
    expect(badge).toMatch(/^channel \d+ alone$/);
    await until(() => heat()).not.toBe(before);
    await until(() => channels.first().getAttribute('aria-pressed')).toBe('true');
    await channels.nth(1).click();
    await until(() => page.locator('.badge').innerText()).not.toBe(badge);
    await page.getByRole('button', { name: 'All channels again' }).click();
    await until(() => heat()).toBe(before);
    await reset();
  });

  test('keys move over the picture, and it is said what is there', async () => {
    await page.mouse.click(...(await at(...(await brightest()))));
    await page.locator('.frame').focus();
    await page.keyboard.press('ArrowRight');
    const said = page.locator('p[role="status"]');
    await until(() => said.innerText()).toMatch(/^Column \d+, row \d+: \d\.\d\d\. Strongest channels \d+/);
    const first = await said.innerText();
    await page.keyboard.press('ArrowLeft');
    await until(() => said.innerText()).not.toBe(first);
    await page.keyboard.press('Enter');
    await until(() => page.locator('.badge').count()).toBe(1);
    await page.keyboard.press('Escape');
    await until(() => page.locator('.badge').count()).toBe(0);
    await page.getByText('The map as a table').click();
    const rows = page.locator('table.numbers tbody tr');
    const cells = async () => [await rows.count(), await rows.first().locator('td').count()];
    await until(() => rows.count()).toBeGreaterThan(0);
    await until(async () => new Set(await cells()).size).toBe(1); // a square layer
    await page.getByText('The map as a table').click();
    await reset();
  });

  test('opacity, threshold, swipe and colours change what is drawn, and compute nothing', async () => {
    const before = await heat();
    await page.evaluate(() => {
      const { postMessage } = Worker.prototype;
      const counts = Object.assign(globalThis, { asked: 0 });
      Worker.prototype.postMessage = function (...args: [unknown]) {
        counts.asked++;
        return postMessage.apply(this, args);
      };
    });
    await slide('Opacity', 'ArrowRight', 5);
    await until(() =>
      page.locator('.frame .heat').evaluate((canvas) => getComputedStyle(canvas).opacity),
    ).toBe('0.65');
    await until(() => heat()).toBe(before);
    await slide('Threshold', 'ArrowRight', 20);
    const clear = (own: string) =>
      page.evaluate(async (url) => {
        const image = new Image();
        image.src = url;
        await image.decode();
        const canvas = new OffscreenCanvas(image.width, image.height);
        const drawing = canvas.getContext('2d') as OffscreenCanvasRenderingContext2D;
        drawing.drawImage(image, 0, 0);
        return drawing
          .getImageData(0, 0, image.width, image.height)
          .data.filter((alpha, i) => i % 4 === 3 && alpha === 0).length;
      }, own);
    await until(async () => clear(await heat())).toBeGreaterThan(await clear(before));
    await slide('Swipe', 'ArrowLeft', 40);
    await until(() => page.locator('.swiped').evaluate((own) => getComputedStyle(own).clipPath)).toMatch(
      /40%\)$/,
    );
    const last = await heat();
    await page.getByLabel('Colours', { exact: true }).selectOption('turbo');
    await until(() => heat()).not.toBe(last);
    await calm();
    expect(await page.evaluate('asked')).toBe(0);
    await reset();
  });

  test('regions above the threshold have boxes, and a table', async () => {
    await page.getByLabel('Region boxes').check();
    const boxes = page.locator('.marks .region');
    const count = await boxes.count();
    expect(count).toBeGreaterThan(0);
    await until(() => page.getByTestId('regions').locator('tbody tr').count()).toBe(Math.min(count, 12));
    const width = async () => Number(await boxes.first().locator('rect').first().getAttribute('width'));
    const before = await width();
    await slide('Threshold', 'ArrowRight', 40);
    await until(() => width()).toBeLessThan(before);
    await reset();
  });

  test('the brush deletes or keeps, and the new score is there', async () => {
    const first = await page
      .getByRole('button', { name: 'Take the brush' })
      .click()
      .then(() => page.getByTestId('verdict').innerText());
    await slide('Size', 'ArrowRight', 20);
    await page.mouse.move(...(await at(0.1, 0.3)));
    await page.mouse.down();
    for (const x of [0.3, 0.5, 0.7, 0.9]) await page.mouse.move(...(await at(x, 0.3)));
    await page.mouse.up();
    await calm();
    const verdict = page.getByTestId('verdict');
    const deleted = await verdict.innerText();
    expect(deleted).toMatch(/^apple: [\d.]+ % → [\d.]+ %$/);
    expect(deleted.startsWith(first)).toBe(true);
    await until(() => page.locator('.chart canvas').count()).toBe(1);
    await until(() => page.locator('.delta').count()).toBeGreaterThan(0);
    const before = await heat();
    await page.getByLabel('Map of the changed picture').check();
    await calm();
    await until(() => heat()).not.toBe(before);
    await page.getByText('Keep only that').click();
    await calm();
    await until(() => verdict.innerText()).not.toBe(deleted);
    await page.getByRole('button', { name: 'Undo' }).click();
    await until(() => verdict.innerText()).toBe(first);
    await reset();
  });

  test('a link holds the whole state, and PNG, .npy and JSON the picture, the map and what is known of it', async () => {
    await page.evaluate(() => {
      location.hash =
        'model=shapes.onnx&target=2&methods=layer-cam,grad-cam&opacity=0.8&threshold=0.3&swipe=0.7&colormap=turbo&boxes=1&at=3,4&strokes=9.10.12.40.12&brush=keep&remap=1';
    });
    await calm();
    await slide('Layer', 'ArrowRight', 2);
    await calm();
    await page.getByRole('button', { name: 'Copy link' }).click();
    const link = await page.evaluate(() => navigator.clipboard.readText());
    const again = await open(link);
    await calm(again);
    const shown = (own: Page) =>
      own.evaluate(() => ({
        hash: [...new URLSearchParams(location.hash.slice(1))].sort(),
        inputs: [
          ...document.querySelectorAll<HTMLInputElement>('input:not([type=file]), select, textarea'),
        ].map(({ id, value, checked }) => [id, value, checked]),
        regions: [...document.querySelectorAll('.region rect')].map((rect) => rect.outerHTML),
        cell: document.querySelector('.cell')?.outerHTML,
        verdict: document.querySelector('.verdict')?.textContent,
        layer: document.querySelector('.layer-name')?.textContent,
      }));
    await until(async () => (await shown(again)).hash).toEqual((await shown(page)).hash);
    await until(() => shown(again)).toEqual(await shown(page));
    await until(() => heat(again)).toBe(await heat());
    await again.close();
    const json = JSON.parse((await download('JSON')).toString());
    expect(json).toMatchObject({
      image: { path: `${assets}pictures/${pictures[0]}` },
      target: { class: 2, name: 'cup', score: expect.any(Number) },
      method: 'layer-cam',
      map: { dims: [96, 96], threshold: 0.3 },
      changed: { brush: 'keep' },
    });
    expect(json.map.boxes.length).toBe(await page.locator('.region').count());
    const png = PNG.sync.read(await download('PNG'));
    expect([png.width, png.height]).toEqual([json.image.width, json.image.height]);
    const original = PNG.sync.read(readFileSync(`${assets}pictures/${pictures[0]}`));
    expect(png.data.filter((value, i) => value !== original.data[i]).length).toBeGreaterThan(1000);
    expect((await map()).dims).toEqual([96, 96]);
    await reset();
  });

  test('"copy as command" gives the line for the same map', async () => {
    await page.getByRole('button', { name: 'vs cup' }).click();
    await slide('Layer', 'ArrowRight', 1);
    await page.getByLabel('Add a method').selectOption('xgrad-cam');
    await page.getByRole('button', { name: 'xgrad-cam', exact: true }).click();
    await page.getByRole('button', { name: 'Remove grad-cam++' }).click();
    await calm();
    await page.getByRole('button', { name: 'Copy as command' }).click();
    const line = await page.evaluate(() => navigator.clipboard.readText());
    expect(line).toMatch(
      /^gradcampp explain \S+apples-and-cups.png --model \S+shapes.onnx --target contrast:0:rivals=2 --layer \S+ --method xgrad-cam /,
    );
    const shell = line.replace(/^gradcampp/, `"$NODE" "$COMMAND"`);
    await run('sh', ['-c', `${shell} --workers 1 --quiet`], {
      cwd: out,
      env: { ...process.env, NODE: process.execPath, COMMAND: command },
    });
    const [file] = readdirSync(join(out, 'maps')).filter((name) => name.endsWith('.npy'));
    const inTerminal = parseNpy(readFileSync(join(out, 'maps', file))) as Numbers;
    const own = await map();
    expect(own.dims).toEqual(inTerminal.dims);
    expect(furthest(own.data, inTerminal.data)).toBeLessThan(1e-4);
    await reset();
  });

  test('as static files: a model and pictures are dropped, and nothing leaves the page', async () => {
    const site = join(out, 'site');
    await run(process.execPath, [command, 'explore', '--build', site]);
    const own = await open(await serveFolder(site));
    await own.getByText('See where a network looks').waitFor();
    const drop = async (...paths: string[]) => {
      const files = paths.map((path) => ({
        name: path.replace(/.*\//, ''),
        base64: readFileSync(path).toString('base64'),
      }));
      const data = await own.evaluateHandle((all) => {
        const transfer = new DataTransfer();
        for (const { name, base64 } of all)
          transfer.items.add(new File([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], name));
        return transfer;
      }, files);
      await own.dispatchEvent('.page', 'drop', { dataTransfer: data });
    };
    await drop(
      `${assets}detector.onnx`,
      `${assets}detector.json`,
      `${assets}pictures/${pictures[0]}`,
      `${assets}pictures/${pictures[1]}`,
    );
    await calm(own);
    await until(() => own.getByTestId('pictures').locator('li').count()).toBe(2);
    const before = await heat(own);
    await own.getByText('Pick an object').click(); // an object of a detector
    const objects = own.getByRole('list', { name: 'Objects' }).locator('button');
    const count = await objects.count();
    expect(count).toBeGreaterThan(1);
    await until(() => own.locator('.object').count()).toBe(count);
    await own.locator('.object:not(.chosen)').last().click({ force: true });
    await until(() => heat(own)).not.toBe(before);
    await until(() => commandOf(own)).toMatch(/--target detection:at=[\d.,-]+ /);
    await drop(`${assets}segmenter.onnx`, `${assets}segmenter.json`);
    await until(() => own.getByTestId('model').innerText()).toContain('segmenter.onnx');
    await own.waitForSelector('.explained strong');
    const box = (await own.locator('.frame').boundingBox())!;
    await own.mouse.click(box.x + 4, box.y + 4); // a segment
    await until(() => commandOf(own)).toMatch(/--class \d+ /);
    await until(() => explained(own)).toMatch(/^\w+ \d+/);
    const reaches = await own.evaluate(
      (other) =>
        fetch(other).then(
          () => true,
          () => false,
        ),
      address,
    );
    expect(reaches).toBe(false); // its policy forbids it
    expect(errors.filter((text) => /Content Security Policy/.test(text)).length).toBeGreaterThan(0);
    errors.length = astray.length = 0;
    await own.close();
  });

  test('a detector that gives boxes, scores, classes and a count lists its objects, and no classes', async () => {
    const detector = bytesFrom({
      inputs: { image: ['N', 3, 64, 64] },
      outputs: ['num_detections', 'detection_boxes', 'detection_scores', 'detection_classes'],
      nodes: [
        ['Conv', ['image', 'w'], ['c'], { strides: [8, 8] }],
        ['Relu', ['c'], ['r']],
        ['Conv', ['r', 'wb'], ['b']],
        ['Reshape', ['b', 'boxes'], ['rows']],
        ['Transpose', ['rows'], ['corners'], { perm: [0, 2, 1] }],
        ['Sigmoid', ['corners'], ['detection_boxes']],
        ['Conv', ['r', 'ws'], ['s']],
        ['Reshape', ['s', 'scores'], ['own']],
        ['Sigmoid', ['own'], ['detection_scores']],
        ['Sub', ['own', 'own'], ['detection_classes']],
        ['ReduceSum', ['detection_scores', 'last'], ['num_detections'], { keepdims: 0 }],
      ],
      constants: {
        w: weights(1, [16, 3, 8, 8]),
        wb: weights(2, [4, 16, 1, 1]),
        ws: weights(3, [1, 16, 1, 1]),
        boxes: int64Constant([0, 4, 64]),
        scores: int64Constant([0, 64]),
        last: int64Constant([1]),
      },
    });
    const own = await open(address);
    await calm(own);
    const buffer = Buffer.from(detector);
    await own.setInputFiles('input[type=file]', { name: 'four.onnx', mimeType: '', buffer });
    await until(() => own.getByTestId('model').innerText()).toContain('four.onnx');
    await until(() => own.getByRole('list', { name: 'Objects' }).locator('button').count()).toBeGreaterThan(
      1,
    );
    await calm(own);
    expect(await own.getByLabel('Search classes').count()).toBe(0);
    await own.close();
  });

  test('export --web writes a page that explains pictures on its own', async () => {
    const site = join(out, 'paper');
    await run(process.execPath, [
      command,
      'export',
      model,
      '--class',
      'cup',
      '--method',
      'layer-cam',
      '--picture',
      `${assets}pictures/${pictures[0]}`,
      '--web',
      site,
    ]);
    const own = await open(await serveFolder(site));
    await calm(own);
    await until(() => explained(own)).toMatch(/^cup /);
    await until(() => own.getByLabel('Command for the same map').count()).toBe(0);
    await using explainer = await NetworkExplainer.open(model, { backend: 'reference' });
    const [{ targets }] = await explainer.explain(`${assets}pictures/${pictures[0]}`, {
      targets: 'cup',
      method: 'layer-cam',
    });
    const [file] = await Promise.all([
      own.waitForEvent('download'),
      own.getByRole('button', { name: '.npy' }).click(),
    ]);
    const { data } = parseNpy(readFileSync(await file.path())) as Numbers;
    expect(furthest(data, targets[0].map.data)).toBeLessThan(1e-4);
    await expect(run(process.execPath, [command, 'export', model, '--eigen', '--web', site])).rejects.toThrow(
      /begins with one target, layer and method, and takes .*; received eigen\./,
    );
    await own.close();
  });

  test('nothing serious for axe-core, in light and dark, and no window is too narrow', async () => {
    expect(await seriousIssues(page)).toEqual([]);
    await page.evaluate(() => {
      location.hash =
        'model=shapes.onnx&boxes=1&strokes=9.10.12.40.12&at=3,4&methods=grad-cam,layer-cam&channel=4';
    });
    await calm();
    for (const [width, colorScheme] of [
      [390, 'dark'],
      [800, 'light'],
    ] as const) {
      await page.setViewportSize({ width, height: 844 });
      await page.emulateMedia({ colorScheme });
      expect(await overflow(page)).toBeLessThanOrEqual(0);
      expect(await seriousIssues(page)).toEqual([]);
    }
  });

  test('a model that is none says so, and nothing was asked of anyone else', async () => {
    await page.setInputFiles('input[type=file]', {
      name: 'broken.onnx',
      mimeType: '',
      buffer: Buffer.from('no model'),
    });
    await page.getByRole('alert').waitFor();
    await until(() => page.getByRole('alert').innerText()).toMatch(/is not an ONNX model/);
    await page.setInputFiles('input[type=file]', [`${assets}action.onnx`, `${assets}action.json`]);
    await until(() => page.getByRole('alert').innerText()).toMatch(
      /^The explorer shows pictures, and "action\.onnx" takes clips: explain them with "gradcampp explain"/,
    );
    const empty = await open(address);
    await calm(empty);
    await empty.setInputFiles('input[type=file]', [`${assets}shapes.json`]);
    await until(() => empty.getByRole('alert').innerText()).toMatch(
      /^"shapes\.json" is neither a picture nor a model: what belongs to an ONNX model is dropped together with it\.$/,
    );
    await empty.close();
    expect(astray).toEqual([]);
    expect(errors).toEqual([]);
  });
});
