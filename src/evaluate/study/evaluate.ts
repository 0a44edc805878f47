import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { wholeNumber } from '../../check.js';
import { GradcamppError, show, systemReason } from '../../errors.js';
import type { ExplainerOptions } from '../../explain/options.js';
import { labelsOf } from '../annotations/labels.js';
import { expand } from '../evaluation.js';
import { openSubject } from '../open.js';
import { writeFiles } from '../report/files.js';
import { reportPage } from '../report/page.js';
import type { Variant } from '../subject.js';
import { type StudyScore, scoreStudy } from './score.js';
import { buildStudy, type StudyKey, studyDefaults } from './study.js';

export interface StudyOptions {
  readonly model: string;
  /** Files, folders or patterns. */
  readonly images: readonly string[];
  /** Where the true classes are; see `labelsOf`. Default 'folder'. */
  readonly labels?: string;
  /** The two ways to explain that are compared. */
  readonly variants: readonly Variant[];
  readonly out: string;
  readonly open?: ExplainerOptions;
  readonly classes?: number;
  readonly perClass?: number;
  readonly seed?: number;
  readonly title?: string;
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Writes a trust study: `study.html`, which is handed out, and `study.json`, the key that scoring needs and subjects
 * must not see.
 */
export async function writeStudy(options: StudyOptions): Promise<{ key: StudyKey; files: string[] }> {
  const [first, second, ...more] = options.variants;
  if (!first || !second || more.length > 0)
    throw new GradcamppError(
      'INVALID_OPTION',
      `A study compares two methods side by side; received ${options.variants.map((variant) => variant.name).join(', ') || 'none'}.`,
    );
  const settings = {
    variants: [first, second] as const,
    classes: wholeNumber('classes', options.classes ?? studyDefaults.classes, 1),
    perClass: wholeNumber('perClass', options.perClass ?? studyDefaults.perClass, 1),
    seed: wholeNumber('seed', options.seed ?? studyDefaults.seed),
    title: options.title ?? studyDefaults.title,
  };
  const images = await expand(options.images);
  const subject = await openSubject(options.model, options.open);
  try {
    const labels = await labelsOf(images, subject.classes, options.labels ?? 'folder');
    const { key, page } = await buildStudy(subject, images, labels, settings, options.onProgress);
    const files = await writeFiles(options.out, [
      ['study.html', page],
      ['study.json', `${JSON.stringify(key, null, 2)}\n`],
    ]);
    return { key, files };
  } finally {
    await subject.close();
  }
}

/** Scores files of answers; with `out` also writes `results.json` and `report.html` there. */
export async function scoreAnswers(options: {
  readonly answers: readonly string[];
  /** Default: `study.json` beside the first answers, or in the folder above. */
  readonly key?: string;
  readonly out?: string;
}): Promise<{ score: StudyScore; files: string[] }> {
  const { answers, out } = options;
  if (answers.length === 0)
    throw new GradcamppError('INVALID_OPTION', '"answers" must name at least one file of answers.');
  const given = await Promise.all(answers.map(read));
  const key = options.key ? await read(options.key) : await findKey(answers[0]);
  const score = scoreStudy(key, given);
  if (out === undefined) return { score, files: [] };
  const { report, ...results } = score;
  const { description, settings } = JSON.parse(key.text) as StudyKey;
  const provenance: [string, string][] = [
    ['study', score.study],
    ['seed', String(settings.seed)],
    ['subjects', score.subjects.join(', ')],
    ...description.map(([name, value]): [string, string] => [name, value]),
  ];
  const files = await writeFiles(out, [
    ['results.json', `${JSON.stringify(results, null, 2)}\n`],
    ['report.html', await reportPage({ ...report, provenance })],
  ]);
  return { score, files };
}

async function findKey(answers: string) {
  const folder = dirname(answers);
  const places = [join(folder, 'study.json'), join(folder, '..', 'study.json')];
  for (const place of places) {
    const found = await read(place).catch(() => undefined);
    if (found) return found;
  }
  throw new GradcamppError(
    'INVALID_OPTION',
    `Scoring needs the key of the study, study.json; there is none at ${places.map(show).join(' or ')}. Name it with "key".`,
  );
}

async function read(path: string): Promise<{ name: string; text: string }> {
  try {
    return { name: basename(path), text: await readFile(path, 'utf8') };
  } catch (cause) {
    throw new GradcamppError('INVALID_OPTION', `${show(path)} cannot be read: ${systemReason(cause)}.`, {
      cause,
    });
  }
}
