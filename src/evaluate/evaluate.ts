import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import type { RunRecord } from '../batch/results/run-record.js';
import { invalid, oneOf } from '../check.js';
import { asOurs } from '../errors.js';
import { type OptionsOf, onlyOneOf, readOptions } from '../options.js';
import type { AnyEvaluation, Gathered, Plan, Round } from './definition.js';
import {
  type EvaluateOptions,
  type EvaluateSettings,
  type Evaluated,
  isOfClips,
  type Network,
  openMeasurer,
  optionsOfAll,
} from './evaluation.js';
import { type EvaluationFolder, openEvaluationFolder, statesOf } from './evaluation-folder.js';
import { type EvaluationName, evaluations } from './evaluations.js';
import type { CommonSettings, Job, Task } from './measurement.js';
import { writeOutcome } from './report/report-files.js';
import { chooseShown, galleryLimit, galleryOf } from './report/gallery.js';
import type { Failure, Report } from './report/report.js';
import { type Part, runJobs } from './jobs.js';
import type { Measurer } from './measurer.js';
import { sameMapRemarks, seeded, variantsOfMethods } from './variants.js';

/** The options of an evaluation: those of all, and its own. */
export type OptionsOfEvaluation<N extends EvaluationName> = EvaluateOptions &
  OptionsOf<(typeof evaluations)[N]['options']>;

/**
 * Runs an evaluation by its name: measures every picture, sums up, and writes `results.json`, the table and
 * `report.html` to `out`. A picture that cannot be read or run is listed under `failures`, and the others go on.
 *
 * @throws GradcamppError for options, networks and annotations that are wrong for every picture
 */
export async function evaluate<N extends EvaluationName>(
  name: N,
  options: OptionsOfEvaluation<N>,
): Promise<Evaluated> {
  return run(name, options).catch((error: unknown) => {
    throw asOurs(error);
  });
}

/** What machines that share an evaluation measure, by the step of the evaluation. */
export type PartOf = (step: string) => Part;

/** The same of what other machines have measured, all of which `part` finds. @throws GradcamppError */
export async function concludeEvaluation<N extends EvaluationName>(
  name: N,
  options: OptionsOfEvaluation<N>,
  part: PartOf,
): Promise<Evaluated> {
  return run(name, { ...options, workers: 0 }, part).catch((error: unknown) => {
    throw asOurs(error);
  });
}

/** Measures a part of the jobs of an evaluation, and writes nothing. @throws GradcamppError */
export async function measurePart<N extends EvaluationName>(
  name: N,
  options: OptionsOfEvaluation<N>,
  part: PartOf,
): Promise<void> {
  const prepared = await prepare(name, options);
  const states = await statesOf(prepared.files);
  await measureAll({ ...prepared, found: { states }, part }).catch((error: unknown) => {
    throw asOurs(error);
  });
}

/** The files that an evaluation depends on. @throws GradcamppError for options that are wrong */
export async function filesOfEvaluation<N extends EvaluationName>(
  name: N,
  options: OptionsOfEvaluation<N>,
): Promise<{ readonly files: readonly string[]; readonly networks: readonly Network[] }> {
  const { files, networks } = await prepare(name, options);
  return { files, networks };
}

async function run<N extends EvaluationName>(
  name: N,
  options: OptionsOfEvaluation<N>,
  part?: PartOf,
): Promise<Evaluated> {
  const prepared = await prepare(name, options);
  const { settings, networks, files } = prepared;
  const found = await openEvaluationFolder(name, settings, networks, files);
  if (!('folder' in found)) return outcomeBefore(settings.out, found);
  try {
    return await conclude(
      { ...prepared, found },
      found.folder,
      await measureAll({ ...prepared, found, part }),
    );
  } finally {
    await found.folder.close();
  }
}

async function prepare<N extends EvaluationName>(
  name: N,
  options: OptionsOfEvaluation<N>,
): Promise<Omit<Run, 'found'>> {
  const names = Object.keys(evaluations) as EvaluationName[];
  const evaluation: AnyEvaluation = evaluations[oneOf('evaluation', name, names)];
  const schema = { ...optionsOfAll(evaluation), ...evaluation.options };
  const settings = readOptions(`evaluate ${name}`, schema, options) as EvaluateSettings;
  onlyOneOf(options, ['method', 'variant', 'variants']);
  const networks = networksOf(evaluation, settings.model);
  const common = {
    variants: seeded(
      settings.variants ?? evaluation.variants?.(settings) ?? variantsOfMethods(settings.method),
      settings.seed,
    ),
    seed: settings.seed,
  };
  const gathered = await evaluation.gather(settings, await isOfClips(networks[0], settings.open));
  return {
    evaluation,
    settings,
    networks,
    common,
    gathered,
    files: [...gathered.images, ...(gathered.files ?? [])],
  };
}

async function measureAll(run: Run): Promise<Finished[]> {
  const { settings, common, gathered, networks } = run;
  const rounds: Finished[] = [];
  for (const [i, network] of networks.entries()) {
    const measurer = await openMeasurer(network, atVariantsLayer(settings, common), gathered.images.length);
    try {
      rounds.push(await measureNetwork(run, measurer, nameOf(networks, i, measurer), i + 1));
    } finally {
      await measurer.close();
    }
  }
  return rounds;
}

/** What is the same for all networks. */
interface Run {
  readonly evaluation: AnyEvaluation;
  readonly settings: EvaluateSettings;
  readonly common: CommonSettings;
  readonly gathered: Gathered;
  readonly networks: readonly Network[];
  /** All that the results depend on. */
  readonly files: readonly string[];
  /** Its folder, where it writes; the states of the files. */
  readonly found: Partial<EvaluationFolder> & Pick<EvaluationFolder, 'states'>;
  readonly part?: PartOf;
}

