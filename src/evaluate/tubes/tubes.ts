import { GradcamppError } from '../../errors.js';
import { choice, text } from '../../options.js';
import { defineEvaluation, type Gathered, type Plan, type Round } from '../definition.js';
import { listPictures, pictureSources } from '../listed-pictures.js';
import { metricColumns, type Metric, metricRows, percent } from '../metric.js';
import type { Table } from '../report/columns.js';
import {
  breakdownOf,
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
import { mean } from '../statistics.js';
import {
  checkClasses,
  measureTubes,
  type TubeJob,
  type TubeRecord,
  type TubeSettings,
} from './annotated-clip.js';
import { tubeMetrics } from './metrics/index.js';
import { energyInTube } from './metrics/energy-in-tube.js';
import { readTubes } from './tube-file.js';

export interface TubePlan extends Plan {
  readonly jobs: readonly TubeJob[];
  readonly settings: TubeSettings;
}
type TubeRound = Round<TubePlan, TubeRecord>;

export interface AnnotatedClips extends Gathered {
  readonly jobs: readonly TubeJob[];
}

const options = {
  images: pictureSources('--data <path>', 'clips: a folder, file or pattern'),
  tubes: text({
    help: 'boxes for each frame, a JSON file or a table (docs/evaluating.md)',
    flag: '--tubes <file>',
    expected: 'a path',
  }),
  target: choice(['top', 'annotated'], {
    help: 'explain the top class, or the best annotated one',
    flag: '--target <which>',
    default: 'top',
  }),
};

/** Where and when the maps of clips lie. */
export const tubes = defineEvaluation<typeof options, AnnotatedClips, TubePlan, TubeRecord>({
  name: 'tubes',
  description: 'Energy in space and in time, and pointing game, of clips with boxes for each frame.',
  asks: 'does the map of a clip mark what acts, in the frames in which it does? Clips with boxes for each frame',
  metrics: tubeMetrics,
  example: '--data clips/ --tubes tubes.json',
  options,
  gather: async ({ images: sources, tubes: path }, takesClips) => {
    if (!takesClips)
      throw new GradcamppError(
        'UNSUPPORTED_MODEL',
        '"tubes" evaluates networks of clips, and the model takes pictures; localization takes them.',
      );
    if (path === undefined)
      throw new GradcamppError(
        'INVALID_OPTION',
        '"tubes" is missing: the path of a file of boxes (--tubes <file>).',
      );
    const { images, files, leftOut } = await listPictures(sources, { takesClips });
    const found = await readTubes(images, path);
    return {
      images,
      leftOut,
      files: [...files, path],
      jobs: images.map((image, i) => ({ image, tubes: found[i] })),
    };
  },
  plan: ({ gathered: { jobs }, common, subject, options: { target } }) => {
    checkClasses(
      jobs.map((job) => job.tubes),
      subject,
    );
    return { jobs, settings: { ...common, target }, unit: 'clips' };
  },
  measure: measureTubes,
  summarize: ([{ records, plan }]) => summarizeTubes(records, plan.settings),
  table: ([round]) => tubeTable(round),
  gallery: tubeGallery,
});

const metrics: readonly Metric<TubeRecord>[] = tubeMetrics.map(
  ({ measure: _, chance: __, key, ...words }) => ({
    ...words,
    key,
    value: ({ variants }, v) => variants[v]?.[key] ?? NaN,
    chance: ({ chances }) => chances[key],
  }),
);

const inTube = ({ variants }: TubeRecord, v: number) => variants[v][energyInTube.key];

export function summarizeTubes(
  unordered: readonly TubeRecord[],
  { variants, seed, target }: TubeSettings,
): Omit<Report, 'provenance' | 'gallery'> {
  const all = byImage(unordered);
  const records = all.filter(({ excluded }) => !excluded);
  const energies = columnsOf(records, variants, inTube);
  const shown = variants.map(({ name }, v) => `${name} ${(100 * mean(energies[v])).toFixed(1)} %`).join(', ');
  const chance = 100 * mean(records.map(({ chances }) => chances[energyInTube.key]));
  return {
    title: 'Tubes',
    lead:
      records.length === 0
        ? 'No clip shows an annotated place of its explained class.'
        : `So much of the maps lies on what acts, while it does: ${shown}; a uniform map ${chance.toFixed(1)} %.`,
    series: seriesOf(variants),
    summaries: [
      {
        title: 'Tubes',
        caption: `${records.length} of ${all.length} clips count. ${exclusionsOf(all)}Below each number its 95 % bootstrap interval.`,
        metrics: metricRows(metrics, records, variants, seed),
      },
    ],
    duels:
      records.length > 0
        ? duelsOf(energies, variants, {
            tested: 'energy inside the tube (percentage points, first minus second)',
            better: 'higher',
            seed,
          })
        : undefined,
    breakdowns: [
      breakdownOf(records, energies, ({ annotated }) => annotated || '(any)', {
        title: 'Energy inside the tube by class',
        caption: 'By the annotated class.',
        ...percent,
      }),
    ],
    notes: [
      'A tube is the boxes of a clip’s frames; frames without a box are those in which nothing acts. Boxes follow the frames through sampling, resizing and cropping; a pixel is inside when its centre is.',
      target === 'top'
        ? 'Explained is the top class of each clip; clips without an annotated place of that class do not count.'
        : 'Explained is the most probable of the classes that are annotated in the clip, whether or not it is the top class.',
      controlNote,
      statisticsNote(seed),
    ],
  };
}

function exclusionsOf(records: readonly TubeRecord[]): string {
  const reasons = records.flatMap(({ excluded }) => excluded ?? []);
  const said = [...new Set(reasons)]
    .sort()
    .map((why) => `${reasons.filter((one) => one === why).length} ${why}`);
  return said.length > 0 ? `Not counted: ${said.join(', ')}. ` : '';
}

/** Measures of clips that do not count are NaN. */
function tubeTable({ records, subject, plan }: TubeRound): Table {
  return [
    ...recordColumns(records, subject.classes),
    numberColumn('probability', records, ({ probability }) => probability),
    stringColumn('annotated', records, ({ annotated }) => annotated ?? ''),
    stringColumn('excluded', records, ({ excluded }) => excluded ?? ''),
    ...plan.settings.variants.flatMap((variant, v) => metricColumns(metrics, records, variant, v)),
  ];
}

function tubeGallery({ measured, subject, records }: TubeRound) {
  const entries = measured.flatMap(({ record, shown }): GalleryEntry[] =>
    shown.map((picture) => {
      const values = record.variants.map((_, v) => inTube(record, v));
      return {
        name: record.image,
        class: record.annotated || '(any)',
        caption: `explained as ${subject.classes[record.class]}, p = ${record.probability.toFixed(2)}`,
        boxes: record.boxes,
        shown: picture,
        values,
        scores: values.map((value) => `${(100 * value).toFixed(0)} % in the tube`),
      };
    }),
  );
  const total = records.filter(({ excluded }) => !excluded).length;
  return { entries, order: { title: 'energy inside the tube' }, total };
}
