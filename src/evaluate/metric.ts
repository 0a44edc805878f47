import { columnsOf, estimatesOf, numberColumn } from './report/estimates.js';
import type { MetricRow } from './report/report.js';
import type { Column } from './report/columns.js';
import { mean } from './statistics.js';
import type { Variant } from './subject.js';

/** What a metric is called and how it is shown. */
export interface MetricWords {
  /** What `results.json` calls it. */
  readonly key: string;
  readonly name: string;
  /** What it means, in a few words. */
  readonly hint: string;
  /** How it is computed, and who defined it; for `docs/evaluating.md`. */
  readonly definition: string;
  readonly better?: 'lower' | 'higher';
  /** Factor, unit and digits of what is shown: `percent` for shares, else `plain`. */
  readonly scale: number;
  readonly unit: string;
  readonly digits: number;
  /** What a map gets that knows nothing of the picture, by construction: read after "by chance". */
  readonly byChance?: string;
  /** That is what no such map exceeds in the mean, not what it gets. */
  readonly chanceIsBound?: boolean;
}

/** How shares of 0 … 1 are shown. */
export const percent = { scale: 100, unit: '%', digits: 1 } as const;
/** How all else is shown. */
export const plain = { scale: 1, unit: '', digits: 3 } as const;

/** A metric of one map of one picture; what it stands for over many is the mean. */
export interface Metric<R> extends MetricWords {
  /** Its column in the table of pictures; none: it is not in there. */
  readonly column?: string;
  /** NaN where the map has none: the picture is left out of the mean. */
  readonly value: (record: R, v: number) => number;
  /** What `byChance` comes to on one picture; absent: no number follows from the picture alone. */
  readonly chance?: (record: R) => number;
}

/** One row a metric: means over the records with their intervals, and what chance gives. */
export function metricRows<R>(
  metrics: readonly Metric<R>[],
  records: readonly R[],
  variants: readonly Variant[],
  seed: number,
): MetricRow[] {
  return metrics.map((metric) => {
    const { value, chance: _, chanceIsBound: __, column: ___, definition: ____, ...words } = metric;
    return {
      ...words,
      values: estimatesOf(columnsOf(records, variants, value), seed),
      byChance: chanceOf(records, metric),
    };
  });
}

function chanceOf<R>(
  records: readonly R[],
  { byChance: text, chance, chanceIsBound }: Metric<R>,
): MetricRow['byChance'] {
  if (text === undefined) return undefined;
  const bound = chanceIsBound ? { isBound: true } : {};
  if (!chance || records.length === 0) return { text, ...bound };
  return { text, ...bound, value: mean(records.map(chance)) };
}

/** The columns of one variant in the table of pictures. */
export function metricColumns<R>(
  metrics: readonly Metric<R>[],
  records: readonly R[],
  { name }: Variant,
  v: number,
): Column[] {
  return metrics.flatMap(({ column, value }) =>
    column === undefined ? [] : [numberColumn(`${name}: ${column}`, records, (record) => value(record, v))],
  );
}
