import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { explainFolder } from '../../src/batch/explain-folder.js';
import { clipWriters } from '../../src/clip/writers/index.js';
import {
  browserNote,
  hasBrowser,
  openBrowser,
  openPage,
  overflow,
  seriousIssues,
} from '../evaluate/browser.js';
import { clipNetwork, drawnFrames, ffmpegNote, hasFfmpeg } from './clips.js';

const folder = mkdtempSync(join(tmpdir(), 'gradcampp-clip-page-'));
afterAll(() => rmSync(folder, { recursive: true }));

test.skipIf(!hasBrowser || !hasFfmpeg)(
  `the page plays what was written, and says how much of the map each frame has${browserNote}${ffmpegNote}`,
  async () => {
    const model = join(folder, 'model.onnx');
    const clip = join(folder, 'clip.gif');
    writeFileSync(model, clipNetwork());
    writeFileSync(clip, await clipWriters.gif.write(drawnFrames(8, 64, 48), { rate: 8 }));
    const out = join(folder, 'out');
    const open = { frames: { stride: 4 } };
    await explainFolder({ model, images: [clip], out, open, workforce: { workers: 0 } });
    const browser = await openBrowser();
    try {
      const { page, errors } = await openPage(browser, join(out, 'index.html'));
      expect(await page.locator('h1').textContent()).toBe('1 video');
      expect(await page.locator('video').count()).toBe(2);
      // Controls lie over the maps: they are there where the keyboard or the pointer is.
      expect(await page.locator('video[controls]').count()).toBe(0);
      await page.locator('summary').focus();
      for (let i = 0; i < 4 && (await page.locator('video:focus').count()) === 0; i++)
        await page.keyboard.press('Tab');
      await page.locator('video:focus[controls]').waitFor();
      await page.locator('#filter').focus();
      await page.waitForFunction(() => document.querySelectorAll('video[controls]').length === 0);
      await page.locator('video').nth(1).hover();
      await page.locator('video[controls]:hover').waitFor();
      const played = await page
        .locator('video')
        .first()
        .evaluate(async (video) => {
          const own = video as unknown as { play(): Promise<void>; duration: number; videoWidth: number };
          await own.play();
          return [own.videoWidth, own.duration];
        });
      expect(played[0]).toBe(64);
      expect(played[1]).toBeCloseTo(0.5, 1);
      const strip = page.locator('.tiles svg.strip').first();
      expect(await strip.getAttribute('aria-label')).toMatch(
        /^Energy of the map in 4 frames; most, \d+ %, in frame \d$/,
      );
      expect(await strip.locator('rect').count()).toBe(4);
      expect(await seriousIssues(page)).toEqual([]);
      expect(errors).toEqual([]);
    } finally {
      await browser.close();
    }
  },
);

test.skipIf(!hasBrowser)(
  `the page shows the time line of a video of several windows, whose marks lead to their overlays${browserNote}`,
  async () => {
    const model = join(folder, 'sliding.onnx');
    const clip = join(folder, 'long.gif');
    writeFileSync(model, clipNetwork());
    writeFileSync(clip, await clipWriters.gif.write(drawnFrames(13, 64, 48), { rate: 10 }));
    const out = join(folder, 'sliding');
    const open = { frames: { stride: 2 } };
    await explainFolder({
      model,
      images: [clip],
      out,
      open,
      outputs: { video: 'webp' },
      workforce: { workers: 0 },
    });
    const browser = await openBrowser();
    try {
      for (const width of [1280, 390]) {
        const { page, errors } = await openPage(browser, join(out, 'index.html'), { width, height: 844 });
        expect(await page.locator('h2').textContent()).toMatch(/long\.gif$/);
        const line = page.locator('figure.timeline');
        expect(await line.count()).toBe(1);
        expect(await line.locator('.scores a').count()).toBe(6);
        expect(await line.locator('.strip rect').count()).toBe(13);
        expect(await line.locator('.axis span').allTextContents()).toContain('0.5');
        expect(await line.locator('.strip').getAttribute('aria-label')).toMatch(
          /^Energy of the map over 1\.3 s; most/,
        );
        const [x, y] = await line
          .locator('.scores .dot')
          .nth(3)
          .evaluate((dot) => {
            dot.scrollIntoView({ block: 'center', behavior: 'instant' });
            const { a, d, e, f } = (
              dot as unknown as { getScreenCTM(): Record<'a' | 'd' | 'e' | 'f', number> }
            ).getScreenCTM();
            const [along, down] = (dot.getAttribute('d') ?? '').slice(1).split(/[ h]/).map(Number);
            return [a * along + e, d * down + f];
          });
        await page.mouse.click(x, y);
        await page.waitForURL(/#clip-0-3$/);
        expect(await page.locator('figure:target figcaption').textContent()).toContain('0.6 to 1 s');
        await line.locator('summary').focus();
        await page.keyboard.press('Enter');
        await page.keyboard.press('Tab'); // the table, which scrolls
        await page.keyboard.press('Tab');
        await page.keyboard.press('Enter');
        await page.waitForURL(/#clip-0-0$/);
        expect(await line.locator('tbody tr').count()).toBe(6);
        expect(await overflow(page)).toBe(0);
        expect(await seriousIssues(page)).toEqual([]);
        expect(errors).toEqual([]);
        await page.context().close();
      }
    } finally {
      await browser.close();
    }
  },
);
