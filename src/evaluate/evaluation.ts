import { join } from 'node:path';
import { availableCores } from '../batch/cores.js';
import { isCpu } from '../batch/workforce.js';
import { oneOf, wholeNumber } from '../check.js';
import { GradcamppError } from '../errors.js';
import type { ExplainerOptions } from '../explain/options.js';
import { expandSources } from '../image/sources.js';
import { openSubject } from './open.js';
import { type Failure, writeOutcome } from './report/files.js';
import type { Report } from './report/report.js';
import type { Table } from './report/table.js';
import { type Measurer, measureHere, measureInWorkers, type Progress, type RunResult } from './run.js';
import type { Variant } from './subject.js';
import type { Measured } from './tasks.js';

/** What every evaluation takes. */
export interface EvaluateOptions {
  /** The ONNX model, or a measurer that is ready (it is closed). */
  readonly model: string | Measurer;
  /** Files, folders or patterns. */
  readonly images: readonly string[];
  readonly variants: readonly Variant[];
  /** Where results go: `results.json`, the table, `report.html`. */
  readonly out: string;
  readonly open?: ExplainerOptions;
  /** Worker threads, each with a session of one thread; default: the cores. 0 measures in this thread. */
  readonly workers?: number;
  /** Goes on with a run that was cut off. */
  readonly resume?: boolean;
  readonly seed?: number;
  readonly table?: 'csv' | 'parquet';
  readonly onProgress?: (progress: Progress & { readonly step: string }) => void;
}

/** What an evaluation says when it is done. */
export interface Evaluated {
  readonly report: Report;
  readonly images: number;
  readonly failures: readonly Failure[];
  readonly files: readonly string[];
}

/** The variants and the seed, and the format of the table, checked before anything is measured. */
export function commonOf({
  variants,
  seed = 1,
  table = 'csv',
}: Pick<EvaluateOptions, 'variants' | 'seed' | 'table'>) {
  oneOf('table', table, ['csv', 'parquet']);
  if (variants.length === 0)
    throw new GradcamppError('INVALID_OPTION', '"variants" must name at least one way to explain.');
  return { variants, seed: wholeNumber('seed', seed) };
}

/** How jobs called `step` in progress are run, with a journal of that name. */
export function runOptions(
  { out, resume, onProgress }: Pick<EvaluateOptions, 'out' | 'resume' | 'onProgress'>,
  name: string,
  step: string,
) {
  return {
    journal: join(out, `${name}.journal`),
    resume,
    onProgress: onProgress && ((progress: Progress) => onProgress({ ...progress, step })),
  };
}

export function recordsOf<R>({ measured }: { readonly measured: readonly Measured<R>[] }): R[] {
  return measured.map(({ record }) => record);
}

/** Finds the pictures, opens the network, and closes it whatever happens. */
export async function withMeasurer<T>(
  options: EvaluateOptions,
  use: (measurer: Measurer, images: readonly string[]) => Promise<T>,
): Promise<T> {
  const images = await expand(options.images);
  const measurer = await openMeasurer(options.model, options, images.length);
  try {
    return await use(measurer, images);
  } finally {
    await measurer.close();
  }
}

export async function openMeasurer(
  model: string | Measurer,
  { open = {}, workers }: Pick<EvaluateOptions, 'open' | 'workers'>,
  jobs: number,
): Promise<Measurer> {
  if (typeof model !== 'string') return model;
  const cores = isCpu(open) ? availableCores() : 1;
  const wanted = wholeNumber('workers', workers ?? Math.min(cores, jobs), 0, 1024);
  const subject = await openSubject(model, open);
  return wanted === 0 ? measureHere(subject) : measureInWorkers(subject, model, open, wanted);
}

export async function expand(sources: readonly string[]): Promise<string[]> {
  const images: string[] = [];
  for await (const image of expandSources(sources)) images.push(image);
  const unique = new Set(images);
  if (unique.size < images.length)
    throw new GradcamppError(
      'INVALID_OPTION',
      `"images" must not name a picture twice; received ${images.find((image, i) => images.indexOf(image) < i)} again.`,
    );
  return images;
}

/** Writes the results, then lets the journal go. */
export async function finish(
  options: EvaluateOptions,
  evaluation: string,
  settings: object,
  run: RunResult<unknown>,
  { subject }: Measurer,
  parts: {
    readonly images: number;
    readonly failures?: readonly Failure[];
    readonly report: Omit<Report, 'provenance'>;
    readonly gallery: NonNullable<Report['gallery']>;
    readonly table: Table;
  },
): Promise<Evaluated> {
  const { images, table, failures = run.failures } = parts;
  const gallery = parts.gallery.items.length > 0 ? parts.gallery : undefined;
  const report: Report = { ...parts.report, gallery, provenance: subject.description };
  const files = await writeOutcome(
    { evaluation, images, failures, settings, report, table },
    options.out,
    options.table,
  );
  await run.finish();
  return { report, images, failures, files };
}
