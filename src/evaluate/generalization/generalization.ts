import { count, text } from '../../options.js';
import { labelsOf } from '../annotations/labels.js';
import { defineEvaluation, type Gathered, type Plan, type Round } from '../definition.js';
import { averageDrop, drop } from '../faithfulness/metrics/average-drop.js';
import { percent } from '../metric.js';
import { listPictures, pictureSources } from '../listed-pictures.js';
import { byImage, controlNote, numberColumn, statisticsNote, stringColumn } from '../report/estimates.js';
import type { MetricRow, Report } from '../report/report.js';
import type { Table } from '../report/columns.js';
import { type Estimate, estimateMean, rankCorrelation } from '../statistics.js';
import {
  type GeneralizationJob,
  type GeneralizationRecord,
  type GeneralizationSettings,
  measureGeneralization,
} from './labelled-picture.js';

export interface GeneralizationPlan extends Plan {
  readonly jobs: readonly GeneralizationJob[];
  readonly settings: GeneralizationSettings;
}
type GeneralizationRound = Round<GeneralizationPlan, GeneralizationRecord>;

/** The pictures, and in which set each is. */
export interface TwoSets extends Gathered {
  readonly sets: readonly ('train' | 'test')[];
}

const options = {
  train: pictureSources('--train <path>', 'training pictures: a folder, file or pattern'),
  test: pictureSources('--test <path>', 'test pictures: a folder, file or pattern'),
  labels: text({
    help: 'where the true classes are: folder, prefix or a table of picture and class',
    flag: '--labels <how>',
    default: 'folder',
  }),
  batch: count({ help: 'masked pictures in one pass', flag: '--batch <n>', default: 4, from: 1, to: 1024 }),
};

/** Average drop of several networks against their train/test gap. */
export const generalization = defineEvaluation<
  typeof options,
  TwoSets,
  GeneralizationPlan,
  GeneralizationRecord
>({
  name: 'generalization',
  description: 'Average drop of several networks beside their train/test gap.',
  asks: 'average drop of several networks beside the gap between training and test accuracy. Labelled pictures',
  metrics: [],
  example: '--model b.onnx --train train/ --test test/',
  options,
  severalNetworks: true,
  gather: async (options, takesClips) => {
    const {
      images: train,
      files,
      leftOut,
    } = await listPictures(options.train, { takesClips, name: 'train' });
    const { images: test, files: others } = await listPictures(options.test, {
      takesClips,
      name: 'test',
      leftOut,
    });
    return {
      leftOut,
      images: [...train, ...test],
      files: [
        ...files,
        ...others,
        ...(['folder', 'prefix'].includes(options.labels) ? [] : [options.labels]),
      ],
      sets: [...train.map(() => 'train' as const), ...test.map(() => 'test' as const)],
    };
  },
  plan: async ({ gathered: { images, sets }, common, subject, options: { labels: how, batch } }) => {
    const labels = await labelsOf(images, subject, how);
    const jobs = images.map((image, i) => ({ image, label: labels[i], set: sets[i] }));
    return { jobs, settings: { ...common, batch }, picturesPerJob: 0 };
  },
  measure: measureGeneralization,
  summarize: (rounds) => summarizeGeneralization(rounds, rounds[0].plan.settings),
  table: (rounds) => generalizationTable(rounds, rounds[0].plan.settings),
});

/** One network's name and records. */
export type ModelRecords = Pick<GeneralizationRound, 'network' | 'records'>;

