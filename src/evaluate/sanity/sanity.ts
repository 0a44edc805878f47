import { count } from '../../options.js';
import { defineEvaluation, type Gathered, type Plan, type Round } from '../definition.js';
import { type Metric, metricColumns, metricRows, plain } from '../metric.js';
import { listPictures, pictureSources } from '../listed-pictures.js';
import {
  bootstrapNote,
  byImage,
  columnsOf,
  estimatesOf,
  numberColumn,
  recordColumns,
  seriesOf,
} from '../report/estimates.js';
import type { GalleryEntry } from '../report/gallery.js';
import { format } from '../report/number.js';
import type { Chart, Report } from '../report/report.js';
import type { Table } from '../report/columns.js';
import { similarities, type Similarity, type SimilarityName, type SimilarityWords } from './similarity.js';
import {
  measureSanity,
  type SanityChunk,
  type SanityJob,
  type SanityRecord,
  type SanitySettings,
  type Stage,
  stagesOf,
} from './stages.js';

export interface SanityPlan extends Plan {
  readonly jobs: readonly SanityJob[];
  readonly settings: SanitySettings;
  readonly stages: readonly Stage[];
}
type SanityRound = Round<SanityPlan, SanityChunk>;

const options = {
  images: pictureSources('--data <path>', 'pictures: a folder, file or pattern'),
  stages: count({
    help: 'of randomisation, cascading and independent each',
    flag: '--stages <n>',
    default: 8,
    from: 1,
    to: 1000,
  }),
};

/** Pictures that share the opening of the randomised networks. */
const chunkSize = 50;

/** Model randomisation and class sensitivity. */
export const sanity = defineEvaluation<typeof options, Gathered, SanityPlan, SanityChunk>({
  name: 'sanity',
  description: 'Do maps change when the weights are random, and with the class?',
  asks: 'does the map change when the weights are random, and with the class?',
  metrics: Object.values<SimilarityWords>(similarities).map((words) => ({
    ...words,
    name: `Sanity: ${words.name}`,
    better: 'lower',
    unit: '',
  })),
  example: '--data photos/',
  options,
  gather: ({ images }, takesClips) => listPictures(images, { takesClips }),
  plan: ({ gathered: { images }, common, subject, options: { stages } }) => ({
    jobs: Array.from({ length: Math.ceil(images.length / chunkSize) }, (_, c) => ({
      image: `chunk-${c + 1}`,
      images: images.slice(c * chunkSize, (c + 1) * chunkSize),
    })),
    settings: { ...common, stages },
    stages: stagesOf(subject.randomization?.groups ?? [], stages),
    unit: `groups of ${chunkSize} pictures`,
    picturesPerJob: Math.min(images.length, chunkSize),
  }),
  measure: measureSanity,
  summarize: ([{ plan, records }]) => summarizeSanity(recordsOf(records), plan.stages, plan.settings),
  table: ([{ plan, records, subject }]) =>
    sanityTable(recordsOf(records), subject.classes, plan.stages, plan.settings),
  gallery: sanityGallery,
  count: ({ records }) => recordsOf(records).length,
  failures: (chunk) => chunk.failures,
});

function recordsOf(chunks: readonly SanityChunk[]): SanityRecord[] {
  return chunks.flatMap((chunk) => chunk.records);
}

type Compared = (record: SanityRecord, v: number) => Similarity;

/** One metric a measure of similarity. */
function metricsOf(key: string, title: string, compared: Compared): Metric<SanityRecord>[] {
  return (Object.keys(similarities) as SimilarityName[]).map((name) => {
    const { measure: _, chance, ...words } = { chance: undefined, ...similarities[name] };
    return {
      ...words,
      ...plain,
      key: `${key}.${name}`,
      name: `${title}, ${words.name}`,
      column: `${title}, ${words.name}`,
      better: 'lower',
      value: (record, v) => compared(record, v)[name],
      ...(chance === undefined ? {} : { chance: () => chance }),
    };
  });
}

