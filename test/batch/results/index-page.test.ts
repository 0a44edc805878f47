import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeIndexPages } from '../../../src/batch/results/index-page.js';
import { encodePng } from '../../../src/image/encode.js';
import {
  browserNote,
  hasBrowser,
  openBrowser,
  openPage,
  overflow,
  seriousIssues,
} from '../../evaluate/browser.js';

const methods = ['grad-cam++', 'grad-cam', 'layer-cam'];
const count = 2000;
const hostile = `a <b>"quoted" & 'cut'.png`;

let folder: string;
let browser: Browser;
const out = () => join(folder, 'maps');

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'index-page-'));
  await mkdir(join(folder, 'maps'));
  const colour = (red: number) =>
    Uint8Array.from({ length: 16 * 12 * 3 }, (_, i) => (i % 3 === 0 ? red : 90));
  const png = (red: number) => encodePng({ data: colour(red), width: 16, height: 12, channels: 3 });
  await writeFile(join(folder, hostile), png(0));
  await writeFile(join(out(), 'overlay it.png'), png(255));
  const lines: object[] = [];
  for (let index = 0; index < count; index++) {
    const path = join(folder, index === 0 ? hostile : `picture-${index}.jpg`);
    if (index === 7)
      lines.push({
        index,
        image: { path },
        error: { code: 'INVALID_IMAGE', message: 'the file ends too early.' },
      });
    else
      for (const method of methods)
        lines.push({
          index,
          image: { path, width: 16, height: 12 },
          target: { class: index % 3, name: ['ant', 'bee', 'cat'][index % 3], score: 3, probability: 0.9 },
          layers: ['relu'],
          method,
          map: { dims: [8, 8], empty: false, logScale: 0, bounds: [] },
          files: { overlay: 'overlay it.png' },
        });
  }
  await writeFile(join(out(), 'results.jsonl'), lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  await writeIndexPages({
    out: out(),
    results: join(out(), 'results.jsonl'),
    images: count,
    model: 'net.onnx',
    layers: ['relu'],
    takesClips: false,
    overOriginal: true,
    others: new Set(),
  });
  if (hasBrowser) browser = await openBrowser();
});
afterAll(async () => {
  await browser?.close();
  await rm(folder, { recursive: true, force: true });
});

describe('the page beside the results', () => {
  it('is split into pages of a hundred pictures, which are linked and not copied', async () => {
    const pages = (await readdir(out())).filter((name) => name.endsWith('.html'));
    expect(pages).toHaveLength(count / 100);
    expect((await stat(join(out(), 'index.html'))).size).toBeLessThan(200_000);
    const first = await readFile(join(out(), 'index.html'), 'utf8');
    expect(first).toContain('<a href="index-20.html">20</a>');
    expect(first).toContain('src="overlay%20it.png"');
    expect(first).not.toContain('<b>"quoted"');
    expect(first).toContain('the file ends too early.');
  });
});

describe.skipIf(!hasBrowser)(`the page in a browser${browserNote}`, () => {
  it('shows its first picture soon, asks for nothing but the pictures, and fits a phone', async () => {
    for (const width of [1280, 390]) {
      const { page, requests, errors } = await openPage(browser, join(out(), 'index.html'), {
        width,
        height: 844,
      });
      const first = page.locator('.over img').first();
      await first.evaluate((image) => (image as unknown as { decode(): Promise<void> }).decode());
      expect(await overflow(page)).toBe(0);
      expect(requests.every((url) => url.startsWith('file:') && /\.(png|jpg)$/.test(url))).toBe(true);
      expect(errors.filter((text) => !text.includes('ERR_FILE_NOT_FOUND'))).toEqual([]);
      await page.context().close();
    }
  });

  it('has no serious accessibility issue, in light and in dark', async () => {
    for (const colorScheme of ['light', 'dark'] as const) {
      const { page } = await openPage(browser, join(out(), 'index.html'), { colorScheme });
      expect(await seriousIssues(page)).toEqual([]);
      await page.context().close();
    }
  });

  it('filters by words and method, and fades the maps, by keyboard', async () => {
    const { page } = await openPage(browser, join(out(), 'index.html'));
    const visible = () => page.locator('.picture:visible').count();
    await page.keyboard.press('Tab'); // the skip link
    await page.keyboard.press('Tab');
    await page.keyboard.type('bee');
    expect(await visible()).toBe(32); // of 100, every third; picture 7 has failed and has no class
    expect(await page.locator('#count').textContent()).toBe('32 of 100 shown');
    await page.locator('#filter').fill('early');
    expect(await visible()).toBe(1);
    await page.locator('#filter').fill('');
    await page.locator('#method').selectOption('grad-cam');
    expect(await page.locator('.picture').first().locator('figure:visible').count()).toBe(2);
    const colour = async () => {
      const box = await page.locator('.over:visible').first().boundingBox();
      if (!box) throw new Error('no map is shown');
      return page.screenshot({ clip: { x: box.x + 40, y: box.y + 40, width: 4, height: 4 } });
    };
    const before = await colour();
    await page.locator('#opacity').focus();
    await page.keyboard.press('Home');
    expect((await colour()).equals(before)).toBe(false);
    await page.context().close();
  });

  it('leads to the next page', async () => {
    const { page } = await openPage(browser, join(out(), 'index.html'));
    await page.locator('a[rel="next"]').first().click();
    await page.waitForURL(/index-2\.html$/); // and until it has loaded
    expect(await page.locator('.picture').count()).toBe(100);
    await page.context().close();
  });
});
