import {
  defineEvaluation,
  type DocumentedMetric,
  type Gathered,
  type Plan,
  type Round,
} from '../definition.js';
import type { Job } from '../measurement.js';
import { metricColumns, type Metric, metricRows, percent } from '../metric.js';
import { listPictures, pictureSources } from '../listed-pictures.js';
import {
  breakdownOf,
  byImage,
  columnsOf,
  controlNote,
  curveLines,
  duelsOf,
  numberColumn,
  recordColumns,
  seriesOf,
  statisticsNote,
} from '../report/estimates.js';
import type { GalleryEntry } from '../report/gallery.js';
import type { Chart, MetricRow, Report } from '../report/report.js';
import type { Column, Table } from '../report/columns.js';
import { mean } from '../statistics.js';
import { kindOf } from '../../targets/index.js';
import { variantsNote } from '../variants.js';
import { type FaithfulnessRecord, measureFaithfulness } from './masked-picture.js';
import { faithfulnessOptions, faithfulnessSettings } from './faithfulness-options.js';
import type { FaithfulnessSettings } from './measuring-options.js';
import { fractions, nothing } from './metrics/curve.js';
import { faithfulnessMetrics, metricsFor } from './metrics/index.js';

export interface FaithfulnessPlan extends Plan {
  readonly jobs: readonly Job[];
  readonly settings: FaithfulnessSettings;
}
type FaithfulnessRound = Round<FaithfulnessPlan, FaithfulnessRecord>;

const options = {
  images: pictureSources('--data <path>', 'pictures: a folder, file or pattern'),
  ...faithfulnessOptions,
};

/** The pairs of a report. */
const winWords: DocumentedMetric = {
  name: 'Win',
  unit: '%',
  definition: 'share of pictures on which a method drops less than another; ties apart',
  byChance: 'of two maps that know nothing, each wins half of what is not tied',
};

/** Does the network keep its confidence when it sees only what the map marks? */
export const faithfulness = defineEvaluation<typeof options, Gathered, FaithfulnessPlan, FaithfulnessRecord>({
  name: 'faithfulness',
  description:
    'Average drop, increase, wins, confidence against area, deletion, insertion; ROAD and others if asked.',
  asks: 'does the network keep its confidence when it sees only what the map marks? No labels are needed: the top class of each picture is explained, or any `--target`',
  metrics: [...faithfulnessMetrics, winWords],
  example: '--data photos/ --layer fire9/concat --out faithfulness/',
  options,
  gather: ({ images }, takesClips) => listPictures(images, { takesClips }),
  plan: ({ gathered, common, options, subject }) => ({
    jobs: gathered.images.map((image) => ({ image })),
    settings: faithfulnessSettings(common, options, subject),
  }),
  measure: measureFaithfulness,
  summarize: ([round]) => summarizeFaithfulness(round, 'Faithfulness'),
  table: ([round]) => faithfulnessTable(round),
  gallery: faithfulnessGallery,
});

/** The metrics as the report has them, with these settings. */
function metricsOf(settings: FaithfulnessSettings): Metric<FaithfulnessRecord>[] {
  return metricsFor(settings).map(({ hint, chance, key, ...metric }) => ({
    ...wordsOf(metric),
    key,
    hint: hint(settings),
    value: (record, v) => record.variants[v].values[key],
    ...(chance === undefined ? {} : { chance: () => chance }),
  }));
}

/** What a report says of a metric. */
function wordsOf({
  name,
  definition,
  column,
  better,
  scale,
  unit,
  digits,
  byChance,
  chanceIsBound,
}: Omit<Metric<never>, 'key' | 'hint' | 'value' | 'chance'>) {
  return { name, definition, column, better, scale, unit, digits, byChance, chanceIsBound };
}

const dropOf = (record: FaithfulnessRecord, v: number): number => record.variants[v].values.averageDrop;

export function summarizeFaithfulness(
  round: Pick<FaithfulnessRound, 'records' | 'subject' | 'plan'>,
  title: string,
): Omit<Report, 'provenance' | 'gallery'> {
  const { settings } = round.plan;
  const { variants, seed } = settings;
  const records = byImage(round.records);
  const drops = columnsOf(records, variants, dropOf);
  const metrics = metricRows(metricsOf(settings), records, variants, seed);
  const charts = chartsOf(records, settings);
  return {
    title,
    lead: leadOf(metrics[0], settings, records.length),
    series: seriesOf(variants),
    summaries: [
      {
        title,
        caption: `${records.length} pictures, ${whatOf(settings)} of each. Below each number its 95 % bootstrap interval.`,
        metrics,
      },
    ],
    duels: duelsOf(drops, variants, {
      tested: 'drop (percentage points, first minus second)',
      better: 'lower',
      seed,
    }),
    charts: charts.length > 0 ? charts : undefined,
    breakdowns: [
      breakdownOf(records, drops, ({ name }) => name, {
        title: 'Average drop by class',
        caption: `By what is explained, ${whatOf(settings)} of each picture.`,
        ...percent,
      }),
    ],
    notes: notesOf(settings),
  };
}

