import { basename, join } from 'node:path';
import { NetworkExplainer } from '../../explain/network-explainer.js';
import type { ExplanationMap } from '../../explain/explanation.js';
import { format } from '../../evaluate/report/number.js';
import type { Breakdown, Chart, Gallery, GalleryItem, Report, Series } from '../../evaluate/report/report.js';
import { mean } from '../../evaluate/statistics.js';
import { openThumbnails } from '../../evaluate/report/thumbnail.js';
import { modelFile } from '../../graph/model-file.js';
import { cropToInput, type Preprocessing, preprocess } from '../../image/preprocess.js';
import { random } from '../../random-stream.js';
import type { Tensor } from '../../tensor.js';
import { type PictureSource, readPicture } from '../data/picture-source.js';
import { forUse } from '../training-form.js';
import { metricFor } from '../metrics/index.js';
import type { Metric } from '../metrics/metric.js';
import type { EpochLine } from './checkpoint.js';
import type { Job, RunPlan } from './plan.js';
import type { Measured, Results } from './results.js';
import type { Interval } from './student-t.js';
import { studentNetwork } from './student-network.js';
import type { JobOutcome } from './training-service.js';

/** Pictures whose maps are shown. */
const shownPictures = 24;

interface Parts {
  readonly command: string;
  readonly plan: RunPlan;
  readonly settings: {
    readonly teacher?: string | undefined;
    readonly teacherLayer?: string | undefined;
    readonly method?: string;
  };
  readonly outcomes: ReadonlyMap<Job, JobOutcome>;
  readonly measured: Measured;
  readonly results: Results;
}

/** What report.html shows: the metric, learning curves of every term, the metric by class, maps side by side. */
export async function reportOf(parts: Parts): Promise<Report> {
  const { command, plan, settings, results, measured } = parts;
  const { teacher, arms, differences, classes } = results;
  const series: Series[] = [
    ...(teacher ? [{ name: 'teacher' }] : []),
    { name: 'untrained', control: true },
    ...arms.map(({ name }) => ({ name })),
  ];
  const before = series.length - arms.length;
  const percent = (share: number) => `${format(100 * share, 1)} %`;
  const metric = metricFor(plan.isMultiLabel);
  const { definition, measure: _, ...words } = metric;
  const values = arms.map(({ name, value }) => `${name} ${percent(value.mean)}`).join(', ');
  const told = differences.map(({ arm, against, difference }) => {
    const { mean, low, high, range } = difference;
    const ends = low === null || high === null ? range : [low, high];
    const [from, to] = ends.map((end) => format(100 * end, 1));
    const interval = from === to ? '' : ` (${low === null ? 'seeds' : '95 %'} ${from} … ${to})`;
    return ` ${metric.name} of “${arm}” is ${format(100 * Math.abs(mean), 1)} points ${mean < 0 ? 'below' : 'above'} that of “${against}”${interval}.`;
  });
  return {
    title: command === 'distill' ? 'Distillation' : 'Training',
    lead: `${metric.name} on ${measured.labels.length} ${measured.on} pictures: ${values}${teacher ? `; the teacher ${percent(teacher.value)}` : ''}.${told.join('')}`,
    series,
    summaries: [
      {
        title: metric.name,
        caption: `On ${measured.labels.length} ${measured.on} pictures${arms[0].seeds.length > 1 ? `; mean of ${arms[0].seeds.length} seeds` : ''}`,
        metrics: [
          {
            ...words,
            values: [
              ...(teacher ? [estimate({ mean: teacher.value }, 1)] : []),
              undefined,
              ...arms.map(({ value, seeds }) => estimate(value, seeds.length)),
            ],
          },
        ],
      },
    ],
    breakdowns: [byClass(metric, results, measured, series.length - arms.length)],
    charts: chartsOf(parts, before),
    gallery: await galleryOf(parts, series),
    remarks: results.notes,
    provenance: [
      ['command', command],
      ...(settings.teacher === undefined ? [] : [['teacher', basename(settings.teacher)] as const]),
      ['student', basename(plan.settings.student)],
      ...results.pictures.map((note) => ['pictures', note] as const),
      ['classes', classes.join(', ')],
      ['trained on', `${results.trainedOn} pictures, ${plan.settings.epochs} epochs`],
      ['seeds', arms[0].seeds.map(({ seed }) => seed).join(', ')],
      ...[...parts.outcomes.keys()]
        .filter(({ seed }) => seed === 1)
        .map(({ arm, terms }) => [`loss of ${arm}`, termsText(terms)] as const),
    ],
    notes: [
      `${metric.name}: ${definition}.`,
      'Intervals are Student’s t over seeds, 95 %, from three seeds on; differences are taken seed by seed.',
      'Curves are the means over the seeds at the end of each epoch; training errors are those of their augmented views while the weights move.',
      'Maps are of each picture’s own class, the first where it has several, of the first seed’s students.',
    ],
  };
}

