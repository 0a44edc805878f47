import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checksumOf } from '../../../src/evaluate/study/checksum.js';
import { scoreStudy } from '../../../src/evaluate/study/score.js';
import { buildStudy, type Study, type StudySettings } from '../../../src/evaluate/study/study.js';
import { browserNote, hasBrowser, openBrowser, openPage, overflow, seriousIssues } from '../browser.js';
import { fakeSubject, left, right } from '../fake.js';

// 12 pictures that are "left", 8 that are "right"; the network takes two of the latter for the former.
const pictures: Record<string, readonly number[]> = {};
for (let i = 0; i < 12; i++) pictures[`left/${i}`] = left.map((value) => value * 0.9);
for (let i = 0; i < 8; i++) pictures[`right/${i}`] = right.map((value) => (i < 2 ? 0.8 : value));
const names = Object.keys(pictures);
const settings: StudySettings = {
  variants: [
    { name: 'grad-cam++', method: 'grad-cam++' },
    { name: 'grad-cam', method: 'grad-cam' },
  ],
  classes: 2,
  perClass: 5,
  seed: 1,
  title: 'Which map do you trust?',
};
const build = (over: Partial<StudySettings> = {}, list = names) =>
  buildStudy(
    fakeSubject({ pictures }),
    list,
    list.map((name) => (name.startsWith('left') ? 0 : 1)),
    { ...settings, ...over },
  );

let study: Study;
let folder: string;
let browser: Browser;
beforeAll(async () => {
  study = await build();
  folder = await mkdtemp(join(tmpdir(), 'study-'));
  await writeFile(join(folder, 'study.html'), study.page);
  if (hasBrowser) browser = await openBrowser();
});
afterAll(async () => {
  await browser?.close();
  await rm(folder, { recursive: true, force: true });
});

const keyFile = () => ({ name: 'study.json', text: JSON.stringify(study.key) });

/** Answers as the page writes them; `choose` gives a method or "same" for each picture. */
function answersOf(subject: string, choose: (i: number) => string, count = 10) {
  const answers = study.key.items.slice(0, count).map((item, i) => {
    const wanted = choose(i);
    const choice = wanted === 'same' ? 'same' : item.a === wanted ? 'a' : 'b';
    return { item: item.id, first: i % 2 ? 'a' : 'b', choice, seconds: 1.5 };
  });
  const unsigned = { format: 'gradcampp-study-answers/1', study: study.key.study, subject, answers };
  return { ...unsigned, checksum: checksumOf(unsigned) };
}
const fileOf = (answers: object, name = 'answers.json') => ({ name, text: JSON.stringify(answers) });

describe('building a study', () => {
  it('draws pictures of the classes with the highest F1', () => {
    // By hand: left 2·12 / (12 + 14), right 2·6 / (8 + 6).
    expect(study.key.classes).toEqual([
      { name: 'left', f1: expect.closeTo(24 / 26, 12), pictures: 5 },
      { name: 'right', f1: expect.closeTo(12 / 14, 12), pictures: 5 },
    ]);
    const images = study.key.items.map((item) => item.image);
    expect(new Set(images).size).toBe(10);
    expect(images.filter((image) => image.startsWith('left')).length).toBe(5);
  });

  it('is a function of the seed and the set of pictures', async () => {
    expect(await build()).toEqual(study);
    expect((await build({}, [...names].reverse())).key.items).toEqual(study.key.items);
    expect((await build({ seed: 2 })).key.study).not.toBe(study.key.study);
  });

  it('hides which map is whose, on both sides equally often up to chance', () => {
    expect(study.page).not.toMatch(/grad-cam/);
    const sides = study.key.items.map((item) => item.a);
    expect(new Set(sides).size).toBe(2);
  });

  it('says when there are too few pictures', async () => {
    await expect(build({ perClass: 9 })).rejects.toThrow(
      'A study of 2 classes with 9 pictures each needs that many; the data has 1 of 2 classes with 9 pictures.',
    );
  });
});

