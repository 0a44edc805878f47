// Makes docs/report.png: part of the report of the embedded model on the embedded pictures. Needs Debian's chromium.
//
//   npm run build && node scripts/report-picture.mjs

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';
import sharp from 'sharp';
import { evaluate } from '../dist/evaluate/evaluate.js';

const here = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const out = mkdtempSync(join(tmpdir(), 'report-'));
const args = '--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync';
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: args.split(' ') });
try {
  await evaluate('faithfulness', {
    model: here('assets/shapes.onnx'),
    images: [here('assets/pictures')],
    method: ['grad-cam++', 'grad-cam', 'random'],
    out,
  });
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  await page.goto(pathToFileURL(join(out, 'report.html')).href);
  await page.addStyleTag({ content: '.top, .controls { position: static } section + section { margin-top: 1rem }' });
  await page.waitForTimeout(500); // pictures are decoded
  const edge = (selector, name) => page.evaluate(`document.querySelector('${selector}').getBoundingClientRect().${name}`);
  const top = (await edge('#curves', 'top')) - 8;
  const bottom = (await edge('#pictures > li:nth-child(2)', 'bottom')) + 24;
  const clip = { x: 0, y: top, width: 1280, height: bottom - top };
  const picture = await page.screenshot({ fullPage: true, clip });
  await sharp(picture).png({ palette: true, colours: 192, effort: 10 }).toFile(here('docs/report.png'));
} finally {
  await browser.close();
  rmSync(out, { recursive: true });
}
