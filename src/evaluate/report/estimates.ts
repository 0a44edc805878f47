import {
  type Estimate,
  estimateMean,
  estimateMeans,
  mean,
  pairedPermutationTest,
  wins,
} from '../statistics.js';
import type { Variant } from '../subject.js';
import type { Breakdown, Duel, Line, Series } from './report.js';
import type { Column } from './columns.js';

/** In the order of the pictures' names, so that no sum and no resample depends on the order they came in. */
export function byImage<R extends { readonly image: string }>(records: readonly R[]): R[] {
  return [...records].sort((a, b) => (a.image < b.image ? -1 : a.image > b.image ? 1 : 0));
}

export function seriesOf(variants: readonly Variant[]): Series[] {
  return variants.map(({ name, method }) => ({ name, control: method === 'random' }));
}

/** Values by variant and picture: one list a variant. */
export type Columns = readonly (readonly number[])[];

export function columnsOf<R>(
  records: readonly R[],
  variants: readonly Variant[],
  value: (record: R, v: number) => number,
): number[][] {
  return variants.map((_, v) => records.map((record) => value(record, v)));
}

/** The mean of each column; what is NaN is left out, and `count` says how many are not. */
export function estimatesOf(columns: Columns, seed: number): Estimate[] {
  return columns.map((column) =>
    estimateMean(
      column.filter((value) => !Number.isNaN(value)),
      { seed },
    ),
  );
}

/** A line a variant: the pointwise means of the records' curves with their intervals. */
export function curveLines<R>(
  records: readonly R[],
  variants: readonly Variant[],
  curve: (record: R, v: number) => readonly number[],
  seed: number,
  note: (points: readonly Estimate[], v: number) => string,
): Line[] {
  return variants.map((_, v) => {
    const points = estimateMeans(
      records.map((record) => curve(record, v)),
      { seed },
    );
    return {
      y: points.map((point) => point.mean),
      ...(records.length > 1
        ? { low: points.map((point) => point.low), high: points.map((point) => point.high) }
        : {}),
      note: note(points, v),
    };
  });
}

/** Every pair of variants on the same pictures. */
export function duelsOf(
  columns: Columns,
  variants: readonly Variant[],
  { tested, better, seed }: { tested: string; better: 'lower' | 'higher'; seed: number },
): Duel[] {
  const sign = better === 'lower' ? 1 : -1;
  return variants.flatMap((a, i) =>
    variants.slice(i + 1).map((b, k): Duel => {
      const [first, second] = [columns[i], columns[i + 1 + k]];
      return {
        a: a.name,
        b: b.name,
        wins: wins(
          first.map((value) => sign * value),
          second.map((value) => sign * value),
        ),
        difference: mean(first) - mean(second),
        p: pairedPermutationTest(first, second, seed),
        tested,
      };
    }),
  );
}

/** Means class by class, in the order of the classes' names. */
export function breakdownOf<R>(
  records: readonly R[],
  columns: Columns,
  nameOf: (record: R) => string,
  words: Pick<Breakdown, 'title' | 'caption' | 'scale' | 'unit' | 'digits'>,
): Breakdown {
  const members = new Map<string, number[]>();
  records.forEach((record, i) => {
    const name = nameOf(record);
    const list = members.get(name);
    if (list) list.push(i);
    else members.set(name, [i]);
  });
  return {
    ...words,
    rows: [...members]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, pictures]) => ({
        class: name,
        count: pictures.length,
        values: columns.map((column) => mean(pictures.map((i) => column[i]))),
      })),
  };
}

/** The first columns of a table of pictures: the picture, its class, and the class's name. */
export function recordColumns(
  records: readonly { readonly image: string; readonly class: number; readonly name?: string }[],
  classes: readonly string[],
): Column[] {
  return [
    stringColumn('image', records, ({ image }) => image),
    numberColumn('class', records, (record) => record.class),
    stringColumn('className', records, (record) => record.name ?? classes[record.class] ?? ''),
  ];
}

export function stringColumn<R>(name: string, records: readonly R[], value: (record: R) => string): Column {
  return { name, type: 'string', values: records.map(value) };
}

export function numberColumn<R>(name: string, records: readonly R[], value: (record: R) => number): Column {
  return { name, type: 'number', values: records.map(value) };
}

/** The sentence about intervals, where nothing is tested. */
export function bootstrapNote(seed: number): string {
  return `Intervals: 95 %, bias-corrected and accelerated bootstrap over pictures, seed ${seed}.`;
}

/** The sentence about intervals and tests that every report carries. */
export function statisticsNote(seed: number): string {
  return `Intervals: 95 %, bias-corrected and accelerated bootstrap over pictures, 2,000 resamples. Test: two-sided paired permutation test (sign flips; exact up to 13 pairs that differ, else 9,999 flips). Seed ${seed}.`;
}

export const controlNote =
  'Random control: uniform noise of the layer’s dims, enlarged and normalised as every map is.';