describe('scoring', () => {
  it("gives the paper's score: shares of subjects, summed over the pictures", () => {
    // Ann always takes grad-cam++, Ben on the first six, Cy sees no difference on the last two.
    const files = [
      fileOf(answersOf('Ann', () => 'grad-cam++')),
      fileOf(answersOf('Ben', (i) => (i < 6 ? 'grad-cam++' : 'grad-cam'))),
      fileOf(answersOf('Cy', (i) => (i < 8 ? 'grad-cam' : 'same'))),
    ];
    const score = scoreStudy(keyFile(), files);
    expect(score).toMatchObject({ subjects: ['Ann', 'Ben', 'Cy'], pictures: 10, answers: 30 });
    const close = (scores: Record<string, number>) =>
      Object.fromEntries(Object.entries(scores).map(([name, value]) => [name, expect.closeTo(value, 12)]));
    // Pictures 1–6: 2/3 and 1/3; 7–8: 1/3 and 2/3; 9–10: 1/3, 1/3 and 1/3 the same.
    expect(score.overall.scores).toEqual(close({ 'grad-cam++': 16 / 3, 'grad-cam': 4, same: 2 / 3 }));
    expect(score.classes.map((row) => row.pictures)).toEqual([5, 5]);
    expect(score.classes[0].scores).toEqual(close({ 'grad-cam++': 10 / 3, 'grad-cam': 5 / 3, same: 0 }));
    // Every unit has one pair of unlike values at least: 8 units 2 against 1, 2 units all different.
    // D_o = (8·4 + 2·6) / 2 = 22, Σ n_c² = 16² + 12² + 2², α = 1 − 29·22 / (900 − 404).
    expect(score.alpha).toBeCloseTo(1 - (29 * 22) / 496, 12);
    expect(score.report.lead).toContain('grad-cam++ 5.33, grad-cam 4.00, the same 0.67');
  });

  it('counts unfinished answers for the pictures they have', () => {
    const files = [
      fileOf(answersOf('Ann', () => 'grad-cam++', 4)),
      fileOf(answersOf('Ben', () => 'grad-cam', 2)),
    ];
    const { overall, pictures } = scoreStudy(keyFile(), files);
    expect(pictures).toBe(4);
    expect(overall.scores).toEqual({ 'grad-cam++': 3, 'grad-cam': 1, same: 0 });
  });

  it('measures whether the left map is favoured', () => {
    expect(scoreStudy(keyFile(), [fileOf(answersOf('Ann', () => 'same'))]).firstShare).toBeNull();
    const answers = answersOf('Ann', () => 'grad-cam++').answers.map((answer) => ({
      ...answer,
      first: answer.choice,
    }));
    const unsigned = { ...answersOf('Ann', () => 'same'), answers };
    const { checksum: _, ...rest } = unsigned;
    expect(scoreStudy(keyFile(), [fileOf({ ...rest, checksum: checksumOf(rest) })]).firstShare).toBe(1);
  });

  it.each<[string, () => object, string]>([
    ['an edited answer', () => edited((file) => (file.answers[3].choice = 'same')), 'was edited'],
    ['an edited name', () => edited((file) => (file.subject = 'Zoe')), 'was edited'],
    [
      'another study',
      () => signed((file) => (file.study = 'f'.repeat(64))),
      'belongs to another study (ffffffffffff',
    ],
    [
      'an unknown picture',
      () => signed((file) => (file.answers[0].item = '77')),
      'answers picture "77", which',
    ],
    [
      'a picture twice',
      () => signed((file) => (file.answers[1].item = file.answers[0].item)),
      'answers picture "1" twice',
    ],
    ['something else', () => ({ format: 'other' }), 'is not a file of answers'],
  ])('refuses %s', (_, file, message) => {
    const score = () =>
      scoreStudy(keyFile(), [fileOf(answersOf('Ben', () => 'same')), fileOf(file(), 'ann.json')]);
    expect(score).toThrow(`"ann.json" ${message}`);
  });

  it('refuses a subject twice, broken files and a changed key', () => {
    const ann = answersOf('Ann', () => 'same');
    expect(() => scoreStudy(keyFile(), [fileOf(ann, 'a.json'), fileOf(ann, 'b.json')])).toThrow(
      '"b.json" is by subject "Ann", as is "a.json"',
    );
    expect(() => scoreStudy(keyFile(), [{ name: 'a.json', text: '{' }])).toThrow('"a.json" is not JSON');
    const items = study.key.items.map((item) => ({ ...item, a: item.b, b: item.a }));
    expect(() => scoreStudy(fileOf({ ...study.key, items }, 'study.json'), [])).toThrow(
      '"study.json" was edited',
    );
    expect(() => scoreStudy(fileOf(ann, 'a.json'), [])).toThrow('"a.json" is not the key of a study');
  });
});

type Answers = ReturnType<typeof answersOf>;

function edited(change: (file: Answers) => void): object {
  const file = answersOf('Ann', () => 'grad-cam');
  change(file);
  return file;
}

/** Changed, and signed again as the page would. */
function signed(change: (file: Answers) => void): object {
  const { checksum: _, ...rest } = edited(change) as Answers;
  return { ...rest, checksum: checksumOf(rest) };
}

