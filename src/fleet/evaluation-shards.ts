import { createWriteStream } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { deserialize, serialize } from 'node:v8';
import { readLines } from '../batch/results/lines.js';
import { makeFolder } from '../batch/results/write-file.js';
import { chooseBackend } from '../batch/workers/open-explainer.js';
import { invalid, missing } from '../check.js';
import { GradcamppError } from '../errors.js';
import {
  concludeEvaluation,
  filesOfEvaluation,
  measurePart,
  type OptionsOfEvaluation,
} from '../evaluate/evaluate.js';
import type { Evaluated } from '../evaluate/evaluation.js';
import type { EvaluationName } from '../evaluate/evaluations.js';
import type { Part } from '../evaluate/jobs.js';
import { checksumOf } from '../evaluate/study/checksum.js';
import { hashFile } from '../files.js';
import { type OptionsOf, readOptions } from '../options.js';
import { fetchOutput, type Manifest, type Output, outputName } from './manifest.js';
import { type OpenPlan, type PlanOfEvaluation, type PlanSummary, writePlan } from './plan.js';
import { evaluationPlanOptions } from './shard-options.js';
import { openStorage } from './storages/index.js';

/** Options of an evaluation that are those of the machine that runs it. */
const ofMachine = ['out', 'resume', 'overwrite', 'workers', 'isolate', 'timeout', 'onProgress'];

type Outcome = NonNullable<ReturnType<Part['found']>>;

/** A line of what a shard has measured. */
interface OutcomeLine {
  readonly step: string;
  readonly job: number;
  readonly image: string;
  /** In V8's format, which holds NaN and typed arrays, in base 64. */
  readonly outcome: string;
}

/**
 * Cuts an evaluation into shards. Each picture is measured by one of them, and its values are kept; the merge sums them up as
 * one machine does, in the same order, and so comes to the same numbers.
 *
 * @throws GradcamppError
 */
export async function planEvaluation<N extends EvaluationName>(
  name: N,
  options: OptionsOfEvaluation<N>,
  given: OptionsOf<typeof evaluationPlanOptions>,
): Promise<PlanSummary> {
  const { plan: out, shards: count } = readOptions('the plan', evaluationPlanOptions, given);
  if (out === undefined) throw missing('plan', 'where the plan and its results go', '--plan <where>');
  const entries = Object.entries(options).filter(([key]) => !ofMachine.includes(key));
  const { backend } = await chooseBackend(options.open ?? {});
  const own = { ...Object.fromEntries(entries), open: { ...options.open, backend } };
  const inputs = await inputsOf(name, own as OptionsOfEvaluation<N>);
  const storage = await openStorage(out);
  const plan = await writePlan(storage, {
    evaluation: { name, options: own, ...inputs },
    shards: Array.from({ length: count }, (_, part) => ({ part })),
  });
  return { plan, shards: count, images: inputs.files, leftOut: undefined, notes: [] };
}

/** What every machine must find: the models, and the names of the files. */
async function inputsOf(name: EvaluationName, options: OptionsOfEvaluation<EvaluationName>) {
  const { files, networks } = await filesOfEvaluation(name, options);
  const paths = networks.map((network) => {
    if (typeof network === 'string') return network;
    throw invalid('model', 'the path of an ONNX model, in a plan', network);
  });
  return {
    files: files.length,
    filesSha256: checksumOf(files),
    models: await Promise.all(paths.map((path) => hashFile(path))),
  };
}

async function refuseOther({ evaluation }: PlanOfEvaluation, options: object): Promise<void> {
  const { name, files, filesSha256, models } = evaluation;
  const here = await inputsOf(name, options as OptionsOfEvaluation<EvaluationName>);
  if (checksumOf(here) === checksumOf({ files, filesSha256, models })) return;
  throw new GradcamppError(
    'INVALID_OPTION',
    `This machine would evaluate something else than was planned: ${checksumOf(here.models) === checksumOf(models) ? `it finds ${here.files} files where ${files} were planned, or others` : 'the model differs'}.`,
  );
}

/**
 * Measures a shard of an evaluation into a file of the storage.
 *
 * @param workforce options of the machine, as workers
 * @param model where the model lies on this machine
 */
export async function measureShard(
  { plan, storage }: OpenPlan<PlanOfEvaluation>,
  index: number,
  { work = tmpdir(), model, workforce = {} }: { work?: string; model?: string; workforce?: object },
): Promise<Manifest> {
  const { name, options } = plan.evaluation;
  const own = { ...options, ...workforce, ...(model === undefined ? {} : { model }) };
  await refuseOther(plan, own);
  let [images, failed] = [0, 0];
  const lines: string[] = [];
  await measurePart(name, own as OptionsOfEvaluation<EvaluationName>, (step) => ({
    isOurs: (job) => job % plan.shards.length === index,
    found: () => undefined,
    measured: (job, { image }, outcome) => {
      images++;
      if ('error' in outcome) failed++;
      const line: OutcomeLine = { step, job, image, outcome: serialize(outcome).toString('base64') };
      lines.push(`${JSON.stringify(line)}\n`);
    },
  }));
  await makeFolder(work);
  const folder = await mkdtemp(join(work, 'gradcampp-shard-'));
  try {
    const file = join(folder, 'outcomes');
    await pipeline(lines, createWriteStream(file));
    const sha256 = await hashFile(file);
    const results: Output = {
      name: outputName(index, 'results', sha256),
      size: (await stat(file)).size,
      sha256,
    };
    await storage.put(results.name, { file });
    return { plan: plan.checksum, shard: index, images, failed, outputs: { results } };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Makes of the results of all shards what one machine's `evaluate` writes. */
export async function mergeEvaluation(
  open: OpenPlan<PlanOfEvaluation>,
  manifests: readonly Manifest[],
  own: { readonly out: string; readonly overwrite: boolean },
  onProgress?: (done: number, shards: number) => void,
): Promise<Evaluated> {
  const { name, options } = open.plan.evaluation;
  await refuseOther(open.plan, options);
  const folder = await mkdtemp(join(tmpdir(), 'gradcampp-merge-'));
  try {
    const outcomes = new Map<string, { readonly image: string; readonly outcome: string }>();
    onProgress?.(0, manifests.length);
    for (const [i, manifest] of manifests.entries()) {
      const file = join(folder, 'outcomes');
      await fetchOutput(open, manifest, manifest.outputs.results, file);
      for await (const { bytes } of readLines(file)) {
        const { step, job, image, outcome } = JSON.parse(bytes.toString()) as OutcomeLine;
        outcomes.set(`${step} ${job}`, { image, outcome });
      }
      onProgress?.(i + 1, manifests.length);
    }
    return await concludeEvaluation(
      name,
      { ...options, ...own } as OptionsOfEvaluation<EvaluationName>,
      (step) => ({
        isOurs: () => true,
        found: (job, { image }) => {
          const there = outcomes.get(`${step} ${job}`);
          if (there?.image === image) return deserialize(Buffer.from(there.outcome, 'base64')) as Outcome;
          throw new GradcamppError(
            'INVALID_OPTION',
            `${JSON.stringify(image)} was measured by no shard: the pictures have changed since. Plan anew.`,
          );
        },
        measured: () => undefined,
      }),
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
