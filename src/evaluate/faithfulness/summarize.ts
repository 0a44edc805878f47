import { drop, increase } from '../metrics/confidence.js';
import { area, fractions } from '../metrics/curve.js';
import {
  breakdownOf,
  byImage,
  columnsOf,
  controlNote,
  duelsOf,
  estimatesOf,
  numberColumn,
  percent,
  seriesOf,
  statisticsNote,
} from '../report/estimates.js';
import type { Chart, Line, Metric, Report } from '../report/report.js';
import type { Column, Table } from '../report/table.js';
import { type Estimate, estimateMeans, mean } from '../statistics.js';
import { variantsNote } from '../variants.js';
import type { FaithfulnessRecord, FaithfulnessSettings } from './measure.js';

type FaithfulnessReport = Pick<
  Report,
  'title' | 'lead' | 'series' | 'summaries' | 'duels' | 'charts' | 'breakdowns' | 'notes'
>;

/** Everything that is said about a set of records. The order of the records does not matter. */
export function summarizeFaithfulness(
  unordered: readonly FaithfulnessRecord[],
  classes: readonly string[],
  settings: FaithfulnessSettings,
  title = 'Faithfulness',
): FaithfulnessReport {
  const records = byImage(unordered);
  const { variants, seed } = settings;
  const drops = columnsOf(records, variants, dropOf);
  const perVariant = (value: (record: FaithfulnessRecord, v: number) => number): Estimate[] =>
    estimatesOf(columnsOf(records, variants, value), seed);
  const averageDrop = estimatesOf(drops, seed);
  const metrics: Metric[] = [
    {
      key: 'averageDrop',
      name: 'Average drop',
      hint: 'confidence lost when only the explanation is shown',
      better: 'lower',
      ...percent,
      values: averageDrop,
    },
    {
      key: 'increaseInConfidence',
      name: 'Increase in confidence',
      hint: 'pictures on which the explanation alone is more certain',
      better: 'higher',
      ...percent,
      values: perVariant((record, v) => increase(record.full, record.variants[v].masked)),
    },
    ...(settings.steps > 0 ? areaMetrics(perVariant, settings) : []),
    {
      key: 'emptyMaps',
      name: 'Empty maps',
      hint: 'nothing is marked; counted like any other map',
      ...percent,
      values: perVariant((record, v) => (record.variants[v].empty ? 1 : 0)),
    },
  ];
  return {
    title,
    lead: leadOf(averageDrop, variants, records.length),
    series: seriesOf(variants),
    summaries: [
      {
        title,
        caption: `${records.length} pictures, the top class of each. Below each number its 95 % bootstrap interval.`,
        metrics,
      },
    ],
    duels: duelsOf(drops, variants, {
      tested: 'drop (percentage points, first minus second)',
      better: 'lower',
      seed,
    }),
    charts: settings.steps > 0 ? chartsOf(records, settings) : undefined,
    breakdowns: [
      breakdownOf(records, drops, (record) => classes[record.class], {
        title: 'Average drop by class',
        caption: 'By the explained class, the top class of each picture.',
        ...percent,
      }),
    ],
    notes: notesOf(settings),
  };
}

function dropOf(record: FaithfulnessRecord, v: number): number {
  return drop(record.full, record.variants[v].masked);
}

/** Confidence that is left relative to the picture's own, Y; 1 where Y is 0 and nothing can be lost. */
function ratio(value: number, full: number): number {
  return full > 0 ? value / full : 1;
}

const curves = {
  kept: (record: FaithfulnessRecord, v: number) =>
    record.variants[v].kept.map((value) => ratio(value, record.full)),
  deleted: (record: FaithfulnessRecord, v: number) => record.variants[v].deleted,
  inserted: (record: FaithfulnessRecord, v: number) => record.variants[v].inserted,
};

function areaMetrics(
  perVariant: (value: (record: FaithfulnessRecord, v: number) => number) => Estimate[],
  settings: FaithfulnessSettings,
): Metric[] {
  const x = fractions(settings.steps);
  const row = { scale: 1, unit: '', digits: 3 };
  const auc = (curve: keyof typeof curves) =>
    perVariant((record, v) => area({ x, y: curves[curve](record, v) }));
  return [
    {
      key: 'areaAuc',
      name: 'Confidence against area, AUC',
      hint: 'share of the confidence kept with the q most salient pixels, over all q',
      better: 'higher',
      ...row,
      values: auc('kept'),
    },
    {
      key: 'deletionAuc',
      name: 'Deletion AUC',
      hint: `probability while the most salient pixels become ${removed[settings.deletionBaseline]}`,
      better: 'lower',
      ...row,
      values: auc('deleted'),
    },
    {
      key: 'insertionAuc',
      name: 'Insertion AUC',
      hint: `probability while the most salient pixels return to ${nothing[settings.insertionBaseline]}`,
      better: 'higher',
      ...row,
      values: auc('inserted'),
    },
  ];
}

/** What a removed pixel becomes, and the picture of nothing but such pixels. */
const removed = { zero: 'zero', black: 'black', mean: 'the mean colour', blur: 'blurred' };
const nothing = {
  zero: 'an input of zeros',
  black: 'a black picture',
  mean: 'the mean colour',
  blur: 'the blurred picture',
};

