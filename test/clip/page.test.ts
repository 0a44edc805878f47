import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { explainFolder } from '../../src/batch/explain-folder.js';
import { clipWriters } from '../../src/clip/writers/index.js';
import { browserNote, hasBrowser, openBrowser, openPage, seriousIssues } from '../evaluate/browser.js';
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
      expect(await page.locator('video').count()).toBe(2);
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
      const strip = page.locator('svg.strip').first();
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
