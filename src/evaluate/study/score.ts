import * as v from 'valibot';
import { GradcamppError, messageOf, show } from '../../errors.js';
import type { MetricRow, Report } from '../report/report.js';
import { estimateMean, krippendorffAlpha, mean, pairedPermutationTest } from '../statistics.js';
import { checksumOf } from './checksum.js';
import type { StudyKey } from './study.js';

const keySchema = v.looseObject({
  format: v.literal('gradcampp-study-key/1'),
  study: v.string(),
  checksum: v.string(),
});
const answersSchema = v.object({
  format: v.literal('gradcampp-study-answers/1'),
  study: v.string(),
  subject: v.string(),
  answers: v.array(
    v.object({
      item: v.string(),
      first: v.picklist(['a', 'b']),
      choice: v.picklist(['a', 'b', 'same']),
      seconds: v.number(),
    }),
  ),
  checksum: v.string(),
});
type Answers = v.InferOutput<typeof answersSchema>;

/** A file's name and text. */
export interface StudyFile {
  readonly name: string;
  readonly text: string;
}

/** The paper's scores of a study. */
export interface StudyScore {
  readonly study: string;
  readonly subjects: readonly string[];
  readonly pictures: number;
  readonly answers: number;
  /** Sum over the pictures of the share of subjects that chose the method, or neither: out of `pictures`. */
  readonly overall: ScoreRow;
  readonly classes: readonly ScoreRow[];
  /** Krippendorff's α over first method, second method, same; null where it is undefined. */
  readonly alpha: number | null;
  /** Paired permutation test over pictures: the shares of the two methods are equal. */
  readonly p: number | null;
  /** Answers that chose the map shown first, of those that chose one: far from one half means a habit of the hand. */
  readonly firstShare: number | null;
  readonly report: Omit<Report, 'provenance'>;
}

export interface ScoreRow {
  readonly class?: string;
  readonly pictures: number;
  readonly scores: Readonly<Record<string, number>>;
}

/**
 * Scores the answers of all subjects against the key. Files of another study, edited files, a subject twice and
 * answers to unknown pictures are refused. Pictures that a subject left out do not count for that subject; pictures
 * that nobody answered do not count at all.
 *
 * @throws GradcamppError INVALID_OPTION naming the file
 */
export function scoreStudy(keyFile: StudyFile, answerFiles: readonly StudyFile[], seed = 1): StudyScore {
  const key = readKey(keyFile);
  const files = answerFiles.map((file) => readAnswers(file, key));
  const subjects = files.map((file) => file.subject);
  subjects.forEach((subject, i) => {
    const other = subjects.indexOf(subject);
    if (other < i)
      throw refused(
        answerFiles[i].name,
        `is by subject ${show(subject)}, as is ${show(answerFiles[other].name)}; each counts once`,
      );
  });
  const options = [...key.methods, 'same'];
  const votes = key.items.map((item) =>
    files.flatMap(({ answers }) => {
      const answer = answers.find((given) => given.item === item.id);
      if (!answer) return [];
      return [answer.choice === 'same' ? 'same' : item[answer.choice]];
    }),
  );
  const answered = key.items.flatMap((item, i) => (votes[i].length > 0 ? [{ item, votes: votes[i] }] : []));
  const shares = answered.map(({ votes }) =>
    options.map((option) => votes.filter((vote) => vote === option).length / votes.length),
  );
  const row = (indexes: readonly number[], name?: string): ScoreRow => ({
    ...(name === undefined ? {} : { class: name }),
    pictures: indexes.length,
    scores: Object.fromEntries(
      options.map((option, o) => [option, indexes.reduce((sum, i) => sum + shares[i][o], 0)]),
    ),
  });
  const all = answered.map((_, i) => i);
  const classes = [...new Set(answered.map(({ item }) => item.class))].map((name) =>
    row(
      all.filter((i) => answered[i].item.class === name),
      name,
    ),
  );
  const chosen = files.flatMap(({ answers }) => answers).filter((answer) => answer.choice !== 'same');
  const finite = (value: number): number | null => (Number.isFinite(value) ? value : null);
  const score = {
    study: key.study,
    subjects,
    pictures: answered.length,
    answers: votes.flat().length,
    overall: row(all),
    classes,
    alpha: finite(krippendorffAlpha(votes)),
    p: finite(
      pairedPermutationTest(
        shares.map((share) => share[0]),
        shares.map((share) => share[1]),
        seed,
      ),
    ),
    firstShare: finite(mean(chosen.map((answer) => (answer.choice === answer.first ? 1 : 0)))),
  };
  return { ...score, report: reportOf(key, score, options, shares, seed) };
}

