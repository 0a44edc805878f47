import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TableFormat } from '../../batch/results/table-file.js';
import { makeFolder, unwritable } from '../../batch/results/write-file.js';
import { GradcamppError, show } from '../../errors.js';
import type { Estimate } from '../statistics.js';
import { reportPage } from './page.js';
import type { Failure, Report } from './report.js';
import { type Table, writeColumns } from './columns.js';

/** Whether an error is about one picture, so that the others can go on. */
export function isOfPicture(error: unknown): error is GradcamppError {
  return error instanceof GradcamppError && (error.code === 'INVALID_IMAGE' || error.code === 'RUNTIME');
}

/** What one evaluation leaves behind. */
export interface Outcome {
  readonly evaluation: string;
  /** Pictures that were measured. */
  readonly images: number;
  readonly failures: readonly Failure[];
  readonly settings: object;
  readonly report: Report;
  readonly table: Table;
}

/**
 * Writes `results.json`, `images.csv` or `images.parquet`, and `report.html` into a folder that is made if need be.
 * Nothing in them depends on the time or the machine, so equal runs give equal files.
 *
 * @returns the paths
 */
export async function writeOutcome(
  outcome: Outcome,
  folder: string,
  tableFormat: TableFormat = 'csv',
): Promise<string[]> {
  const { table, report } = outcome;
  const path = join(folder, `images.${tableFormat}`);
  const [results, page] = await writeFiles(
    folder,
    [
      ['results.json', `${JSON.stringify(resultsOf(outcome), null, 2)}\n`],
      ['report.html', await reportPage(report)],
    ],
    { overwrite: true }, // the run has asked
  );
  await writeColumns(path, tableFormat, table).catch((cause: unknown) => {
    throw unwritable(path, cause);
  });
  return [results, path, page];
}

/**
 * Writes files into a folder that is made if need be; gives their paths.
 *
 * @throws GradcamppError OUTPUT where one is there already, and `overwrite` does not say that it may go
 */
export async function writeFiles(
  folder: string,
  files: readonly (readonly [string, string])[],
  { overwrite = false }: { readonly overwrite?: boolean } = {},
): Promise<string[]> {
  const paths = files.map(([name]) => join(folder, name));
  const taken = overwrite ? undefined : paths.find((path) => existsSync(path));
  if (taken)
    throw new GradcamppError(
      'OUTPUT',
      `${show(taken)} is there already. Replace it with --overwrite, or name another output folder.`,
    );
  try {
    await makeFolder(folder);
    for (const [i, [, content]] of files.entries()) await writeFile(paths[i], content);
  } catch (cause) {
    throw unwritable(folder, cause);
  }
  return paths;
}

/** The content of `results.json`. Numbers are in the units that are named beside them; what is undefined is null. */
export function resultsOf({ evaluation, images, failures, settings, report }: Outcome): object {
  const { series, summaries, duels, charts, breakdowns, provenance, remarks, notes } = report;
  const named = <T>(values: readonly T[]): Record<string, T> =>
    Object.fromEntries(values.flatMap((value, i) => (value === undefined ? [] : [[series[i].name, value]])));
  return {
    evaluation,
    images,
    failures,
    settings,
    provenance: Object.fromEntries(provenance),
    metrics: Object.fromEntries(
      summaries.flatMap(({ metrics }) =>
        metrics.map(({ key, name, unit, better, scale, values, byChance }) => [
          key,
          {
            name,
            unit,
            better,
            values: named(values.map((value) => value && scaled(value, scale))),
            byChance: byChance && {
              ...byChance,
              value: byChance.value === undefined ? undefined : byChance.value * scale,
            },
          },
        ]),
      ),
    ),
    pairs: duels,
    curves: charts
      ? Object.fromEntries(charts.map(({ key, x, lines }) => [key, { x, ...named(lines) }]))
      : undefined,
    classes: breakdowns?.map(({ title, unit, scale, rows }) => ({
      metric: title,
      unit,
      rows: rows.map((row) => ({
        class: row.class,
        count: row.count,
        values: named(row.values.map((value) => value * scale)),
      })),
    })),
    remarks: remarks?.length ? remarks : undefined,
    notes,
  };
}

function scaled({ mean, low, high, count }: Estimate, scale: number): Estimate {
  return { mean: mean * scale, low: low * scale, high: high * scale, count };
}
