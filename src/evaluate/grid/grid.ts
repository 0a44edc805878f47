import { count, number } from '../../options.js';
import { defineEvaluation, type Gathered, type Plan, type Round } from '../definition.js';
import { metricColumns, type Metric, metricRows, percent } from '../metric.js';
import { listPictures, picturesOnly, pictureSources } from '../listed-pictures.js';
import {
  byImage,
  columnsOf,
  controlNote,
  duelsOf,
  numberColumn,
  recordColumns,
  seriesOf,
  statisticsNote,
  stringColumn,
} from '../report/estimates.js';
import type { GalleryEntry } from '../report/gallery.js';
import type { Report } from '../report/report.js';
import type { Table } from '../report/columns.js';
import { mean } from '../statistics.js';
import { gridCells } from './grid-cells.js';
import { type GridRecord, measureGrid } from './collage.js';
import {
  drawGrids,
  type GridCandidate,
  type GridJob,
  type GridSettings,
  measureCandidate,
} from './draw-grids.js';

export interface GridPlan extends Plan {
  readonly jobs: readonly GridJob[];
  readonly settings: GridSettings;
  /** Pictures that could be drawn. */
  readonly candidates: number;
}
type GridRound = Round<GridPlan, GridRecord>;

const options = {
  images: pictureSources('--data <path>', 'pictures of one class each: a folder, file or pattern'),
  size: count({ help: 'cells along each edge', flag: '--size <n>', default: 2, from: 2, to: 8 }),
  grids: count({ help: 'how many are drawn', flag: '--grids <n>', default: 100, from: 1, to: 100_000 }),
  minProbability: number({
    help: 'of the top class of a picture that takes part',
    flag: '--min-probability <p>',
    default: 0.5,
    from: 0,
    to: 1,
  }),
};

/** The grid pointing game on single-class pictures. */
export const grid = defineEvaluation<typeof options, Gathered, GridPlan, GridRecord>({
  name: 'grid',
  description: 'The grid pointing game, from pictures of one class each.',
  asks: 'does it mark the right one of several things? Pictures of one class each; only those count of whose class the network is certain',
  metrics: metricsOf({ size: 2 }),
  example: '--data photos/ --size 3',
  options,
  gather: ({ images }, takesClips) => {
    picturesOnly('grid', takesClips);
    return listPictures(images);
  },
  first: { name: 'grid candidates', measure: measureCandidate },
  plan: async ({ gathered, common, options: { size, grids, minProbability }, measureFirst }) => {
    const settings = { ...common, size, grids, minProbability };
    const { records, failures } = await measureFirst(
      gathered.images.map((image) => ({ image })),
      'candidates',
    );
    const jobs = drawGrids(records as GridCandidate[], settings);
    return { jobs, settings, unit: 'grids', picturesPerJob: size ** 2, failures, candidates: records.length };
  },
  measure: measureGrid,
  summarize: ([round]) => summarizeGrids(round),
  table: ([round]) => gridTable(round),
  gallery: gridGallery,
  count: ({ plan }) => plan.candidates,
});

/** Means over the cells of a grid: it is the unit of intervals and tests, since its cells are not independent. */
function metricsOf({ size }: Pick<GridSettings, 'size'>): Metric<GridRecord>[] {
  return [
    {
      key: 'gridScore',
      name: 'Inside the right cell',
      hint: 'share of the positive map, mean over cells and grids',
      definition:
        'pictures of different classes in a grid, share of the positive map inside the right cell (Böhle et al., arXiv 2104.00032). The pictures are shrunk so that the input keeps its size; the paper enlarges the input',
      better: 'higher',
      ...percent,
      byChance: 'the share of one cell of the grid, as of a map that is the same everywhere',
      chance: () => 1 / size ** 2,
      value: scoreOf,
    },
    {
      key: 'gridMajority',
      name: 'Mostly inside',
      hint: 'cells that hold more than half of their map',
      definition: 'share of the cells that hold more than half of the map of their class',
      better: 'higher',
      ...percent,
      byChance: 'none, of a map that is the same everywhere',
      chance: () => 0,
      value: ({ cells }, v) => mean(cells.map((cell) => (cell.variants[v].score > 0.5 ? 1 : 0))),
    },
  ];
}

function scoreOf({ cells }: GridRecord, v: number): number {
  return mean(cells.map((cell) => cell.variants[v].score));
}

export function summarizeGrids({
  records: unordered,
  plan: { settings },
}: Pick<GridRound, 'records' | 'plan'>): Omit<Report, 'provenance' | 'gallery'> {
  const { variants, seed, size } = settings;
  const records = byImage(unordered);
  const metrics = metricRows(metricsOf(settings), records, variants, seed);
  const [{ values }] = metrics;
  const share = (v: number) => (100 * (values[v]?.mean ?? NaN)).toFixed(1);
  return {
    title: 'Grid pointing game',
    lead:
      records.length === 0
        ? 'No grid could be drawn: too few pictures of different classes are certain enough.'
        : `Share of the map inside the cell that shows the explained class: ${variants.map(({ name }, v) => `${name} ${share(v)} %`).join(', ')}; by chance ${(100 / size ** 2).toFixed(1)} %.`,
    series: seriesOf(variants),
    summaries: [
      {
        title: 'Grid pointing game',
        caption: `${records.length} grids of ${size} × ${size} pictures of different classes. Below each number its 95 % bootstrap interval over grids.`,
        metrics,
      },
    ],
    duels:
      records.length > 0
        ? duelsOf(columnsOf(records, variants, scoreOf), variants, {
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
export function gridTable({
  records,
  subject,
  plan: { settings },
}: Pick<GridRound, 'records' | 'subject' | 'plan'>): Table {
  const rows = records.flatMap((record) =>
    record.cells.map((cell, place) => ({ grid: record.image, place, ...cell })),
  );
  const inside: Metric<(typeof rows)[number]>[] = [
    {
      ...metricsOf(settings)[0],
      column: 'inside',
      chance: undefined,
      value: (row, v) => row.variants[v].score,
    },
  ];
  return [
    stringColumn('grid', rows, (row) => row.grid),
    numberColumn('cell', rows, (row) => row.place),
    ...recordColumns(rows, subject.classes),
    numberColumn('probability', rows, (row) => row.probability),
    ...settings.variants.flatMap((variant, v) => metricColumns(inside, rows, variant, v)),
  ];
}

function gridGallery({ measured, subject, records, plan: { settings } }: GridRound) {
  const { size } = settings;
  const fine = size * 1000; // so that edges between cells are whole numbers
  const cells = gridCells(size, fine, fine).map(
    ({ x0, y0, x1, y1 }) => [x0, y0, x1, y1].map((edge) => edge / fine) as [number, number, number, number],
  );
  const entries = measured.flatMap(({ record, shown }): GalleryEntry[] =>
    shown.map((picture, i) => {
      const cell = record.cells[i];
      const values = cell.variants.map((variant) => variant.score);
      return {
        name: `${record.image}, cell ${i + 1}`,
        class: subject.classes[cell.class],
        caption: `p = ${cell.probability.toFixed(2)} on the grid`,
        boxes: [cells[i]],
        shown: picture,
        values,
        scores: values.map((value) => `${(100 * value).toFixed(0)} % inside`),
      };
    }),
  );
  return { entries, order: { title: 'share inside' }, total: records.length * size ** 2 };
}
