import {
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
import type { Report } from '../report/report.js';
import type { Column, Table } from '../report/table.js';
import { mean } from '../statistics.js';
import type { GridRecord, GridSettings } from './measure.js';

/** Everything that is said about a set of grids. The unit of intervals and tests is the grid: its cells are not independent. */
export function summarizeGrids(
  unordered: readonly GridRecord[],
  settings: GridSettings,
): Omit<Report, 'provenance' | 'gallery'> {
  const { variants, seed, size } = settings;
  const records = byImage(unordered);
  const scores = columnsOf(records, variants, (record, v) =>
    mean(record.cells.map((cell) => cell.variants[v].score)),
  );
  const largest = columnsOf(records, variants, (record, v) =>
    mean(record.cells.map((cell) => (cell.variants[v].score > 0.5 ? 1 : 0))),
  );
  const estimates = estimatesOf(scores, seed);
  const chance = 100 / size ** 2;
  return {
    title: 'Grid pointing game',
    lead:
      records.length === 0
        ? 'No grid could be drawn: too few pictures of different classes are certain enough.'
        : `Share of the map inside the cell that shows the explained class: ${variants.map(({ name }, v) => `${name} ${(100 * estimates[v].mean).toFixed(1)} %`).join(', ')}; by chance ${chance.toFixed(1)} %.`,
    series: seriesOf(variants),
    summaries: [
      {
        title: 'Grid pointing game',
        caption: `${records.length} grids of ${size} × ${size} pictures of different classes. Below each number its 95 % bootstrap interval over grids.`,
        metrics: [
          {
            key: 'gridScore',
            name: 'Inside the right cell',
            hint: 'share of the positive map, mean over cells and grids',
            better: 'higher',
            ...percent,
            values: estimates,
          },
          {
            key: 'gridMajority',
            name: 'Mostly inside',
            hint: 'cells that hold more than half of their map',
            better: 'higher',
            ...percent,
            values: estimatesOf(largest, seed),
          },
        ],
      },
    ],
    duels:
      records.length > 0
        ? duelsOf(scores, variants, {
            tested: 'share inside (percentage points, first minus second)',
            better: 'higher',
            seed,
          })
        : undefined,
    notes: [
      `Grid pointing game (Böhle et al., arXiv 2104.00032): pictures whose top class has a probability of at least ${settings.minProbability} are drawn into grids of different classes; each class is explained on the grid, and the share of the positive map inside its cell is the score. An empty map scores 0.`,
      'The pictures are shrunk into cells by averaging, so that the input keeps the network’s size; the paper enlarges the input instead.',
      controlNote,
      statisticsNote(seed),
    ],
  };
}

/** One row a cell. */
export function gridTable(
  records: readonly GridRecord[],
  classes: readonly string[],
  { variants }: GridSettings,
): Table {
  const rows = records.flatMap((record) =>
    record.cells.map((cell, place) => ({ grid: record.image, place, ...cell })),
  );
  return [
    { name: 'grid', type: 'string', values: rows.map((row) => row.grid) },
    numberColumn('cell', rows, (row) => row.place),
    { name: 'image', type: 'string', values: rows.map((row) => row.image) },
    numberColumn('class', rows, (row) => row.class),
    { name: 'className', type: 'string', values: rows.map((row) => classes[row.class] ?? '') },
    numberColumn('probability', rows, (row) => row.probability),
    ...variants.map(
      ({ name }, v): Column => numberColumn(`${name}: inside`, rows, (row) => row.variants[v].score),
    ),
  ];
}
