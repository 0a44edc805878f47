import { byImage, numberColumn, seriesOf } from '../report/estimates.js';
import { format } from '../report/number.js';
import type { Chart, Line, Metric, Report } from '../report/report.js';
import type { Column, Table } from '../report/table.js';
import { type Estimate, estimateMean } from '../statistics.js';
import type { SanityRecord, SanitySettings, Similarity, Stage } from './measure.js';

const measures = {
  rank: { name: 'Rank correlation', hint: 'Spearman, −1 … 1' },
  ssim: { name: 'SSIM', hint: 'structural similarity, up to 1' },
} as const;
type MeasureName = keyof typeof measures;

/** Everything that is said about a set of records. The order of the records does not matter. */
export function summarizeSanity(
  unordered: readonly SanityRecord[],
  stages: readonly Stage[],
  settings: SanitySettings,
): Omit<Report, 'provenance' | 'gallery'> {
  const { variants, seed } = settings;
  const records = byImage(unordered);
  const estimate = (similarityOf: (record: SanityRecord, v: number) => Similarity, name: MeasureName) =>
    variants.map(
      (_, v): Estimate =>
        estimateMean(
          records.map((record) => similarityOf(record, v)[name]).filter((value) => !Number.isNaN(value)),
          { seed },
        ),
    );
  const row = (
    key: string,
    title: string,
    name: MeasureName,
    similarityOf: (record: SanityRecord, v: number) => Similarity,
  ): Metric => ({
    key: `${key}.${name}`,
    name: `${title}, ${name === 'rank' ? 'rank correlation' : 'SSIM'}`,
    hint: measures[name].hint,
    better: 'lower',
    scale: 1,
    unit: '',
    digits: 3,
    values: estimate(similarityOf, name),
  });
  const last = stages.filter((stage) => stage.kind === 'cascading').length - 1;
  const names: MeasureName[] = ['rank', 'ssim'];
  const charts = (['cascading', 'independent'] as const).flatMap((kind) =>
    names.map((name): Chart => {
      const own = stages.flatMap((stage, s) => (stage.kind === kind ? [s] : []));
      const line = (v: number): Line => {
        const points = own.map((s) => estimate((record) => record.stages[s][v], name)[v]);
        return {
          y: [1, ...points.map((point) => point.mean)],
          low: [1, ...points.map((point) => finite(point.low, point.mean))],
          high: [1, ...points.map((point) => finite(point.high, point.mean))],
          note: `${format(points.at(-1)?.mean, 3)} at the end`,
        };
      };
      return {
        key: `${kind}.${name}`,
        title: `${kind === 'cascading' ? 'Cascading' : 'Independent'}: ${measures[name].name}`,
        caption:
          kind === 'cascading'
            ? 'Weights are randomised from the scores down to more and more of the network.'
            : 'Weights of a single operator are randomised, at this depth below the scores.',
        xLabel: kind === 'cascading' ? 'share of operators randomised' : 'depth of the operator',
        yLabel: 'similarity',
        x: [0, ...own.map((s) => stages[s].depth)],
        lines: variants.map((_, v) => line(v)),
      };
    }),
  );
  return {
    title: 'Sanity checks',
    lead:
      records.length === 0
        ? 'No picture could be measured.'
        : `Similarity (rank correlation) that is left when every weight is random: ${variants.map(({ name }, v) => `${name} ${format(estimate((record) => record.stages[last][v], 'rank')[v].mean, 3)}`).join(', ')}. An explanation of the network should lose all of it.`,
    series: seriesOf(variants),
    summaries: [
      {
        title: 'Sanity checks',
        caption: `${records.length} pictures, maps of the top class of each. Low is good: a map that stays when the network is gone does not explain it.`,
        metrics: [
          ...names.map((name) =>
            row('topRandomised', 'Topmost weights randomised', name, (record, v) => record.stages[0][v]),
          ),
          ...names.map((name) =>
            row('allRandomised', 'All weights randomised', name, (record, v) => record.stages[last][v]),
          ),
          ...names.map((name) =>
            row(
              'classSensitivity',
              'Top against least likely class',
              name,
              (record, v) => record.sensitivity[v],
            ),
          ),
        ],
      },
    ],
    charts,
    notes: [
      'Model randomisation (Adebayo et al., arXiv 1810.03292): the values of weight tensors are put in random order, from the scores down (cascading) or for one operator at a time (independent); the map of the picture’s original top class is compared with that of the original network.',
      `Stages: ${stages
        .filter((stage) => stage.kind === 'cascading')
        .map((stage) => stage.operator)
        .join(', ')}. The scale and shift of a normalisation go with the operator before it.`,
      'Rank correlation: Spearman, ties averaged; pictures with an empty map have none and are left out. SSIM: Wang et al. 2004, Gaussian window 11 × 11, σ 1.5.',
      'Random control: two unrelated noise maps, the similarity that means nothing.',
      `Intervals: 95 %, bias-corrected and accelerated bootstrap over pictures, seed ${seed}.`,
    ],
  };
}

function finite(value: number, otherwise: number): number {
  return Number.isFinite(value) ? value : otherwise;
}

/** One row a picture, in the order of the records. */
export function sanityTable(
  records: readonly SanityRecord[],
  classes: readonly string[],
  stages: readonly Stage[],
  { variants }: SanitySettings,
): Table {
  const numbers = (name: string, value: (record: SanityRecord) => number): Column =>
    numberColumn(name, records, value);
  const both = (name: string, value: (record: SanityRecord) => Similarity): Column[] => [
    numbers(`${name}, rank correlation`, (record) => value(record).rank),
    numbers(`${name}, SSIM`, (record) => value(record).ssim),
  ];
  return [
    { name: 'image', type: 'string', values: records.map((record) => record.image) },
    numbers('class', (record) => record.class),
    { name: 'className', type: 'string', values: records.map((record) => classes[record.class] ?? '') },
    numbers('leastLikely', (record) => record.leastLikely),
    ...variants.flatMap(({ name }, v) => [
      ...both(`${name}: class sensitivity`, (record) => record.sensitivity[v]),
      ...stages.flatMap((stage, s) =>
        both(`${name}: ${stage.kind} ${stage.operator}`, (record) => record.stages[s][v]),
      ),
    ]),
  ];
}