function chartsOf(records: readonly FaithfulnessRecord[], settings: FaithfulnessSettings): Chart[] {
  const { variants, seed } = settings;
  return metricsFor(settings).flatMap(({ key, chart, chartValue = 'AUC' }) =>
    chart
      ? [
          {
            x: fractions(settings.steps),
            ...chart(settings),
            lines: curveLines(
              records,
              variants,
              (record, v) => record.variants[v].curves[key],
              seed,
              (_, v) =>
                `${chartValue} ${mean(records.map((record) => record.variants[v].values[key])).toFixed(3)}`,
            ),
          },
        ]
      : [],
  );
}

function leadOf(averageDrop: MetricRow, { variants }: FaithfulnessSettings, count: number): string {
  if (count === 0) return 'No picture could be measured.';
  const parts = variants.map(
    ({ name }, v) => `${name} ${((averageDrop.values[v]?.mean ?? NaN) * 100).toFixed(1)} %`,
  );
  return `Shown only what an explanation marks, the network loses on average this much of its confidence: ${parts.join(', ')}.`;
}

/** What is explained of each picture. */
function whatOf({ target }: FaithfulnessSettings): string {
  return target === undefined ? 'the top class' : `the target "${kindOf(target).name}"`;
}

function notesOf(settings: FaithfulnessSettings): string[] {
  const { variants, masking, deletionBaseline, insertionBaseline, steps, seed, metrics } = settings;
  const notes = [
    `Y is the probability (softmax, or sigmoid where the network ends in one) of ${whatOf(settings)} on the picture, O its probability on the explanation map. Drop: max(0, Y − O) / Y. Increase: O > Y. First and second win where their drop is smaller; equal drops are ties. Definitions: Chattopadhyay et al., arXiv 1710.11063.`,
    `Explanation map: E = L ⊙ I + (1 − L) ⊙ B with L the normalised map (0 … 1) at the input's size and B ${nothing[masking]}${masking === 'zero' ? ', so E = L ⊙ I on the preprocessed tensor, as in the paper' : ''}${masking === 'black' ? ', so the map multiplies pixels at the network’s input size, before range, mean and std' : ''}.`,
  ];
  if (steps > 0 && ['area', 'deletion', 'insertion'].some((name) => metrics.includes(name)))
    notes.push(
      `Curves: ${steps} steps, areas by the trapezoid rule. Confidence against area keeps exactly the fraction q of pixels over ${nothing[deletionBaseline]} and divides by Y. Deletion (to ${nothing[deletionBaseline]}) and insertion (from ${nothing[insertionBaseline]}): Petsiuk et al., arXiv 1806.07421. Tied pixels are ordered by the random control map, so an empty map scores as chance does.`,
    );
  for (const { name, isCostly, definition } of metricsFor(settings))
    if (isCostly) notes.push(`${name}: ${definition.replaceAll('`', '')}.`);
  const forms = variantsNote(variants);
  if (forms) notes.push(forms);
  notes.push(controlNote, statisticsNote(seed));
  return notes;
}

export function faithfulnessTable({
  records,
  subject,
  plan,
}: Pick<FaithfulnessRound, 'records' | 'subject' | 'plan'>): Table {
  const { settings } = plan;
  const metrics = metricsOf(settings);
  return [
    ...recordColumns(records, subject.classes),
    numberColumn('probability', records, (record) => record.full),
    ...settings.variants.flatMap((variant, v): Column[] => [
      numberColumn(`${variant.name}: masked probability`, records, (record) => record.variants[v].masked),
      ...metricColumns(metrics, records, variant, v),
      {
        name: `${variant.name}: empty`,
        type: 'boolean',
        values: records.map((record) => record.variants[v].empty),
      },
    ]),
  ];
}

export function faithfulnessGallery({ measured, records }: FaithfulnessRound) {
  const entries = measured.flatMap(({ record, shown }): GalleryEntry[] => {
    const drops = record.variants.map((_, v) => dropOf(record, v));
    return shown.map((picture) => ({
      name: record.image,
      class: record.name,
      caption: `p = ${record.full.toFixed(2)}`,
      shown: picture,
      values: drops,
      scores: drops.map((value) => `drop ${(100 * value).toFixed(0)} %`),
    }));
  });
  return { entries, order: { title: 'drop' }, total: records.length };
}