function termsText(terms: Job['terms']): string {
  const { labels, interpret, kd, temperature, attention, reasons, method, normalization, form, placebo } =
    terms;
  const parts = [
    labels > 0 && `${labels} · cross entropy`,
    kd > 0 && `${kd} · distillation at temperature ${temperature}`,
    attention > 0 && `${attention} · attention transfer`,
    reasons > 0 && `${reasons} · map outside the masks (${method})`,
    interpret > 0 &&
      `${interpret} · explanation (${method}, ${form === 'cosine' ? 'cosine' : normalization}${placebo ? ', of another picture' : ''})`,
  ];
  return parts.filter(Boolean).join(' + ');
}

function estimate({ mean, low, high }: Pick<Interval, 'mean'> & Partial<Interval>, count: number) {
  return { mean, low: low ?? Number.NaN, high: high ?? Number.NaN, count };
}

function byClass(
  { name, hint, scale, unit, digits }: Metric,
  { classes, teacher, arms }: Results,
  { labels }: Measured,
  before: number,
): Breakdown {
  const untrained = before - (teacher ? 1 : 0);
  return {
    title: `${name} by class`,
    caption: `${capitalized(hint)}; mean of the seeds`,
    scale,
    unit,
    digits,
    rows: classes.map((own, label) => ({
      class: own,
      count: labels.filter((all) => all.includes(label)).length,
      values: [
        ...(teacher ? [teacher.byClass[label]] : []),
        ...Array<number>(untrained).fill(Number.NaN),
        ...arms.map(({ seeds }) => mean(seeds.map(({ byClass: values }) => values[label]))),
      ],
    })),
  };
}

/** A chart for the errors, the loss, and each of its terms. */
function chartsOf({ outcomes, results, plan }: Parts, before: number): Chart[] {
  const epochs = plan.settings.epochs;
  if (epochs < 2) return [];
  const logs = results.arms.map(({ name }) =>
    [...outcomes].filter(([{ arm }]) => arm === name).map(([, { log }]) => log),
  );
  const chart = (
    key: string,
    title: string,
    caption: string,
    value: (line: EpochLine) => number | undefined,
  ): Chart | undefined => {
    const lines = logs.map((own) => {
      const y = Array.from({ length: epochs }, (_, epoch) => {
        const values = own.map((log) => value(log[epoch]));
        return values.every((one): one is number => one !== undefined) ? mean(values) : undefined;
      });
      return y.every((one): one is number => one !== undefined)
        ? { y, note: `${format(y[epochs - 1], 2)} at the end` }
        : undefined;
    });
    if (lines.every((line) => line === undefined)) return undefined;
    if (key === 'zero maps' && lines.every((line) => line?.y.every((count) => count === 0) ?? true))
      return undefined;
    return {
      key,
      title,
      caption,
      xLabel: 'epoch',
      yLabel: title,
      x: Array.from({ length: epochs }, (_, i) => i + 1),
      lines: [...Array<undefined>(before).fill(undefined), ...lines],
    };
  };
  const terms = new Set(logs.flat(2).flatMap((line) => Object.keys(line.terms)));
  const charts = [
    chart(
      'validation',
      `Validation ${metricFor(plan.isMultiLabel).key}, %`,
      'On pictures that are not trained on',
      ({ validation }) => (validation === undefined ? undefined : 100 * validation),
    ),
    chart(
      'trainError',
      'Training error, %',
      `${plan.isMultiLabel ? 'Share of wrong labels' : 'Share of wrong pictures'}, on the views of the epoch`,
      ({ trainError }) => 100 * trainError,
    ),
    ...[...terms].map((name) =>
      chart(
        name,
        capitalized(name),
        name === 'zero maps' ? 'Of the epoch' : 'Before its weight',
        ({ terms: own }) => own[name],
      ),
    ),
  ];
  return charts.filter((own) => own !== undefined);
}