/** A round with the pictures that failed in it. */
type Finished = Round<Plan, unknown> & { readonly failures: readonly Failure[] };

/** Plans what is measured of a network, and measures it. */
async function measureNetwork(
  run: Run,
  measurer: Measurer,
  network: string,
  number: number,
): Promise<Finished> {
  const { evaluation, settings, common, gathered, found, part } = run;
  const { subject } = measurer;
  const step = evaluation.severalNetworks ? `${evaluation.name}-${number}` : evaluation.name;
  const measure = async (
    task: Task<Job, CommonSettings, unknown>,
    { jobs, settings: planned, picturesPerJob = 1, unit = 'pictures' }: Plan,
    own: string,
  ) => {
    const names = picturesPerJob > 0 ? jobs.map((job) => job.image) : [];
    const chosen = chooseShown(
      names,
      common.seed,
      Math.max(1, Math.floor(galleryLimit / (picturesPerJob || 1))),
    );
    const measured = await runJobs(measurer, task, jobs, planned, {
      noted: { ...found, step: own },
      part: own === step ? part?.(own) : undefined, // what the plan needs every machine measures
      shown: chosen.size > 0 ? { jobs: chosen, pictures: chosen.size * picturesPerJob } : undefined,
      onProgress: (progress) =>
        settings.onProgress?.({ ...progress, step: evaluation.severalNetworks ? network : unit }),
    });
    return { ...measured, records: measured.measured.map(({ record }) => record) };
  };
  const plan: Plan = await evaluation.plan({
    options: settings,
    gathered,
    common,
    subject,
    measureFirst: (jobs: readonly Job[], unit: string) =>
      measure(
        evaluation.first as Task<Job, CommonSettings, unknown>,
        { jobs, settings: common, unit, picturesPerJob: 0 },
        `${step}-${unit}`,
      ),
  });
  const { measured, records, failures } = await measure(evaluation, plan, step);
  const within = records.flatMap((record) => evaluation.failures?.(record) ?? []);
  return {
    network,
    subject,
    plan,
    measured,
    records,
    failures: [...(plan.failures ?? []), ...failures, ...within],
  };
}

/** Says what was found of all networks, writes it, and lets the journal go. */
async function conclude(
  { evaluation, settings, common, gathered }: Run,
  folder: EvaluationFolder['folder'],
  rounds: readonly Finished[],
): Promise<Evaluated> {
  const [first] = rounds;
  const gallery = evaluation.gallery?.(first);
  const summary = evaluation.summarize(rounds);
  const report: Report = {
    ...summary,
    remarks: remarksOf(rounds, common, [...(gathered.leftOut?.remarks ?? []), ...(summary.remarks ?? [])]),
    gallery: gallery?.entries.length ? galleryOf(gallery, first.subject, common.variants) : undefined,
    provenance: rounds.flatMap(({ network, subject }) =>
      subject.description.map(([key, value]): [string, string] => [
        evaluation.severalNetworks ? `${network}: ${key}` : key,
        value,
      ]),
    ),
  };
  const outcome = {
    evaluation: evaluation.name,
    images: evaluation.count?.(first) ?? first.records.length,
    failures: rounds.flatMap(({ failures }) => failures),
    settings: first.plan.settings,
    report,
    table: evaluation.table(rounds),
  };
  const files = await writeOutcome(outcome, settings.out, settings.table);
  const kept = serialize({ ...report, gallery: undefined }).toString('base64');
  await folder.finish({ files: files.map((file) => basename(file)), report: kept });
  return { report, finishedBefore: false, images: outcome.images, failures: outcome.failures, files };
}

function remarksOf(
  rounds: readonly Finished[],
  { variants }: CommonSettings,
  remarks: readonly string[] = [],
): string[] {
  const ofRounds = rounds.flatMap(({ subject, plan }) => [
    ...sameMapRemarks(subject, variants),
    ...(plan.remarks ?? []),
  ]);
  return [...new Set([...ofRounds, ...remarks])];
}

/** What an evaluation came to that an earlier run had finished. */
async function outcomeBefore(out: string, { files = [], report }: RunRecord): Promise<Evaluated> {
  const text = await readFile(join(out, 'results.json'), 'utf8').catch(() => '{}');
  const { images = 0, failures = [] } = JSON.parse(text) as Partial<Evaluated>;
  return {
    ...(report === undefined ? {} : { report: deserialize(Buffer.from(report, 'base64')) as Report }),
    finishedBefore: true,
    images,
    failures,
    files: files.map((file) => join(out, file)),
  };
}

function networksOf(
  { name, severalNetworks }: AnyEvaluation,
  model: EvaluateSettings['model'],
): readonly Network[] {
  const networks = Array.isArray(model) ? (model as readonly Network[]) : [model as Network];
  if (model === undefined || (networks.length > 1 && !severalNetworks))
    throw invalid('model', `the path of an ONNX model: ${name} takes one`, model);
  return networks;
}

/** Where variants name their layers and nothing else does, the network is opened at the first of them. */
function atVariantsLayer<S extends Pick<EvaluateSettings, 'open'>>(
  settings: S,
  { variants }: CommonSettings,
): S {
  const [{ layer }] = variants;
  return layer === undefined ? settings : { ...settings, open: { layer, ...settings.open } };
}

/** The file's name, or as much of its path as it takes where several are called alike. */
function nameOf(networks: readonly Network[], index: number, { subject }: Measurer): string {
  const network = networks[index];
  if (typeof network !== 'string') return subject.description[0]?.[1] ?? `model ${index + 1}`;
  const alike = networks.filter(
    (other) => typeof other === 'string' && basename(other) === basename(network),
  );
  return alike.length > 1 ? network : basename(network);
}
