import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { browserNote, hasBrowser, openBrowser } from '../evaluate/browser.js';

const assets = fileURLToPath(new URL('../../assets/', import.meta.url));
const files = (name: string) => `${assets}${name}`;
const command = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

describe.skipIf(!hasBrowser)(`models in Chromium, one after the other${browserNote}`, () => {
  let browser: Browser;
  let page: Page;
  let server: ChildProcess;

  beforeAll(async () => {
    const words = ['explore', '--no-open', '--port', '0'];
    server = spawn(process.execPath, [command, ...words], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [address] = (await once(createInterface({ input: server.stdout! }), 'line')) as [string];
    browser = await openBrowser({ measuresMemory: true });
    page = await browser.newPage();
    page.setDefaultTimeout(100_000);
    await page.goto(address);
  });
  afterAll(async () => {
    await browser?.close();
    server?.kill('SIGKILL');
  });

  /** Drops files, and waits until the model among them is open and nothing more is computed. */
  async function open(name: string, ...more: readonly string[]): Promise<void> {
    await page.setInputFiles('input[type=file]', [`${name}.onnx`, `${name}.json`, ...more].map(files));
    await page.waitForFunction(
      (own) =>
        document.querySelector('[data-testid="model"] strong')?.textContent === own &&
        document.querySelector('.explained strong') &&
        document.querySelector('[data-busy="false"]'),
      `${name}.onnx`,
    );
  }

  /** MiB of the page and its workers that are in use: objects, arrays, WebAssembly, canvases. Garbage is collected before. */
  const memory = () =>
    page.evaluate(async () => {
      const own = performance as unknown as { measureUserAgentSpecificMemory(): Promise<{ bytes: number }> };
      return (await own.measureUserAgentSpecificMemory()).bytes / 2 ** 20;
    });
  /** Workers end a moment after they were told to. */
  const oneWorker = () => expect.poll(() => page.workers().length, { timeout: 100_000 }).toBe(1);

  test('fifty that are opened, explained and closed leave nothing behind', {
    timeout: 1_200_000,
  }, async () => {
    const names = ['shapes', 'segmenter'] as const;
    await open('shapes', 'pictures/apples-and-cups.png', 'pictures/leaves-and-mushrooms.png');
    for (let i = 0; i < 10; i++) await open(names[i % 2]);
    await oneWorker();
    const before = await memory();
    expect(before).toBeGreaterThan(16); // ONNX Runtime's WebAssembly alone
    for (let i = 0; i < 40; i++) await open(names[i % 2]);
    await oneWorker();
    expect((await memory()) - before).toBeLessThan(2);
  });

  test('so do those that are broken, and those that give way before they are open', {
    timeout: 600_000,
  }, async () => {
    await open('shapes');
    const before = await memory();
    const broken = { name: 'broken.onnx', mimeType: '', buffer: Buffer.from('no model') };
    for (let i = 0; i < 10; i++) {
      await page.setInputFiles('input[type=file]', broken);
      await page.getByRole('alert').waitFor();
      await page.setInputFiles('input[type=file]', [files('detector.onnx'), files('detector.json')]); // not waited for
      await open('shapes');
    }
    await oneWorker();
    expect((await memory()) - before).toBeLessThan(2);
  });
});