function capitalized(text: string): string {
  return text[0].toUpperCase() + text.slice(1);
}

/** Test pictures as the networks see them, with what teacher and students mark in them, before and after. */
async function galleryOf({ plan, settings, measured, results, outcomes }: Parts, series: readonly Series[]) {
  const { preprocessing, classes } = plan;
  const [height, width] = preprocessing.size;
  const chosen = random(plan.seed, 'gallery')
    .shuffle(measured.pictures.map((_, i) => i))
    .slice(0, shownPictures)
    .sort((a, b) => a - b);
  const method = settings.method ?? 'grad-cam++';
  const [first] = outcomes.keys();
  const request = { ...plan.settings, classes: classes.length, preprocessing, seed: first.seed };
  const untrained = await studentNetwork(request);
  const sidecar = (name: string, layer: string) => ({
    input: { ...preprocessing, name },
    classes: [...classes],
    targetLayer: layer,
  });
  const networks: [model: string | Uint8Array, options: object][] = [
    ...(settings.teacher === undefined
      ? []
      : [
          [settings.teacher, settings.teacherLayer ? { layer: settings.teacherLayer } : {}] as [
            string,
            object,
          ],
        ]),
    [modelFile(forUse(untrained.graph)).toBytes(), { preprocess: sidecar(untrained.image, untrained.layer) }],
    ...results.arms.map(({ name }): [string, object] => {
      const job = [...outcomes.keys()].find(({ arm }) => arm === name) as Job;
      return [join(plan.folder, job.folder, 'student.onnx'), {}];
    }),
  ];
  const maps: Shown[][] = [];
  for (const [model, options] of networks)
    maps.push(await mapsOf(model, options, chosen, measured, { method, preprocessing }));
  const thumbnails = openThumbnails(chosen.length, series.length);
  const items: GalleryItem[] = [];
  for (const [n, i] of chosen.entries()) {
    const picture = cropToInput(await readPicture(measured.pictures[i]), preprocessing);
    items.push({
      name: measured.pictures[i].name.split(/[\\/]/).slice(-2).join('/'),
      class: measured.labels[i].map((label) => classes[label]).join(', '),
      caption: '',
      picture: await thumbnails.picture(picture),
      values: [],
      maps: maps.map((own) => ({
        ...thumbnails.map(own[n].map.data, own[n].map.dims[1]),
        score: `${classes[own[n].best]}, p(own) ${format(own[n].probability, 2)}`,
      })),
    });
  }
  const gallery: Gallery = {
    orders: [],
    total: measured.pictures.length,
    aspect: width / height,
    pixelated: width < 64,
    items,
  };
  return gallery;
}

interface Shown {
  readonly map: ExplanationMap;
  readonly best: number;
  /** Of the picture's own class. */
  readonly probability: number;
}

async function mapsOf(
  model: string | Uint8Array,
  options: object,
  chosen: readonly number[],
  { pictures, labels }: Measured,
  { method, preprocessing }: { readonly method: string; readonly preprocessing: Preprocessing },
): Promise<Shown[]> {
  const explainer = await NetworkExplainer.open(model, { ...options, backend: 'reference', threads: 1 });
  try {
    const shown: Shown[] = [];
    for (const i of chosen) {
      const [explanation] = await explainer.explain([await inputOf(pictures[i], preprocessing)], {
        targets: [labels[i][0] ?? 0],
        method: method as never,
      });
      const { scores, probabilities, targets } = explanation;
      shown.push({
        map: targets[0].map,
        best: scores.reduce((most, value, c) => (value > scores[most] ? c : most), 0),
        probability: probabilities?.[labels[i][0] ?? 0] ?? Number.NaN,
      });
    }
    return shown;
  } finally {
    await explainer.close();
  }
}

/** A picture as networks take it, so that its map is that of what is shown. */
async function inputOf(picture: PictureSource, preprocessing: Preprocessing): Promise<Tensor> {
  const { tensor, dims } = preprocess(await readPicture(picture), preprocessing);
  return { type: 'float32', dims: [1, ...dims], data: tensor };
}