/** Average drop of several networks against their train/test gap. The order of the records does not matter. */
export function summarizeGeneralization(
  models: readonly ModelRecords[],
  { variants, seed }: GeneralizationSettings,
): Omit<Report, 'provenance' | 'gallery'> {
  const sorted = models.map(({ records }) => ({ records: byImage(records) }));
  const of = (
    set: 'train' | 'test',
    value: (record: GeneralizationRecord) => number,
  ): (Estimate | undefined)[] =>
    sorted.map(({ records }) => {
      const own = records.filter((record) => record.set === set);
      return own.length > 0 ? estimateMean(own.map(value), { seed }) : undefined;
    });
  const correct = (record: GeneralizationRecord): number => (record.correct ? 1 : 0);
  const train = of('train', correct);
  const test = of('test', correct);
  const gaps = train.map((a, m): Estimate | undefined => gapOf(a, test[m]));
  const drops = variants.map((_, v) => of('test', (record) => drop(record.full, record.masked[v])));
  const metrics: MetricRow[] = [
    {
      key: 'trainAccuracy',
      name: 'Training accuracy',
      hint: 'top class is the true one',
      ...percent,
      values: train,
    },
    {
      key: 'testAccuracy',
      name: 'Test accuracy',
      hint: 'top class is the true one',
      better: 'higher',
      ...percent,
      values: test,
    },
    {
      key: 'gap',
      name: 'Gap',
      hint: 'training less test accuracy',
      better: 'lower',
      ...percent,
      values: gaps,
    },
    ...variants.map(
      ({ name }, v): MetricRow => ({
        key: `averageDrop(${name})`,
        name: `Average drop, ${name}`,
        hint: 'on the test pictures, top class of each',
        better: 'lower',
        ...percent,
        byChance: { text: averageDrop.byChance as string },
        values: drops[v],
      }),
    ),
  ];
  return {
    title: 'Generalisation',
    lead: leadOf(variants, gaps, drops),
    series: models.map(({ network }) => ({ name: network })),
    summaries: [
      {
        title: 'Generalisation',
        caption: `${models.length} networks on the same pictures. Below each number its 95 % interval.`,
        metrics,
      },
    ],
    notes: [
      'A network that generalises looks at the thing itself, so its explanations should keep more of its confidence (Chattopadhyay et al., arXiv 1710.11063). Average drop: E = L ⊙ I on the preprocessed tensor.',
      'The interval of the gap takes the two accuracies as independent.',
      controlNote,
      statisticsNote(seed),
    ],
  };
}

/** Training and test pictures are different ones, so the half-widths add in squares. */
function gapOf(train: Estimate | undefined, test: Estimate | undefined): Estimate | undefined {
  if (!train || !test) return undefined;
  const mean = train.mean - test.mean;
  return {
    mean,
    low: mean - Math.hypot(train.mean - train.low, test.high - test.mean),
    high: mean + Math.hypot(train.high - train.mean, test.mean - test.low),
    count: test.count,
  };
}

function leadOf(
  variants: GeneralizationSettings['variants'],
  gaps: readonly (Estimate | undefined)[],
  drops: readonly (readonly (Estimate | undefined)[])[],
): string {
  const known = gaps.flatMap((gap, m) => (gap ? [m] : []));
  if (known.length < 3)
    return `Average drop beside the train/test gap of ${gaps.length} networks. Three or more with both sets are needed before a trend can be named.`;
  const correlations = variants.map(({ name }, v) => {
    const correlation = rankCorrelation(
      known.map((m) => gaps[m]?.mean ?? NaN),
      known.map((m) => drops[v][m]?.mean ?? NaN),
    );
    return `${name} ${correlation.toFixed(2)}`;
  });
  return `Rank correlation of the train/test gap with the average drop over ${known.length} networks: ${correlations.join(', ')}.`;
}

/** One row a picture and network. */
export function generalizationTable(
  models: readonly ModelRecords[],
  { variants }: Pick<GeneralizationSettings, 'variants'>,
): Table {
  const rows = models.flatMap(({ network, records }) => records.map((record) => ({ network, ...record })));
  return [
    stringColumn('model', rows, (row) => row.network),
    stringColumn('image', rows, (row) => row.image),
    stringColumn('set', rows, (row) => row.set),
    { name: 'correct', type: 'boolean', values: rows.map((row) => row.correct) },
    numberColumn('probability', rows, (row) => row.full),
    ...variants.map(({ name }, v) =>
      numberColumn(`${name}: drop`, rows, (row) =>
        row.set === 'test' ? drop(row.full, row.masked[v]) : NaN,
      ),
    ),
  ];
}
