import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CaptionExplanation } from '../../src/caption/caption-explanation.js';
import { Captioner } from '../../src/caption/captioner.js';
import { parseNpy } from '../../src/image/npy.js';
import { namedFiles } from '../../src/explore/named-files.js';
import type { Tensor } from '../../src/tensor.js';
import { browserNote, hasBrowser, openBrowser, overflow, seriousIssues } from '../evaluate/browser.js';

const assets = fileURLToPath(new URL('../../assets/', import.meta.url));
const command = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const run = promisify(execFile);
const files = {
  encoder: `${assets}captioner/encoder_model.onnx`,
  decoder: `${assets}captioner/decoder_model.onnx`,
  tokenizer: `${assets}captioner/vocabulary.json`,
};
const models = Object.entries(files).flatMap(([name, file]) => [`--${name}`, file]);
const scenes = ['apple-and-starfish.png', 'cups-and-flowers.png'].map((name) => `${assets}scenes/${name}`);
/** Until it is so, however fast the machine is. */
const until = <T>(what: () => Promise<T>) => expect.poll(what, { timeout: 100_000 });

test('the decoder that lies beside one that goes on with what it has stored is given out, too', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'explorer-past-'));
  const decoder = join(folder, 'decoder_with_past_model.onnx');
  copyFileSync(files.decoder, decoder);
  const { encoder } = files;
  expect((await namedFiles({ encoder, decoder })).session.model?.caption?.withoutPast).toBeUndefined();
  copyFileSync(files.decoder, join(folder, 'decoder_model.onnx'));
  const { session, files: given } = await namedFiles({ encoder, decoder });
  expect(given.get(session.model?.caption?.withoutPast ?? '')).toBe(join(folder, 'decoder_model.onnx'));
  expect([...given.values()]).toContain(`${assets}captioner/generation_config.json`);
  rmSync(folder, { recursive: true });
});

