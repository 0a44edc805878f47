import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { reportPage } from '../../../src/evaluate/report/page.js';
import { browserNote, hasBrowser, openBrowser, openPage, overflow, seriousIssues } from '../browser.js';
import { reportOf } from './sample.js';

let folder: string;
let file: string;
let browser: Browser;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'page-'));
  file = join(folder, 'report.html');
  await writeFile(file, await reportPage(reportOf(30)));
  if (hasBrowser) browser = await openBrowser();
});
afterAll(async () => {
  await browser?.close();
  await rm(folder, { recursive: true, force: true });
});

const names = (page: Page) => page.locator('.open').allTextContents();
const number = (i: number) => `picture-${String(i).padStart(4, '0')}.jpg`;

describe('the page without a browser', () => {
  it('is one file that names no other', async () => {
    const page = await reportPage(reportOf(2));
    const links = [...page.matchAll(/(?:src|href|url)\s*[=(]\s*["']?([^"')\s>]+)/g)].map(
      ([, target]) => target,
    );
    expect(links.filter((target) => !target.startsWith('#') && !target.startsWith('data:'))).toEqual([]);
    expect(page.includes('default-src &#39;none&#39;')).toBe(true);
  });

  it('shows numbers with intervals, marks the best, and leaves out what is missing', async () => {
    const page = await reportPage(reportOf(2));
    expect(page).toMatch(
      /<strong>25\.0<span class="unit"> %<\/span><\/strong><span class="interval">20\.0 – 30\.0/,
    );
    expect(page.match(/<td( data-series="\w+")?>–<\/td>/g)?.length).toBe(3);
    expect(page).toContain('&lt; 0.001');
    expect(page).toContain('By chance: ≤ 50.0 %, half of &lt;all&gt;</span>');
    expect(page).toContain('By chance: no fixed number</span>');
    expect(page).toContain('<li>Made up &lt;b&gt;on purpose&lt;/b&gt;.</li>');
  });
});

describe.skipIf(!hasBrowser)(`the page in a browser${browserNote}`, () => {
  it('asks for nothing, throws nothing, and fits a phone', async () => {
    for (const width of [1280, 390]) {
      const { page, requests, errors } = await openPage(browser, file, { width, height: 844 });
      await page.locator('.open').first().waitFor();
      expect(await overflow(page)).toBe(0);
      expect(requests).toEqual([]);
      expect(errors).toEqual([]);
      await page.context().close();
    }
  });

  it('has no serious accessibility issue, in light, in dark, enlarged and on a phone', async () => {
    for (const colorScheme of ['light', 'dark'] as const) {
      for (const width of [1280, 390]) {
        const { page } = await openPage(browser, file, { colorScheme, width });
        await page.locator('details').evaluateAll((all) => {
          for (const item of all) item.setAttribute('open', '');
        });
        expect(await seriousIssues(page)).toEqual([]);
        await page.locator('.open').first().click();
        expect(await seriousIssues(page)).toEqual([]);
        await page.context().close();
      }
    }
  });

  it('changes the picture with the slider', async () => {
    const { page } = await openPage(browser, file);
    const shot = async (value: number, tile = 1) => {
      await page.locator('#opacity').fill(String(value));
      const box = await page.locator('.pictures .frame').nth(tile).boundingBox();
      if (!box) throw new Error('the tile is not drawn');
      return page.screenshot({ clip: { x: box.x + 30, y: box.y + 30, width: 40, height: 40 } });
    };
    await page.locator('.pictures .frame').nth(1).scrollIntoViewIfNeeded();
    const [none, half, full] = [await shot(0), await shot(50), await shot(100)];
    expect(half.equals(none)).toBe(false);
    expect(full.equals(half)).toBe(false);
    expect((await shot(50)).equals(half)).toBe(true);
    // Without the map the tile shows the same as the picture beside it.
    expect((await shot(0, 0)).equals(none)).toBe(true);
    await page.context().close();
  });

  it('sorts, pictures without a value last, and filters by class', async () => {
    const { page } = await openPage(browser, file);
    expect((await names(page)).slice(0, 3)).toEqual([0, 1, 2].map(number));
    await page.selectOption('#order', { label: 'drop of first' });
    expect((await names(page)).slice(0, 3)).toEqual([29, 28, 27].map(number));
    await page.selectOption('#order', { label: 'disagreement' });
    // (7 i) mod 30 is largest for i = 17 (119 mod 30 = 29), then 4 (28), then 21 (27).
    expect((await names(page)).slice(0, 3)).toEqual([17, 4, 21].map(number));
    await page.click('#more');
    expect((await names(page)).at(-1)).toBe(number(0));
    await page.selectOption('#class', 'odd');
    expect((await names(page)).length).toBe(15);
    expect(await page.locator('#count').textContent()).toBe('15 pictures');
    await page.selectOption('#class', '');
    await page.selectOption('#order', { label: 'name' });
    expect((await names(page))[0]).toBe(number(0));
    await page.context().close();
  });

  it('is used by keyboard alone', async () => {
    const { page } = await openPage(browser, file);
    const focused = () => page.evaluate('document.activeElement.textContent') as Promise<string>;
    await page.locator('#opacity').focus();
    await page.keyboard.press('Tab');
    expect(await focused()).toBe(number(0));
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowUp');
    expect(await focused()).toBe(number(1));
    await page.keyboard.press('+');
    expect(await page.locator('#opacity').inputValue()).toBe('65');
    await page.keyboard.press('Enter');
    expect(await page.locator('#large').getAttribute('open')).toBe('');
    await page.keyboard.press('ArrowRight');
    expect(await page.locator('#large-title').textContent()).toContain(number(2));
    await page.keyboard.press('Escape');
    await expect.poll(focused).toBe(number(2)); // in the event that follows the closing
    await page.keyboard.press('End');
    expect(await focused()).toBe(number(29));
    await page.context().close();
  });

  it('says in words what the tiles show', async () => {
    const { page } = await openPage(browser, file);
    const alts = await page
      .locator('.pictures li')
      .nth(1)
      .locator('img')
      .evaluateAll((all) => all.map((item) => item.getAttribute('alt')));
    expect(alts).toEqual([
      `${number(1)}, the picture`,
      `${number(1)} under the map of first: drop 1 %`,
      `${number(1)} under the map of second: drop 1 %`,
      `${number(1)} under the map of random: drop 100 %`,
    ]);
    const second = page.locator('.pictures li').nth(1);
    expect(await second.locator('.box').count()).toBe(4);
    expect(await second.locator('.empty').textContent()).toBe('empty map');
    await page.context().close();
  });

  it('shows 1,000 pictures in less than 10 MB, a part at a time', async () => {
    const large = join(folder, 'large.html');
    await writeFile(large, await reportPage(reportOf(1000)));
    expect((await stat(large)).size).toBeLessThan(10e6);
    const { page } = await openPage(browser, large);
    expect((await names(page)).length).toBe(24);
    await page.click('#more');
    expect((await names(page)).length).toBe(48);
    await page.context().close();
  });

  it('turns dark with the system and by its button', async () => {
    const background = (page: Page) => page.evaluate('getComputedStyle(document.body).backgroundColor');
    const { page } = await openPage(browser, file, { colorScheme: 'dark' });
    expect(await background(page)).toBe('rgb(21, 21, 23)');
    await page.click('#theme');
    expect(await background(page)).toBe('rgb(251, 250, 248)');
    await page.click('#theme');
    expect(await background(page)).toBe('rgb(21, 21, 23)');
    await page.context().close();
  });
});
