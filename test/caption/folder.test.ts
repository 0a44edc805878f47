import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { captionFolder, type AnyCaptionLine } from '../../src/caption/caption-folder.js';
import type { CaptionLine } from '../../src/caption/caption-files.js';
import { decodeImage } from '../../src/image/decode.js';
import { encodePng } from '../../src/image/encode.js';
import { encodeNpy, readNpy } from '../../src/image/npy.js';
import { values } from '../support/network.js';
import {
  browserNote,
  hasBrowser,
  openBrowser,
  openPage,
  overflow,
  seriousIssues,
} from '../evaluate/browser.js';
import { encoder, stepDecoder, vocabulary } from './captioner.js';

let folder: string;
const at = (...names: string[]) => join(folder, ...names);
const open = () => ({
  encoder: at('encoder_model.onnx'),
  decoder: at('decoder_model.onnx'),
  tokenizer: at('words.json'),
  threads: 1,
  backend: 'reference' as const,
});
const linesOf = (out: string): AnyCaptionLine[] =>
  readFileSync(join(out, 'results.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
const explain = { text: 'a red cup', method: ['grad-cam++', 'grad-cam'] as const };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gradcampp-captions-'));
  await mkdir(at('pictures'));
  await writeFile(at('encoder_model.onnx'), encoder());
  await writeFile(at('decoder_model.onnx'), stepDecoder());
  await writeFile(at('words.json'), JSON.stringify(vocabulary));
  const noise = (seed: number) => Uint8Array.from(values(seed, [24, 32, 3]), (value) => 127.5 * (value + 1));
  const png = (seed: number) => encodePng({ data: noise(seed), width: 32, height: 24, channels: 3 });
  await writeFile(at('pictures', 'one.png'), png(1));
  await writeFile(at('pictures', 'two <b>.png'), png(2));
  await writeFile(at('pictures', 'three.png'), png(3).subarray(0, 200));
  await writeFile(
    at('tensors.npy'),
    encodeNpy({ type: 'float32', dims: [2, 3, 16, 16], data: values(4, [2, 3, 16, 16]) }),
  );
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const images = () => [at('pictures'), at('tensors.npy')];

test('a folder of captions: a line for each picture and method, with every token', async () => {
  const out = at('out');
  const seen: AnyCaptionLine[][] = [];
  const summary = await captionFolder(
    { images: images(), open: open(), explain, out },
    { picture: (lines) => seen.push([...lines]) },
  );
  expect(summary).toMatchObject({ images: 4, explained: 3, failed: 1, stopped: false });
  const lines = linesOf(out);
  expect(seen.flat().map((line) => JSON.parse(JSON.stringify(line)))).toEqual(lines);
  const failed = lines.filter((line) => 'error' in line);
  expect(failed).toHaveLength(1);
  expect(failed[0]).toMatchObject({ image: { path: at('pictures', 'three.png') } });
  const captions = lines.filter((line): line is CaptionLine => 'caption' in line);
  expect(captions.map(({ image, method }) => [image.path?.replace(/.*[\\/]/, ''), method])).toEqual([
    ['one.png', 'grad-cam++'],
    ['one.png', 'grad-cam'],
    ['two <b>.png', 'grad-cam++'],
    ['two <b>.png', 'grad-cam'],
    ['tensors.npy#0', 'grad-cam++'],
    ['tensors.npy#0', 'grad-cam'],
    ['tensors.npy#1', 'grad-cam++'],
    ['tensors.npy#1', 'grad-cam'],
  ]);
  for (const { caption, tokens, dims, files, geometry, image } of captions) {
    expect(caption).toMatchObject({ text: 'a red cup', isGiven: true });
    expect(tokens.map(({ token }) => token)).toEqual(['a', 'red', 'cup']);
    const sum = tokens.reduce((total, { logProbability }) => total + logProbability, 0);
    expect(caption.logProbability).toBeCloseTo(sum, 4);
    expect(dims).toEqual([16, 16]);
    const maps = await readNpy(join(out, files.npy as string));
    expect(maps.dims).toEqual([4, 16, 16]);
    const strip = await decodeImage(join(out, files.strip as string));
    const cells = image.width === undefined ? 4 : 5; // the picture, where there is one, then caption and tokens
    expect((strip.width + 4) % cells).toBe(0);
    expect(geometry === undefined).toBe(image.width === undefined);
    for (const own of [caption, ...tokens])
      for (const name of Object.values(own.files)) expect(existsSync(join(out, name))).toBe(true);
  }
  const [first, second] = captions;
  expect(first.tokens[0].files.attention).toBe('one.grad-cam++.0.attention.jpg');
  expect(second.tokens[0].files.attention).toBeUndefined(); // it is the decoder's, whatever the method
});

test('a run that was stopped goes on, and comes to the same', async () => {
  const [whole, parts] = [at('out'), at('parts')];
  const run = (more: object, listener = {}) =>
    captionFolder({ images: images(), open: open(), explain, out: parts, ...more }, listener);
  const stop = new AbortController();
  const first = await run({ signal: stop.signal }, { picture: () => stop.abort() });
  expect(first).toMatchObject({ explained: 1, stopped: true });
  expect(existsSync(join(parts, 'index.html'))).toBe(false);
  await expect(run({})).rejects.toThrow(/resume|overwrite/);
  await expect(run({ resume: true, explain: { ...explain, text: 'a cup' } })).rejects.toThrow(/settings/);
  const second = await run({ resume: true });
  expect(second).toMatchObject({ images: 4, before: 1, explained: 3, failed: 1, stopped: false });
  expect(readdirSync(parts).sort()).toEqual(readdirSync(whole).sort());
  for (const name of readdirSync(whole).filter((own) => !own.startsWith('.')))
    expect(readFileSync(join(parts, name)).equals(readFileSync(join(whole, name)))).toBe(true);
  const third = await run({ resume: true });
  expect(third).toMatchObject({ before: 4, explained: 3, failed: 1 });
  rmSync(join(parts, 'one.grad-cam.1.overlay.jpg'));
  await expect(run({ resume: true })).rejects.toThrow(/"one.grad-cam.1.overlay.jpg" is missing/);
  writeFileSync(join(parts, 'mine.1.overlay.jpg'), 'mine');
  const replaced = await run({ overwrite: true, explain: { ...explain, text: 'a cup' } });
  expect(replaced).toMatchObject({ before: 0, explained: 3, failed: 1 });
  const left = readdirSync(parts).filter((name) => name.includes('.2.overlay')); // of the third word
  expect(left).toEqual([]);
  expect(readFileSync(join(parts, 'mine.1.overlay.jpg'), 'utf8')).toBe('mine');
});

test('what is wrong with the options is said before any picture', async () => {
  const run = (more: object) => captionFolder({ images: images(), open: open(), out: at('none'), ...more });
  await expect(run({ images: [] })).rejects.toThrow(/No pictures were named/);
  await expect(run({ open: { ...open(), decoder: undefined } })).rejects.toThrow(
    /"decoder" \(--decoder\) is missing/,
  );
  await expect(run({ outputs: { save: ['sheet'] } })).rejects.toThrow(
    /one of overlay, strip, npy, attention/,
  );
  await expect(run({ explain: { method: 'grad-cm' } })).rejects.toThrow(/grad-cam/);
  await expect(run({ resume: true, overwrite: true })).rejects.toThrow(/give one of the two/);
  await expect(run({ explain: { text: 'a zebra' } })).rejects.toThrow(/"text" must be of words.*"zebra"/);
  await expect(run({ explain: { ids: [0, 999] } })).rejects.toThrow(
    /"ids" must be ids below 7, .*; received 999/,
  );
  expect(existsSync(at('none'))).toBe(false);
});

describe.skipIf(!hasBrowser)(`the page of captions${browserNote}`, () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await openBrowser();
  });
  afterAll(() => browser?.close());

  test('shows the map of the word that has the focus or is pointed at, by keyboard alone, too', async () => {
    const { page, requests, errors } = await openPage(browser, join(at('out'), 'index.html'));
    const card = page.locator('.picture').first();
    const shown = () => card.locator('.map img').getAttribute('src');
    expect(await page.locator('.picture').count()).toBe(9);
    expect(await page.locator('.failed').count()).toBe(1);
    expect(await card.locator('.attention').isVisible()).toBe(false);
    const whole = await shown();
    await page.locator('#filter').focus();
    await page.keyboard.press('Tab'); // the colours
    await page.keyboard.press('Tab'); // the first caption
    await page.keyboard.press('ArrowRight');
    const first = await shown();
    await page.keyboard.press('ArrowRight');
    const second = await shown();
    expect(new Set([whole, first, second]).size).toBe(3);
    expect(await card.locator('.word[aria-pressed="true"] .text').textContent()).toBe('red');
    expect(await card.locator('.map figcaption').textContent()).toBe('“red”');
    expect(await card.locator('.attention').isVisible()).toBe(true);
    await page.keyboard.press('End');
    expect(await card.locator('.word[aria-pressed="true"] .text').textContent()).toBe('cup');
    await page.keyboard.press('Home');
    expect(await shown()).toBe(whole);
    await card.locator('.word').nth(1).hover();
    expect(await shown()).toBe(first);
    await page.keyboard.press('Tab'); // out of the words at once: one of them is a stop
    expect(await page.evaluate('document.activeElement.textContent')).toBe('all words as a strip');
    await page.locator('#filter').fill('tensors');
    expect(await page.locator('.picture:visible').count()).toBe(4);
    expect(requests.filter((url) => !url.startsWith('file:'))).toEqual([]);
    expect(errors).toEqual([]);
  });

  test.each([
    [1280, 'light'],
    [390, 'dark'],
  ] as const)('is accessible and fits at %i pixels, %s', async (width, colorScheme) => {
    const { page } = await openPage(browser, join(at('out'), 'index.html'), { width, colorScheme });
    await page.locator('.word').nth(2).focus();
    expect(await seriousIssues(page)).toEqual([]);
    expect(await overflow(page)).toBe(0);
  });
});