describe.skipIf(!hasBrowser)(`captions in the explorer${browserNote}`, () => {
  let browser: Browser;
  let page: Page;
  let server: ChildProcess;
  let out: string;
  let inNode: CaptionExplanation;
  const errors: string[] = [];

  beforeAll(async () => {
    out = mkdtempSync(join(tmpdir(), 'explorer-captions-'));
    await using captioner = await Captioner.open({ ...files, backend: 'reference' });
    inNode = await captioner.explain(scenes[0]);
    const words = ['explore', ...models, ...scenes, '--no-open', '--port', '0'];
    server = spawn(process.execPath, [command, ...words], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [address] = (await once(createInterface({ input: server.stdout! }), 'line')) as [string];
    browser = await openBrowser();
    page = await open(address);
    await calm();
  });
  afterAll(async () => {
    await browser?.close();
    server?.kill('SIGKILL');
    rmSync(out, { recursive: true, force: true });
  });

  async function open(url: string): Promise<Page> {
    const own = await browser.newPage({ viewport: { width: 1280, height: 900 }, acceptDownloads: true });
    own.setDefaultTimeout(60_000);
    own.on('pageerror', (error) => errors.push(error.message));
    own.on('request', (request) => {
      if (!request.url().startsWith(new URL(url).origin) && !/^(data|blob):/.test(request.url()))
        errors.push(request.url());
    });
    await own.goto(url);
    return own;
  }
  /** Until nothing more is computed. */
  const calm = (own = page) =>
    own.waitForFunction(
      () => document.querySelector('.explained strong') && document.querySelector('[data-busy="false"]'),
    );
  const explained = (own = page) =>
    own
      .getByTestId('explained')
      .innerText()
      .then((text) => text.replaceAll(/\s+/g, ' '));
  async function map(): Promise<Float32Array> {
    await calm();
    const [file] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: '.npy' }).click(),
    ]);
    return (parseNpy(readFileSync(await file.path())) as Tensor<'float32'>).data;
  }
  const furthest = (a: Float32Array, b: Float32Array) =>
    a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);
  const word = (name: string) => page.getByTestId('words').getByRole('button', { name, exact: true });

  test('the sentence stands under the picture, and each word has the map that it has in Node', async () => {
    const { tokens, caption } = inNode;
    const words = await page.getByTestId('words').locator('button').allInnerTexts();
    expect(words).toEqual(['all', ...tokens.map(({ token }) => token)]);
    expect(await explained()).toMatch(new RegExp(`^${caption.text} [\\d.]+ % a word$`));
    expect(furthest(await map(), caption.map.data)).toBeLessThan(1e-4);
    for (const i of [1, tokens.length - 1]) {
      await word(tokens[i].token).first().click();
      await until(() => explained()).toMatch(
        new RegExp(`^${tokens[i].token} ${(100 * Math.exp(tokens[i].logProbability)).toFixed(1)}`),
      );
      expect(furthest(await map(), tokens[i].map.data)).toBeLessThan(1e-4);
    }
  });

  test('keys go from word to word, and the map is that of the one that has the focus', async () => {
    const { tokens } = inNode;
    await page.getByTestId('words').locator('[tabindex="0"]').focus();
    await page.keyboard.press('Home');
    await until(() => explained()).toContain('a word');
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('ArrowRight');
    await until(() => explained()).toContain(`${tokens[1].token} `);
    await until(() => page.evaluate(() => document.activeElement?.textContent)).toBe(tokens[1].token);
    expect(furthest(await map(), tokens[1].map.data)).toBeLessThan(1e-4);
    await page.keyboard.press('End');
    expect(await page.locator('.word[tabindex="0"]').count()).toBe(1); // one stop on the way of Tab
  });

  test('a place has channels, the brush says what a word is worth without it, layers and methods are there', async () => {
    const { tokens } = inNode;
    await word(tokens[1].token).first().click();
    await calm();
    await page.locator('.frame').focus();
    for (const key of ['ArrowLeft', 'ArrowLeft', 'Enter']) await page.keyboard.press(key);
    await until(() => page.getByRole('list', { name: 'Strongest channels here' }).count()).toBe(1);
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Take the brush' }).click();
    const box = (await page.locator('.frame').boundingBox())!;
    await page.mouse.click(box.x + box.width * 0.25, box.y + box.height * 0.75);
    await until(() => page.getByTestId('verdict').innerText()).toMatch(
      new RegExp(`^${tokens[1].token}: [\\d.]+ % → [\\d.]+ %$`),
    );
    await page.getByRole('button', { name: 'Clear' }).click();
    await page.getByRole('button', { name: 'Add layer-cam' }).click();
    await page.getByRole('slider', { name: 'Layer', exact: true }).press('ArrowRight');
    await calm();
    await until(() => page.getByTestId('methods').locator('.wait').count()).toBe(0);
    expect(await page.locator('.fault').count()).toBe(0);
  });

  test('another caption, a link, and the command for the same maps', async () => {
    await page.getByRole('button', { name: 'Remove layer-cam' }).click();
    await page.getByLabel('Another caption').fill('a red apple');
    await page.getByLabel('Another caption').press('Enter');
    await until(() => page.getByTestId('words').locator('button').allInnerTexts()).toEqual([
      'all',
      'a',
      'red',
      'apple',
    ]);
    await word('red').click();
    await until(() => explained()).toContain('red ');
    const red = await map();
    await until(() => page.evaluate(() => location.hash)).toMatch(/text=a\+red\+apple&word=1/);
    const again = await open(page.url());
    await calm(again);
    await until(() => explained(again)).toBe(await explained());
    await again.close();
    const line = await page.getByLabel('Command for the same map').inputValue();
    expect(line).toMatch(
      /^gradcampp caption \S+apple-and-starfish.png --encoder \S+ --decoder \S+ --tokenizer \S+ --text 'a red apple' --layer /,
    );
    const shell = line.replace(/^gradcampp/, `"$NODE" "$COMMAND"`);
    await run('sh', ['-c', `${shell} --quiet`], {
      cwd: out,
      env: { ...process.env, NODE: process.execPath, COMMAND: command },
    });
    const [file] = readdirSync(join(out, 'maps')).filter((name) => name.endsWith('.npy'));
    const { data, dims } = parseNpy(readFileSync(join(out, 'maps', file))) as Tensor<'float32'>;
    const size = dims[1] * dims[2];
    expect(furthest(red, data.subarray(2 * size, 3 * size))).toBeLessThan(1e-4);
    await page.getByLabel('Another caption').fill('a red appel');
    await page.getByLabel('Another caption').press('Enter');
    await until(() => page.getByRole('alert').innerText()).toMatch(/received "appel"\. Closest: "apple"/);
    await page.getByRole('button', { name: 'Back to what the network says' }).click();
    await until(() => explained()).toContain(inNode.caption.text);
  });

  test('other pictures have captions of their own', async () => {
    await page.getByTestId('pictures').locator('button').nth(1).click();
    await calm();
    await until(() => page.getByTestId('words').locator('button').allInnerTexts()).toContain('flowers');
    expect(await explained()).not.toContain(inNode.caption.text);
  });

  test('encoder, decoder and tokenizer are dropped in; nothing serious for axe-core, and no window is too narrow', async () => {
    const site = join(out, 'site');
    await run(process.execPath, [command, 'explore', '--build', site, ...models]);
    const session = JSON.parse(readFileSync(join(site, 'session.json'), 'utf8'));
    expect(JSON.stringify(session)).not.toContain(assets);
    const { caption, url } = session.model;
    for (const file of [url, caption.decoder.url, caption.tokenizer.url, ...caption.generation])
      expect(readFileSync(join(site, decodeURIComponent(file))).length).toBeGreaterThan(0);
    const beside = ['generation_config.json', 'encoder_model.json'].map(
      (name) => `${assets}captioner/${name}`,
    );
    await page.setInputFiles('input[type=file]', [...Object.values(files), ...beside]);
    await until(() => page.getByTestId('words').count()).toBe(0); // what was open is closed
    await calm();
    await until(() => page.getByTestId('words').locator('button').allInnerTexts()).toContain('flowers');
    for (const [width, colorScheme] of [
      [1280, 'light'],
      [390, 'dark'],
    ] as const) {
      await page.setViewportSize({ width, height: 844 });
      await page.emulateMedia({ colorScheme });
      expect(await overflow(page)).toBeLessThanOrEqual(0);
      expect(await seriousIssues(page)).toEqual([]);
    }
    expect(errors).toEqual([]);
  });

  test('a caption may begin with the token that begins captions', async () => {
    const begin = 11; // "blue", of which it says "blue blue starfish on …"
    await using captioner = await Captioner.open({ ...files, begin, backend: 'reference' });
    const { tokens, caption } = await captioner.explain(scenes[0]);
    expect(tokens[0].id).toBe(begin);
    const words = ['explore', ...models, '--begin', String(begin), scenes[0], '--no-open', '--port', '0'];
    const own = spawn(process.execPath, [command, ...words], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [address] = (await once(createInterface({ input: own.stdout! }), 'line')) as [string];
    const other = await open(address);
    await calm(other);
    await other.getByRole('button', { name: 'Add layer-cam' }).click(); // a second pass, of the caption that is known
    await other.getByRole('button', { name: 'layer-cam', exact: true }).click();
    await calm(other);
    await until(() => explained(other)).toMatch(new RegExp(`^${caption.text} `));
    await until(() => other.getByTestId('words').locator('button').count()).toBe(tokens.length + 1);
    const [{ methods }] = (await captioner.explain(scenes[0], { method: 'layer-cam' })).tokens.slice(-1);
    await other.getByTestId('words').locator('button').last().click();
    await calm(other);
    const [file] = await Promise.all([
      other.waitForEvent('download'),
      other.getByRole('button', { name: '.npy' }).click(),
    ]);
    const { data } = parseNpy(readFileSync(await file.path())) as Tensor<'float32'>;
    expect(furthest(data, methods[0].map.data)).toBeLessThan(1e-4);
    await other.close();
    own.kill('SIGKILL');
  });

  test('models that do not belong together are refused by their names', async () => {
    const words = ['explore', '--encoder', `${assets}shapes.onnx`, '--decoder', `${assets}shapes.onnx`];
    const own = spawn(process.execPath, [command, ...words, scenes[0], '--no-open', '--port', '0'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [address] = (await once(createInterface({ input: own.stdout! }), 'line')) as [string];
    const other = await open(address);
    await until(() => other.getByRole('alert').innerText()).toMatch(/shapes\.onnx/);
    expect(await other.getByRole('alert').innerText()).not.toContain('http');
    await other.close();
    own.kill('SIGKILL');
  });

  test('a captioner that lacks something is refused before anything is served', async () => {
    const words = (...own: string[]) => run(process.execPath, [command, 'explore', '--no-open', ...own]);
    await expect(words('--encoder', files.encoder)).rejects.toThrow(/"decoder" \(--decoder\) is missing/);
    await expect(words('--decoder', files.decoder)).rejects.toThrow(
      /"decoder" \(--decoder\) belongs to a captioner/,
    );
    await expect(words(...models.slice(0, 4), '--tokenizer', scenes[0])).rejects.toThrow(/is not JSON/);
  });
});