export function summarizeSanity(
  unordered: readonly SanityRecord[],
  stages: readonly Stage[],
  { variants, seed }: SanitySettings,
): Omit<Report, 'provenance' | 'gallery'> {
  const records = byImage(unordered);
  const last = lastOf(stages);
  const metrics = metricRows(
    [
      ...metricsOf('topRandomised', 'Topmost weights randomised', (record, v) => record.stages[0][v]),
      ...metricsOf('allRandomised', 'All weights randomised', (record, v) => record.stages[last][v]),
      ...metricsOf(
        'classSensitivity',
        'Top against least likely class',
        (record, v) => record.sensitivity[v],
      ),
    ],
    records,
    variants,
    seed,
  );
  const left = metrics.find(({ key }) => key === 'allRandomised.rank')?.values;
  return {
    title: 'Sanity checks',
    lead:
      records.length === 0
        ? 'No picture could be measured.'
        : `Similarity (rank correlation) that is left when every weight is random: ${variants.map(({ name }, v) => `${name} ${format(left?.[v]?.mean, 3)}`).join(', ')}. An explanation of the network should lose all of it.`,
    series: seriesOf(variants),
    summaries: [
      {
        title: 'Sanity checks',
        caption: `${records.length} pictures, maps of the top class of each. Low is good: a map that stays when the network is gone does not explain it.`,
        metrics,
      },
    ],
    charts: chartsOf(records, stages, { variants, seed }),
    notes: [
      'Model randomisation (Adebayo et al., arXiv 1810.03292): the values of weight tensors are put in random order, from the scores down (cascading) or for one operator at a time (independent); the map of the picture’s original top class is compared with that of the original network.',
      `Stages: ${stages
        .filter((stage) => stage.kind === 'cascading')
        .map((stage) => stage.operator)
        .join(', ')}. The scale and shift of a normalisation go with the operator before it.`,
      'Rank correlation: Spearman, ties averaged; pictures with an empty map have none and are left out. SSIM: Wang et al. 2004, Gaussian window 11 × 11, σ 1.5.',
      'Random control: two unrelated noise maps, the similarity that means nothing.',
      bootstrapNote(seed),
    ],
  };
}

/** The last of the cascading stages: every weight is random. */
function lastOf(stages: readonly Stage[]): number {
  return stages.filter((stage) => stage.kind === 'cascading').length - 1;
}

function chartsOf(
  records: readonly SanityRecord[],
  stages: readonly Stage[],
  { variants, seed }: Pick<SanitySettings, 'variants' | 'seed'>,
): Chart[] {
  const words = {
    cascading: {
      title: 'Cascading',
      caption: 'Weights are randomised from the scores down to more and more of the network.',
      xLabel: 'share of operators randomised',
    },
    independent: {
      title: 'Independent',
      caption: 'Weights of a single operator are randomised, at this depth below the scores.',
      xLabel: 'depth of the operator',
    },
  };
  return (['cascading', 'independent'] as const).flatMap((kind) =>
    (Object.keys(similarities) as SimilarityName[]).map((name): Chart => {
      const own = stages.flatMap((stage, s) => (stage.kind === kind ? [s] : []));
      const points = own.map((s) =>
        estimatesOf(
          columnsOf(records, variants, (record, v) => record.stages[s][v][name]),
          seed,
        ),
      );
      return {
        ...words[kind],
        key: `${kind}.${name}`,
        title: `${words[kind].title}: ${similarities[name].name}`,
        yLabel: 'similarity',
        x: [0, ...own.map((s) => stages[s].depth)],
        lines: variants.map((_, v) => ({
          y: [1, ...points.map((at) => at[v].mean)],
          low: [1, ...points.map((at) => finite(at[v].low, at[v].mean))],
          high: [1, ...points.map((at) => finite(at[v].high, at[v].mean))],
          note: `${format(points.at(-1)?.[v].mean, 3)} at the end`,
        })),
      };
    }),
  );
}

function finite(value: number, otherwise: number): number {
  return Number.isFinite(value) ? value : otherwise;
}

export function sanityTable(
  records: readonly SanityRecord[],
  classes: readonly string[],
  stages: readonly Stage[],
  { variants }: Pick<SanitySettings, 'variants'>,
): Table {
  const metrics = [
    ...metricsOf('classSensitivity', 'class sensitivity', (record, v) => record.sensitivity[v]),
    ...stages.flatMap(({ kind, operator }, s) =>
      metricsOf(kind, `${kind} ${operator}`, (record, v) => record.stages[s][v]),
    ),
  ];
  return [
    ...recordColumns(records, classes),
    numberColumn('leastLikely', records, (record) => record.leastLikely),
    ...variants.flatMap((variant, v) => metricColumns(metrics, records, variant, v)),
  ];
}

function sanityGallery({ measured, subject, records, plan }: SanityRound) {
  const last = lastOf(plan.stages);
  const entries = measured.flatMap(({ record: chunk, shown }): GalleryEntry[] =>
    shown.map((picture, i) => {
      const record = chunk.records[i];
      const values = record.stages[last].map(({ rank }) => rank);
      return {
        name: record.image,
        class: subject.classes[record.class],
        caption: '',
        shown: picture,
        values,
        scores: values.map((value) =>
          Number.isNaN(value) ? 'randomised: empty' : `randomised: rank correlation ${format(value, 2)}`,
        ),
      };
    }),
  );
  return { entries, order: { title: 'similarity after randomisation' }, total: recordsOf(records).length };
}