describe.skipIf(!hasBrowser)(`the page${browserNote}`, () => {
  const open = (options = {}) => openPage(browser, join(folder, 'study.html'), options);
  const start = async (page: Page, subject: string) => {
    await page.fill('#subject', subject);
    await page.keyboard.press('Enter');
  };
  const saved = async (page: Page) => {
    const [download] = await Promise.all([page.waitForEvent('download'), page.click('#save')]);
    const text = await readFile(await download.path(), 'utf8');
    return { name: download.suggestedFilename(), text };
  };

  it('is answered by keyboard alone, and the file is scored', async () => {
    const { page, requests, errors } = await open();
    await page.keyboard.press('Tab');
    await page.keyboard.type('Ann B.');
    await page.keyboard.press('Enter');
    for (let i = 0; i < 10; i++) {
      expect(await page.locator('#progress').textContent()).toBe(`Picture ${i + 1} of 10`);
      await page.keyboard.press(i < 7 ? '1' : i < 9 ? '2' : '0');
    }
    expect(await page.locator('#thanks').isVisible()).toBe(true);
    const file = await saved(page);
    expect(file.name).toBe('answers-Ann_B_.json');
    const { answers } = JSON.parse(file.text);
    const score = scoreStudy(keyFile(), [file]);
    expect(score).toMatchObject({ subjects: ['Ann B.'], pictures: 10, answers: 10 });
    expect(score.firstShare).toBeCloseTo(7 / 9, 12);
    expect(score.overall.scores.same).toBe(1);
    // By hand from the answers and the key.
    const plus = answers.filter(({ item, choice }: { item: string; choice: 'a' | 'b' | 'same' }) => {
      const entry = study.key.items.find(({ id }) => id === item);
      return choice !== 'same' && entry?.[choice] === 'grad-cam++';
    });
    expect(score.overall.scores['grad-cam++']).toBe(plus.length);
    expect(await page.inputValue('#text')).toBe(file.text);
    expect(requests).toEqual([]);
    expect(errors).toEqual([]);
    await page.context().close();
  });

  it('draws order and sides for each subject, the same for the same one', async () => {
    const planOf = async (subject: string) => {
      const { page } = await open();
      await start(page, subject);
      for (let i = 0; i < 10; i++) await page.keyboard.press('0');
      const { answers } = JSON.parse(await page.inputValue('#text'));
      await page.context().close();
      return answers.map(({ item, first }: { item: string; first: string }) => `${item}${first}`);
    };
    const ann = await planOf('Ann');
    expect(await planOf('Ann')).toEqual(ann);
    const ben = await planOf('Ben');
    expect(ben).not.toEqual(ann);
    expect(new Set(ben.map((entry: string) => entry.slice(0, -1))).size).toBe(10);
  });

  it('keeps progress, goes back and lets an answer be changed, by mouse and touch too', async () => {
    const { page } = await open();
    await start(page, 'Cy');
    await page.click('#first');
    await page.click('#second');
    await page.click('#same');
    await page.keyboard.press('ArrowLeft');
    expect(await page.locator('#progress').textContent()).toBe('Picture 3 of 10');
    expect(await page.locator('#same').getAttribute('aria-pressed')).toBe('true');
    await page.reload();
    await page.locator('#stored', { hasText: '3 of 10 pictures are answered already' }).waitFor();
    await page.click('button[type=submit]');
    expect(await page.locator('#progress').textContent()).toBe('Picture 4 of 10');
    await page.click('#back');
    await page.click('#first');
    for (let i = 3; i < 10; i++) await page.keyboard.press('2');
    const { answers, subject } = JSON.parse(await page.inputValue('#text'));
    expect(subject).toBe('Cy');
    expect(answers[2].choice).toBe(answers[2].first);
    await page.context().close();
  });

  it('shows two different maps over the picture, unlabelled', async () => {
    const { page } = await open();
    await start(page, 'Di');
    const shots = await Promise.all(
      ['#picture', '#first', '#second'].map((id) => page.locator(id).screenshot()),
    );
    expect(shots[0].equals(shots[1]) || shots[1].equals(shots[2])).toBe(false);
    expect(await page.locator('main').innerText()).not.toMatch(/grad-cam/i);
    // What the maps show in words: the true halves are left and right.
    const words = await page.locator('#first-text, #second-text').allTextContents();
    expect(words.map((text) => text.includes('left')).sort()).toEqual([false, true]);
    expect(words.every((text) => text.endsWith('marks 50 percent of the picture.'))).toBe(true);
    await page.context().close();
  });

  it('has no serious accessibility issue on any of its screens, and fits a phone', async () => {
    for (const options of [{ width: 1280 }, { width: 390, colorScheme: 'dark' as const }]) {
      const { page } = await open(options);
      expect(await seriousIssues(page)).toEqual([]);
      await start(page, 'Ed');
      expect(await seriousIssues(page)).toEqual([]);
      expect(await overflow(page)).toBe(0);
      expect(await page.evaluate('document.activeElement.id')).toBe('question');
      for (let i = 0; i < 10; i++) await page.keyboard.press('1');
      expect(await seriousIssues(page)).toEqual([]);
      expect(await page.evaluate('document.activeElement.id')).toBe('thanks');
      await page.context().close();
    }
  });
});
