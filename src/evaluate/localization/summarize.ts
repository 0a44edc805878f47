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
import type { Metric, Report } from '../report/report.js';
import type { Column, Table } from '../report/table.js';
import { type Estimate, estimateMeans } from '../statistics.js';
import { deltaGrid, type LocalizationRecord, type LocalizationSettings } from './measure.js';

type Value = (record: LocalizationRecord, v: number) => number;

/** Everything that is said about a set of records. The order of the records does not matter. */
export function summarizeLocalization(
  unordered: readonly LocalizationRecord[],
  settings: LocalizationSettings,
): Omit<Report, 'provenance' | 'gallery'> {
  const { variants, seed, deltas } = settings;
  const all = byImage(unordered);
  const records = all.filter((record) => !record.excluded);
  const columns = (value: Value): number[][] => columnsOf(records, variants, value);
  const estimates = (value: Value): Estimate[] => estimatesOf(columns(value), seed);
  const loc = columns(middleLoc(deltas));
  const middle = deltas[Math.floor(deltas.length / 2)];
  const share = { better: 'higher', ...percent } as const;
  const metrics: Metric[] = [
    ...deltas.map((delta, d) => ({
      key: `localization(${delta})`,
      name: `Loc(${delta})`,
      hint:
        delta === 0
          ? 'overlap of the non-zero part of the map and the boxes'
          : `overlap of the map ≥ ${delta} and the boxes`,
      better: 'higher' as const,
      scale: 1,
      unit: '',
      digits: 3,
      values: estimates((record, v) => record.variants[v].localization[d]),
    })),
    {
      key: 'boxIoU',
      name: 'Box IoU',
      hint: `the box around the largest region ≥ ${settings.boxThreshold} of the maximum, against the best true box`,
      better: 'higher',
      scale: 1,
      unit: '',
      digits: 3,
      values: estimates((record, v) => record.variants[v].boxIoU),
    },
    {
      key: 'boxFound',
      name: 'Boxes found',
      hint: 'pictures with a box IoU of at least 0.5',
      ...share,
      values: estimates((record, v) => (record.variants[v].boxIoU >= 0.5 ? 1 : 0)),
    },
    {
      key: 'pointing',
      name: 'Pointing game',
      hint: `the maximum lies inside${settings.tolerance > 0 ? `, or at most ${settings.tolerance} pixels beside it` : ''}`,
      ...share,
      values: estimates((record, v) => record.variants[v].pointing),
    },
    {
      key: 'energy',
      name: 'Energy inside',
      hint: 'share of the map’s sum that lies inside',
      ...share,
      values: estimates((record, v) => record.variants[v].energy),
    },
  ];
  const nameOf = (record: LocalizationRecord): string => record.annotated ?? '(mask)';
  return {
    title: 'Localisation',
    lead:
      records.length === 0
        ? 'No picture shows an annotated place of its explained class.'
        : `How well the maps cover the annotated places of the explained class, Loc(${middle}): ${variants.map(({ name }, v) => `${name} ${estimatesOf([loc[v]], seed)[0].mean.toFixed(3)}`).join(', ')}.`,
    series: seriesOf(variants),
    summaries: [
      {
        title: 'Localisation',
        caption: `${records.length} of ${all.length} pictures count. ${exclusionsOf(all)}The annotated places cover ${(100 * (records.reduce((sum, record) => sum + record.area, 0) / Math.max(1, records.length))).toFixed(1)} % of the input on average. Below each number its 95 % bootstrap interval.`,
        metrics,
      },
    ],
    duels:
      records.length > 0
        ? duelsOf(loc, variants, {
            tested: `Loc(${middle}) (times 100, first minus second)`,
            better: 'higher',
            seed,
          })
        : undefined,
    charts: records.length > 0 ? [chartOf(records, settings)] : undefined,
    breakdowns: [
      breakdownOf(records, loc, nameOf, {
        title: `Loc(${middle}) by class`,
        caption: 'By the annotated class.',
        scale: 1,
        unit: '',
        digits: 3,
      }),
      breakdownOf(
        records,
        columns((record, v) => record.variants[v].pointing),
        nameOf,
        {
          title: 'Pointing game by class',
          caption: 'By the annotated class.',
          ...percent,
        },
      ),
    ],
    notes: [
      'Loc(δ) = internal / (box area + external area) of the positions with L ≥ δ, several boxes of the class united (Chattopadhyay et al., arXiv 1710.11063). Written out this is the intersection over the union of marked positions and boxes. At δ = 0 the non-zero positions are meant: L ≥ 0 would be the whole picture for every method.',
      settings.target === 'top'
        ? 'Explained is the top class of each picture; pictures without an annotated place of that class do not count.'
        : 'Explained is the most probable of the classes that are annotated in the picture, whether or not it is the top class.',
      'Boxes follow the picture through resizing and cropping; what the network does not see is cut off. A pixel is inside when its centre is.',
      'Pointing game (Zhang et al., arXiv 1608.00507): where several positions share the maximum, the share of them that is inside; an empty map is a miss. Energy (Wang et al., arXiv 1910.01279): 0 for an empty map.',
      controlNote,
      statisticsNote(seed),
    ],
  };
}