function readKey(file: StudyFile): StudyKey {
  const json = parse(file);
  if (!v.is(keySchema, json)) throw refused(file.name, 'is not the key of a study (study.json)');
  const { checksum, ...rest } = json;
  if (checksumOf(rest) !== checksum) throw refused(file.name, 'was edited: its checksum does not match');
  return json as unknown as StudyKey;
}

function readAnswers(file: StudyFile, key: StudyKey): Answers {
  const json = parse(file);
  if (!v.is(answersSchema, json)) throw refused(file.name, 'is not a file of answers');
  const { checksum, ...rest } = json;
  if (checksumOf(rest) !== checksum) throw refused(file.name, 'was edited: its checksum does not match');
  if (json.study !== key.study)
    throw refused(
      file.name,
      `belongs to another study (${json.study.slice(0, 12)}, not ${key.study.slice(0, 12)})`,
    );
  const known = new Set(key.items.map((item) => item.id));
  const seen = new Set<string>();
  for (const { item } of json.answers) {
    if (!known.has(item))
      throw refused(file.name, `answers picture ${show(item)}, which the study does not have`);
    if (seen.has(item)) throw refused(file.name, `answers picture ${show(item)} twice`);
    seen.add(item);
  }
  return json;
}

function parse({ name, text }: StudyFile): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw refused(name, `is not JSON (${messageOf(error)})`);
  }
}

function refused(name: string, why: string): GradcamppError {
  return new GradcamppError('INVALID_OPTION', `${show(name)} ${why}.`);
}

function reportOf(
  key: StudyKey,
  score: Omit<StudyScore, 'report'>,
  options: readonly string[],
  shares: readonly (readonly number[])[],
  seed: number,
): Omit<Report, 'provenance'> {
  const columns = options.map((_, o) => shares.map((share) => share[o]));
  const metrics: MetricRow[] = [
    {
      key: 'score',
      name: 'Score',
      hint: `sum of the shares of subjects, out of ${score.pictures} pictures`,
      better: 'higher',
      scale: score.pictures,
      unit: '',
      digits: 2,
      values: columns.map((column) => estimateMean(column, { seed })),
    },
    {
      key: 'share',
      name: 'Mean share of subjects',
      hint: 'the score divided by the number of pictures',
      scale: 100,
      unit: '%',
      digits: 1,
      values: columns.map((column) => estimateMean(column, { seed })),
    },
  ];
  const number = (value: number | null, digits: number): string =>
    value === null ? '–' : value.toFixed(digits);
  const [a, b] = key.methods;
  return {
    title: key.title,
    lead: `${score.subjects.length} ${score.subjects.length === 1 ? 'subject' : 'subjects'}, ${score.answers} answers on ${score.pictures} pictures: ${a} ${score.overall.scores[a].toFixed(2)}, ${b} ${score.overall.scores[b].toFixed(2)}, the same ${score.overall.scores.same.toFixed(2)}.`,
    series: options.map((name) => ({ name, control: name === 'same' })),
    summaries: [
      {
        title: 'Scores',
        caption: `Agreement between subjects: Krippendorff's α = ${number(score.alpha, 3)}. Paired permutation test of ${a} against ${b} over pictures: p = ${number(score.p, 4)}. The map on the left was chosen in ${number(score.firstShare === null ? null : score.firstShare * 100, 1)} % of the choices.`,
        metrics,
      },
    ],
    breakdowns: [
      {
        title: 'Scores by class',
        caption: 'Out of the number of pictures of the class.',
        scale: 1,
        unit: '',
        digits: 2,
        rows: score.classes.map((row) => ({
          class: row.class ?? '',
          count: row.pictures,
          values: options.map((option) => row.scores[option]),
        })),
      },
    ],
    notes: [
      'Score of a method (Chattopadhyay et al., arXiv 1710.11063): for each picture the share of subjects that chose it, summed over the pictures.',
      `Classes: ${key.classes.map(({ name, f1, pictures }) => `${name} (F1 ${f1.toFixed(3)}, ${pictures} pictures)`).join(', ')}: the ones with the highest F1 of the network.`,
      'Left and right, and the order of the pictures, were drawn for each subject.',
      `Intervals: 95 %, bias-corrected and accelerated bootstrap over pictures, seed ${seed}.`,
    ],
  };
}