function chartsOf(records: readonly FaithfulnessRecord[], settings: FaithfulnessSettings): Chart[] {
  const x = fractions(settings.steps);
  const lines = (curve: keyof typeof curves): Line[] =>
    settings.variants.map((_, v) => {
      const rows = records.map((record) => curves[curve](record, v));
      const points = estimateMeans(rows, { seed: settings.seed });
      const auc = mean(rows.map((y) => area({ x, y })));
      return {
        y: points.map((point) => point.mean),
        ...(records.length > 1
          ? { low: points.map((point) => point.low), high: points.map((point) => point.high) }
          : {}),
        note: `AUC ${auc.toFixed(3)}`,
      };
    });
  return [
    {
      key: 'keptConfidence',
      title: 'Confidence against area',
      caption: `Only the q most salient pixels are shown, the rest is ${removed[settings.deletionBaseline]}. All maps keep the same area, so marking more gains nothing.`,
      xLabel: 'area kept, q',
      yLabel: 'confidence kept, share',
      x,
      lines: lines('kept'),
    },
    {
      key: 'deletion',
      title: 'Deletion',
      caption: `The most salient pixels are removed first and become ${removed[settings.deletionBaseline]}. A fast fall is good.`,
      xLabel: 'area deleted',
      yLabel: 'probability',
      x,
      lines: lines('deleted'),
    },
    {
      key: 'insertion',
      title: 'Insertion',
      caption: `The most salient pixels are put first into ${nothing[settings.insertionBaseline]}. A fast rise is good.`,
      xLabel: 'area inserted',
      yLabel: 'probability',
      x,
      lines: lines('inserted'),
    },
  ];
}

function leadOf(
  averageDrop: readonly Estimate[],
  variants: FaithfulnessSettings['variants'],
  count: number,
): string {
  if (count === 0) return 'No picture could be measured.';
  const parts = variants.map(({ name }, v) => `${name} ${(averageDrop[v].mean * 100).toFixed(1)} %`);
  return `Shown only what an explanation marks, the network loses on average this much of its confidence: ${parts.join(', ')}.`;
}

function notesOf({
  variants,
  masking,
  deletionBaseline,
  insertionBaseline,
  steps,
  seed,
}: FaithfulnessSettings): string[] {
  const notes = [
    'Y is the probability (softmax, or sigmoid where the network ends in one) of the top class on the picture, O its probability on the explanation map. Drop: max(0, Y − O) / Y. Increase: O > Y. First and second win where their drop is smaller; equal drops are ties. Definitions: Chattopadhyay et al., arXiv 1710.11063.',
    `Explanation map: E = L ⊙ I + (1 − L) ⊙ B with L the normalised map (0 … 1) at the input's size and B ${nothing[masking]}${masking === 'zero' ? ', so E = L ⊙ I on the preprocessed tensor, as in the paper' : ''}${masking === 'black' ? ', so the map multiplies pixels at the network’s input size, before range, mean and std' : ''}.`,
  ];
  if (steps > 0)
    notes.push(
      `Curves: ${steps} steps, areas by the trapezoid rule. Confidence against area keeps exactly the fraction q of pixels over ${nothing[deletionBaseline]} and divides by Y. Deletion (to ${nothing[deletionBaseline]}) and insertion (from ${nothing[insertionBaseline]}): Petsiuk et al., arXiv 1806.07421. Tied pixels are ordered by the random control map, so an empty map scores as chance does.`,
    );
  const forms = variantsNote(variants);
  if (forms) notes.push(forms);
  notes.push(controlNote, statisticsNote(seed));
  return notes;
}

/** One row a picture, in the order of the records. */
export function faithfulnessTable(
  records: readonly FaithfulnessRecord[],
  classes: readonly string[],
  { variants, steps }: FaithfulnessSettings,
): Table {
  const x = fractions(steps);
  const numbers = (name: string, value: (record: FaithfulnessRecord) => number): Column =>
    numberColumn(name, records, value);
  return [
    { name: 'image', type: 'string', values: records.map((record) => record.image) },
    numbers('class', (record) => record.class),
    { name: 'className', type: 'string', values: records.map((record) => classes[record.class] ?? '') },
    numbers('probability', (record) => record.full),
    ...variants.flatMap(({ name }, v): Column[] => [
      numbers(`${name}: masked probability`, (record) => record.variants[v].masked),
      numbers(`${name}: drop`, (record) => dropOf(record, v)),
      {
        name: `${name}: empty`,
        type: 'boolean',
        values: records.map((record) => record.variants[v].empty),
      },
      ...(steps > 0
        ? [
            numbers(`${name}: area AUC`, (record) => area({ x, y: curves.kept(record, v) })),
            numbers(`${name}: deletion AUC`, (record) => area({ x, y: curves.deleted(record, v) })),
            numbers(`${name}: insertion AUC`, (record) => area({ x, y: curves.inserted(record, v) })),
          ]
        : []),
    ]),
  ];
}
