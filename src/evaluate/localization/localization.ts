import { GradcamppError, messageOf, show } from '../../errors.js';
import { choice, number, numbers, text } from '../../options.js';
import type { AnnotationSet, SizeRemark } from '../annotations/annotation.js';
import { annotationFormat, findAnnotations, formatNames } from '../annotations/annotation-formats.js';
import { mappingByName, readMapping } from '../annotations/mapping.js';
import { matchAnnotations } from '../annotations/matching.js';
import { defineEvaluation, type Gathered, type Plan, type Round } from '../definition.js';
import { metricColumns, type Metric, metricRows, percent, plain } from '../metric.js';
import { listPictures, picturesOnly, pictureSources } from '../listed-pictures.js';
import {
  breakdownOf,
  byImage,
  columnsOf,
  controlNote,
  curveLines,
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
import {
  deltaGrid,
  type LocalizationJob,
  type LocalizationRecord,
  measureLocalization,
} from './annotated-picture.js';
import { localizationMetrics } from './metrics/index.js';
import type { LocalizationSettings } from './place.js';

export interface LocalizationPlan extends Plan {
  readonly jobs: readonly LocalizationJob[];
  readonly settings: LocalizationSettings;
}
type LocalizationRound = Round<LocalizationPlan, LocalizationRecord>;

/** The pictures, what is annotated of each, and of which classes. */
export interface AnnotatedPictures extends Gathered {
  readonly jobs: readonly LocalizationJob[];
  readonly classes: ReadonlySet<string>;
  readonly remarks: readonly string[];
}

const options = {
  images: pictureSources('--data <path>', 'a data set folder as its format lays it out, or pictures'),
  boxes: choice(formatNames, {
    help: `${formatNames.join(', ')}: how the places are annotated`,
    flag: '--boxes <format>',
  }),
  annotations: text({
    help: 'labels, annotations, masks or the COCO file',
    flag: '--annotations <path>',
    expected: 'a path',
    otherwise: 'found in --data',
  }),
  mapping: text({
    help: 'imagenet-to-coco, imagenet-to-voc or a file',
    flag: '--mapping <name>',
    otherwise: 'classes of equal names',
  }),
  deltas: numbers({ help: 'thresholds', flag: '--delta <number>', default: [0, 0.25, 0.5], from: 0, to: 1 }),
  tolerance: number({
    help: 'of the pointing game',
    flag: '--tolerance <pixels>',
    default: 0,
    from: 0,
    to: 1000,
  }),
  boxThreshold: number({
    help: 'of the maximum, from which on a map proposes its box',
    flag: '--box-threshold <share>',
    default: 0.15,
    from: 0,
    to: 1,
  }),
  target: choice(['top', 'annotated'], {
    help: 'explain the top class, or the best annotated one',
    flag: '--target <which>',
    default: 'top',
  }),
};

/** Loc(δ), box IoU, pointing game, energy and rank accuracy on annotated pictures. */
export const localization = defineEvaluation<
  typeof options,
  AnnotatedPictures,
  LocalizationPlan,
  LocalizationRecord
>({
  name: 'localization',
  description: 'Loc(δ), box IoU, pointing game, energy and rank accuracy on annotated pictures.',
  asks: 'does the map mark the thing? Pictures with boxes or masks',
  metrics: localizationMetrics({ deltas: [0.5], tolerance: 0, boxThreshold: 0.15 }).map((metric) => ({
    ...metric,
    name: metric.name.replace('0.5', 'δ'),
  })),
  example: '--data coco128/ --boxes yolo --mapping imagenet-to-coco',
  options,
  gather: async ({ images: sources, boxes, annotations }, takesClips) => {
    picturesOnly('localization', takesClips);
    const format = annotationFormat(boxes);
    const found =
      annotations === undefined && sources.length > 0 ? await findAnnotations(sources[0], format) : undefined;
    const { images, leftOut } = await listPictures(found ? [found.images, ...sources.slice(1)] : sources);
    const path = annotations ?? (found?.annotations as string);
    return { images, leftOut, ...(await readAnnotations(images, await format.read(path, images), path)) };
  },
  plan: async ({ gathered: { jobs, classes, remarks }, common, subject, options }) => {
    const mapping = await mappingOf(options.mapping, subject.classes, classes);
    const { deltas, tolerance, boxThreshold, target } = options;
    const settings = {
      ...common,
      deltas,
      tolerance,
      boxThreshold,
      target,
      mapping: subject.classes.map((_, i) => mapping(i) ?? null),
    };
    return { jobs, settings, remarks };
  },
  measure: measureLocalization,
  summarize: ([{ records, plan }]) => summarizeLocalization(records, plan.settings),
  table: ([{ records, subject, plan }]) => localizationTable(records, subject.classes, plan.settings),
  gallery: localizationGallery,
});

/** Files that are read at once. */
const together = 64;

/** Finds and reads the annotation of each picture; what is wrong with one is that picture's problem. */
async function readAnnotations(
  images: readonly string[],
  { entries, classes = [], remarks = [] }: AnnotationSet,
  path: string,
): Promise<Omit<AnnotatedPictures, 'images'>> {
  const matches = matchAnnotations(images, entries);
  const jobs: LocalizationJob[] = [];
  const jobOf = async (image: string, i: number): Promise<LocalizationJob> => {
    const match = matches[i];
    if (!match) return { image };
    if ('problem' in match) return { image, problem: match.problem };
    try {
      return { image, annotation: await match.read() };
    } catch (error) {
      if (!(error instanceof GradcamppError)) throw error;
      return { image, problem: messageOf(error) };
    }
  };
  for (let start = 0; start < images.length; start += together)
    jobs.push(
      ...(await Promise.all(
        images.slice(start, start + together).map((image, i) => jobOf(image, start + i)),
      )),
    );
  if (!jobs.some(({ annotation }) => annotation)) throw noneAnnotated(jobs, entries, path);
  const objects = jobs.flatMap(({ annotation }) => annotation?.objects ?? []);
  const flagged = objects.filter(({ isFlagged }) => isFlagged).length;
  return {
    jobs,
    files: [...new Set(matches.flatMap((match) => (match && 'files' in match ? match.files : [])))],
    classes: new Set([...classes, ...objects.map((object) => object.class)]),
    remarks: [
      ...remarks,
      ...(flagged > 0
        ? [
            `${flagged} of ${objects.length} objects are marked as difficult or as a crowd; they count like the others: the class is there.`,
          ]
        : []),
    ],
  };
}

function noneAnnotated(
  jobs: readonly LocalizationJob[],
  entries: AnnotationSet['entries'],
  path: string,
): GradcamppError {
  const problem = jobs.find((job) => job.problem !== undefined)?.problem;
  const example = entries[0]
    ? ` The first annotation there is of ${show(entries[0].picture)}, the first picture is ${show(jobs[0].image)}.`
    : '';
  const none = `None of the ${jobs.length} pictures is annotated in ${show(path)}: annotations are found by the pictures' paths, or by names that only one has.`;
  return new GradcamppError('INVALID_OPTION', problem ?? `${none}${example}`);
}

/** The mapping that was named, else classes of equal names; none where only masks without a class are given. */
async function mappingOf(
  file: string | undefined,
  classes: readonly string[],
  annotated: ReadonlySet<string>,
) {
  if (file !== undefined) return readMapping(file, classes);
  if (annotated.size === 1 && annotated.has('')) return () => undefined;
  return mappingByName(classes, annotated);
}

/** The metrics as the report has them, with these settings. */
function metricsOf(settings: LocalizationSettings): Metric<LocalizationRecord>[] {
  return localizationMetrics(settings).map(({ measure: _, key, ...words }) => ({
    ...words,
    key,
    value: (record, v) => record.variants[v]?.values[key] ?? NaN,
    chance: (record) => record.chances[key],
  }));
}

/** Loc at the middle one of the thresholds, which tests, class tables and the gallery use. */
function middleOf({ deltas }: Pick<LocalizationSettings, 'deltas'>) {
  const delta = deltas[Math.floor(deltas.length / 2)];
  return {
    name: `Loc(${delta})`,
    value: ({ variants }: LocalizationRecord, v: number) => variants[v].values[`localization(${delta})`],
  };
}

export function summarizeLocalization(
  unordered: readonly LocalizationRecord[],
  settings: LocalizationSettings,
): Omit<Report, 'provenance' | 'gallery'> {
  const { variants, seed } = settings;
  const all = byImage(unordered);
  const records = all.filter((record) => !record.excluded);
  const middle = middleOf(settings);
  const loc = columnsOf(records, variants, middle.value);
  const pointing = columnsOf(records, variants, (record, v) => record.variants[v].values.pointing);
  const nameOf = (record: LocalizationRecord): string => record.annotated ?? '(mask)';
  const area = mean(records.map((record) => record.area));
  return {
    title: 'Localisation',
    lead:
      records.length === 0
        ? 'No picture shows an annotated place of its explained class.'
        : `How well the maps cover the annotated places of the explained class, ${middle.name}: ${variants.map(({ name }, v) => `${name} ${mean(loc[v]).toFixed(3)}`).join(', ')}; a map that knows nothing, at most ${area.toFixed(3)}.`,
    series: seriesOf(variants),
    summaries: [
      {
        title: 'Localisation',
        caption: `${records.length} of ${all.length} pictures count. ${exclusionsOf(all)}The annotated places cover ${(100 * (records.length > 0 ? area : 0)).toFixed(1)} % of the input on average. Below each number its 95 % bootstrap interval.`,
        metrics: metricRows(metricsOf(settings), records, variants, seed),
      },
    ],
    duels:
      records.length > 0
        ? duelsOf(loc, variants, {
            tested: `${middle.name} (times 100, first minus second)`,
            better: 'higher',
            seed,
          })
        : undefined,
    charts: records.length > 0 ? [chartOf(records, settings)] : undefined,
    remarks: sizeRemarks(records),
    breakdowns: [
      breakdownOf(records, loc, nameOf, {
        title: `${middle.name} by class`,
        caption: 'By the annotated class.',
        ...plain,
      }),
      breakdownOf(records, pointing, nameOf, {
        title: 'Pointing game by class',
        caption: 'By the annotated class.',
        ...percent,
      }),
    ],
    notes: [
      'Loc(δ) = internal / (box area + external area) of the positions with L ≥ δ, several boxes of the class united (Chattopadhyay et al., arXiv 1710.11063). Written out this is the intersection over the union of marked positions and boxes. At δ = 0 the non-zero positions are meant: L ≥ 0 would be the whole picture for every method.',
      settings.target === 'top'
        ? 'Explained is the top class of each picture; pictures without an annotated place of that class do not count.'
        : 'Explained is the most probable of the classes that are annotated in the picture, whether or not it is the top class.',
      'Boxes follow the picture through resizing and cropping; what the network does not see is cut off. A pixel is inside when its centre is.',
      'Pointing game (Zhang et al., arXiv 1608.00507): where several positions share the maximum, the share of them that is inside; an empty map is a miss. Energy (Wang et al., arXiv 1910.01279), the relevance mass accuracy of Arras et al. (arXiv 2003.07258): 0 for an empty map. Rank accuracy (Arras et al.): ties at the last place count as a draw would.',
      controlNote,
      statisticsNote(seed),
    ],
  };
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

const sizeWords: Readonly<Record<SizeRemark, (pictures: string, sizes: string) => string>> = {
  'none declared': (pictures) =>
    `Of ${pictures} the annotations declare no size: boxes are read in pixels of the picture itself.`,
  'another declared': (pictures, sizes) =>
    `Of ${pictures} the annotations declare another size than the picture has (${sizes}): boxes are read in pixels of the picture itself.`,
  scaled: (pictures, sizes) =>
    `${pictures} ${pictures.startsWith('1 ') ? 'is' : 'are'} saved at another size than the annotations declare, in its proportions (${sizes}): boxes are scaled with the picture.`,
};

/** What is to be said of pictures whose size is not the declared one. */
function sizeRemarks(records: readonly LocalizationRecord[]): string[] {
  return (Object.keys(sizeWords) as SizeRemark[]).flatMap((remark) => {
    const own = records.filter(({ size }) => size?.remark === remark);
    if (own.length === 0) return [];
    const [{ image, size }] = own;
    const shape = (of?: { width: number; height: number }) => of && `${of.width} × ${of.height}`;
    const pictures = own.length === 1 ? '1 picture' : `${own.length} pictures`;
    return [
      sizeWords[remark](pictures, `${shape(size?.declared)}, not ${shape(size?.picture)}, in ${image}`),
    ];
  });
}

function chartOf(records: readonly LocalizationRecord[], { variants, seed }: LocalizationSettings) {
  return {
    key: 'localization',
    title: 'Loc over δ',
    caption: 'Overlap of the thresholded map and the boxes.',
    xLabel: 'threshold δ',
    yLabel: 'Loc(δ)',
    x: deltaGrid,
    lines: curveLines(
      records,
      variants,
      (record, v) => record.variants[v].curve,
      seed,
      (points) => {
        const best = points.reduce((a, b, i) => (b.mean > points[a].mean ? i : a), 0);
        return `best ${points[best].mean.toFixed(3)} at δ = ${deltaGrid[best]}`;
      },
    ),
  };
}

/** Measures of pictures that do not count are NaN. */
export function localizationTable(
  records: readonly LocalizationRecord[],
  classes: readonly string[],
  settings: LocalizationSettings,
): Table {
  const metrics = metricsOf(settings);
  return [
    ...recordColumns(records, classes),
    numberColumn('probability', records, (record) => record.probability),
    stringColumn('annotated', records, (record) => record.annotated ?? ''),
    stringColumn('excluded', records, (record) => record.excluded ?? ''),
    ...settings.variants.flatMap((variant, v) => metricColumns(metrics, records, variant, v)),
  ];
}

function localizationGallery({ measured, subject, records, plan }: LocalizationRound) {
  const middle = middleOf(plan.settings);
  const entries = measured.flatMap(({ record, shown }): GalleryEntry[] =>
    shown.map((picture) => {
      const values = record.variants.map((_, v) => middle.value(record, v));
      return {
        name: record.image,
        class: record.annotated ?? '(mask)',
        caption: `explained as ${subject.classes[record.class]}, p = ${record.probability.toFixed(2)}`,
        boxes: record.boxes,
        shown: picture,
        values,
        scores: values.map((value) => `${middle.name} ${value.toFixed(2)}`),
      };
    }),
  );
  const total = records.filter((record) => !record.excluded).length;
  return { entries, order: { title: middle.name }, total };
}