/** Loc at the middle one of the thresholds, which tests and class tables use. */
function middleLoc(deltas: readonly number[]): Value {
  return (record, v) => record.variants[v].localization[Math.floor(deltas.length / 2)];
}

function exclusionsOf(records: readonly LocalizationRecord[]): string {
  const counts = new Map<string, number>();
  for (const { excluded } of records) if (excluded) counts.set(excluded, (counts.get(excluded) ?? 0) + 1);
  if (counts.size === 0) return '';
  return `Not counted: ${[...counts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([why, count]) => `${count} ${why}`)
    .join(', ')}. `;
}

function chartOf(records: readonly LocalizationRecord[], { variants, seed }: LocalizationSettings) {
  return {
    key: 'localization',
    title: 'Loc over δ',
    caption: 'Overlap of the thresholded map and the boxes.',
    xLabel: 'threshold δ',
    yLabel: 'Loc(δ)',
    x: deltaGrid,
    lines: variants.map((_, v) => {
      const points = estimateMeans(
        records.map((record) => record.variants[v].curve),
        { seed },
      );
      const best = points.reduce((a, b, i) => (b.mean > points[a].mean ? i : a), 0);
      return {
        y: points.map((point) => point.mean),
        ...(records.length > 1
          ? { low: points.map((point) => point.low), high: points.map((point) => point.high) }
          : {}),
        note: `best ${points[best].mean.toFixed(3)} at δ = ${deltaGrid[best]}`,
      };
    }),
  };
}

/** One row a picture, in the order of the records; measures of excluded pictures are NaN. */
export function localizationTable(
  records: readonly LocalizationRecord[],
  classes: readonly string[],
  { variants, deltas }: LocalizationSettings,
): Table {
  const numbers = (name: string, value: (record: LocalizationRecord) => number | undefined): Column =>
    numberColumn(name, records, (record) => value(record) ?? NaN);
  const strings = (name: string, value: (record: LocalizationRecord) => string): Column => ({
    name,
    type: 'string',
    values: records.map(value),
  });
  return [
    strings('image', (record) => record.image),
    numbers('class', (record) => record.class),
    strings('className', (record) => classes[record.class] ?? ''),
    numbers('probability', (record) => record.probability),
    strings('annotated', (record) => record.annotated ?? ''),
    strings('excluded', (record) => record.excluded ?? ''),
    ...variants.flatMap(({ name }, v): Column[] => [
      ...deltas.map((delta, d) =>
        numbers(`${name}: Loc(${delta})`, (record) => record.variants[v]?.localization[d]),
      ),
      numbers(`${name}: box IoU`, (record) => record.variants[v]?.boxIoU),
      numbers(`${name}: pointing`, (record) => record.variants[v]?.pointing),
      numbers(`${name}: energy`, (record) => record.variants[v]?.energy),
    ]),
  ];
}
