import { drop } from '../metrics/confidence.js';
import { rankCorrelation } from '../metrics/similarity.js';
import { byImage, controlNote, numberColumn, percent, statisticsNote } from '../report/estimates.js';
import type { Metric, Report } from '../report/report.js';
import type { Column, Table } from '../report/table.js';
import { type Estimate, estimateMean } from '../statistics.js';
import type { GeneralizationRecord, GeneralizationSettings } from './measure.js';

/** One network's name and records. */
export interface ModelRecords {
  readonly model: string;
  readonly records: readonly GeneralizationRecord[];
}

/** Average drop of several networks against their train/test gap. The order of the records does not matter. */
export function summarizeGeneralization(
  models: readonly ModelRecords[],
  { variants, seed }: GeneralizationSettings,
): Omit<Report, 'provenance' | 'gallery'> {
  const sorted = models.map(({ model, records }) => ({ model, records: byImage(records) }));
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
  const metrics: Metric[] = [
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
      ({ name }, v): Metric => ({
        key: `averageDrop(${name})`,
        name: `Average drop, ${name}`,
        hint: 'on the test pictures, top class of each',
        better: 'lower',
        ...percent,
        values: drops[v],
      }),
    ),
  ];
  return {
    title: 'Generalisation',
    lead: leadOf(variants, gaps, drops),
    series: models.map(({ model }) => ({ name: model })),
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
  { variants }: GeneralizationSettings,
): Table {
  const rows = models.flatMap(({ model, records }) => records.map((record) => ({ model, ...record })));
  return [
    { name: 'model', type: 'string', values: rows.map((row) => row.model) },
    { name: 'image', type: 'string', values: rows.map((row) => row.image) },
    { name: 'set', type: 'string', values: rows.map((row) => row.set) },
    { name: 'correct', type: 'boolean', values: rows.map((row) => row.correct) },
    numberColumn('probability', rows, (row) => row.full),
    ...variants.map(
      ({ name }, v): Column =>
        numberColumn(`${name}: drop`, rows, (row) =>
          row.set === 'test' ? drop(row.full, row.masked[v]) : NaN,
        ),
    ),
  ];
}
