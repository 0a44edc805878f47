import { basename, dirname, join } from 'node:path';
import { missing } from '../../check.js';
import { GradcamppError, show } from '../../errors.js';
import { readText, whyUnreadable } from '../../files.js';
import { onlyOneOf, readOptions } from '../../options.js';
import { labelsOf } from '../annotations/labels.js';
import { openSubject } from '../open.js';
import { listPictures } from '../listed-pictures.js';
import { writeFiles } from '../report/report-files.js';
import { reportPage } from '../report/page.js';
import type { Failure } from '../report/report.js';
import { sameMapRemarks, seeded, variantsOfMethods } from '../variants.js';
import { type StudyScore, scoreStudy } from './score.js';
import { buildStudy, type StudyKey } from './study.js';
import { type StudyOptions, studyOptions } from './study-options.js';

/**
 * Writes a trust study: `study.html`, which is handed out, and `study.json`, the key that scoring needs and subjects
 * must not see.
 */
export async function writeStudy(
  options: StudyOptions,
): Promise<{ key: StudyKey; files: string[]; failures: readonly Failure[]; remarks: readonly string[] }> {
  onlyOneOf(options, ['method', 'variants']);
  const {
    model,
    images: sources,
    labels: how,
    method,
    open,
    out,
    overwrite,
    onProgress,
    ...own
  } = readOptions('a study', studyOptions, options);
  if (model === undefined) throw missing('model', 'the path of an ONNX model', '--model <file>');
  const [first, second, ...more] = seeded(own.variants ?? variantsOfMethods(method), own.seed);
  if (!first || !second || more.length > 0)
    throw new GradcamppError(
      'INVALID_OPTION',
      `A study compares two methods side by side; received ${[first, second, ...more].flatMap((variant) => variant?.name ?? []).join(', ') || 'none'}.`,
    );
  const { images, leftOut } = await listPictures(sources);
  const subject = await openSubject(model, open);
  try {
    const labels = await labelsOf(images, subject, how);
    const settings = { ...own, variants: [first, second] as const };
    const { key, page, failures } = await buildStudy(subject, images, labels, settings, onProgress);
    const files = await writeFiles(
      out,
      [
        ['study.html', page],
        ['study.json', `${JSON.stringify(key, null, 2)}\n`],
      ],
      { overwrite },
    );
    return {
      key,
      files,
      failures,
      remarks: [...leftOut.remarks, ...sameMapRemarks(subject, settings.variants)],
    };
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
  /** Replace `results.json` and `report.html` that are there. */
  readonly overwrite?: boolean;
}): Promise<{ score: StudyScore; files: string[] }> {
  const { answers, out, overwrite } = options;
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
  const files = await writeFiles(
    out,
    [
      ['results.json', `${JSON.stringify(results, null, 2)}\n`],
      ['report.html', await reportPage({ ...report, provenance })],
    ],
    { overwrite },
  );
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
    return { name: basename(path), text: await readText(path) };
  } catch (cause) {
    throw new GradcamppError('INVALID_OPTION', `${show(path)} cannot be read: ${whyUnreadable(cause)}.`, {
      cause,
    });
  }
}
